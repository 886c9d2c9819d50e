"""Editors for tests are unpacked below `~/.cache/spa-lsp-tests` (or `$SPA_TEST_CACHE`); nothing goes anywhere else."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


class CannotInstall(Exception):
    """An editor cannot be had here; the message says why."""


def made(name: str, fill) -> Path:
    """The cache folder of this name as `fill` leaves it, filled when it is not there; never one half filled.

    Raises:
        CannotInstall: it cannot be filled.
    """
    folder = Path(os.environ.get("SPA_TEST_CACHE") or Path.home() / ".cache" / "spa-lsp-tests") / name
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    being_filled = Path(tempfile.mkdtemp(prefix=name, dir=folder.parent))
    try:
        fill(being_filled)
        being_filled.rename(folder)
    finally:
        shutil.rmtree(being_filled, ignore_errors=True)
    return folder


def run(*command: str | Path, folder: Path | None = None) -> None:
    """Run a program.

    Raises:
        CannotInstall: it is not there or failed.
    """
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise CannotInstall(str(error)) from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip()[-400:]
        raise CannotInstall(f"{' '.join(map(str, command[:2]))} failed: {said}") from error
