"""Debian's packages, unpacked into folders of their own; the system's lists and packages are left as they are."""

import shutil
import subprocess
from os import environ
from pathlib import Path

from tests.e2e.editor_folders import CannotInstall, run

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LAUNCHER = """#!/bin/sh
P=$(dirname "$(readlink -f "$0")")
L=$P/usr/lib/x86_64-linux-gnu
{settings}
B=$P/usr/bin/{name}
exec $P/usr/lib64/ld-linux-x86-64.so.2 --argv0 $B --library-path $L:$P/lib/x86_64-linux-gnu $B {options} "$@"
"""


def unpack(folder: Path, *packages: str, suite: str = "") -> None:
    """Unpack packages, with all that they need and the system lacks, or of another suite with all that they need.

    Raises:
        CannotInstall: they cannot be fetched.
    """
    scratch = folder / "apt"
    for name in ("lists", "archives"):
        (scratch / name / "partial").mkdir(parents=True)
    options = {
        "Dir::State::lists": scratch / "lists",
        "Dir::Cache::archives": scratch / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
    }
    if suite:
        options |= _only(suite, scratch)
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    run(*apt, "update")
    run(*apt, "install", "-y", "--download-only", *packages)
    for package in sorted((scratch / "archives").glob("*.deb")):
        run("dpkg-deb", "-x", package, folder)
    shutil.rmtree(scratch)


def write_launcher(folder: Path, program: str, *, name: str, settings: str = "", options: str = "") -> None:
    """An executable `name` that runs an unpacked program of another suite with the loader and libraries there."""
    launcher = folder / name
    launcher.write_text(LAUNCHER.format(name=program, settings=settings, options=options))
    launcher.chmod(0o755)


def _only(suite: str, scratch: Path) -> dict[str, Path | str]:
    """Options of apt with which there is this suite and nothing is installed."""
    sources, status = scratch / "sources.list", scratch / "status"
    sources.write_text(f"deb [signed-by={KEYRING}] {_mirror(scratch / 'lists')} {suite} main\n")
    status.touch()
    return {"Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "-", "Dir::State::status": status}


def _mirror(lists: Path) -> str:
    """Where this machine's own apt gets its packages, or `$SPA_TEST_DEBIAN`."""
    if wanted := environ.get("SPA_TEST_DEBIAN"):
        return wanted
    own_lists = f"-oDir::State::lists={lists}"
    if not (found := _known_mirrors()):  # a machine where apt was never updated
        run("apt-get", "-qq", own_lists, "-oDebug::NoLocking=true", "-oAPT::Sandbox::User=root", "update")
        found = _known_mirrors(own_lists)
    if not found:
        raise CannotInstall("apt has no package lists here; set SPA_TEST_DEBIAN to a mirror of Debian")
    return found[0]


def _known_mirrors(*options: str) -> list[str]:
    command = ["apt-get", *options, "indextargets", "--format", "$(REPO_URI)", "Origin: Debian"]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.split()
    except FileNotFoundError as error:
        raise CannotInstall(str(error)) from error
