"""Editors that live in a terminal, for tests of the recipes: Emacs with lsp-mode, and Helix."""

import subprocess
from pathlib import Path

from tests.e2e.debian_packages import unpack, write_launcher
from tests.e2e.editor_folders import CannotInstall, made

SUITE = "forky"
# a snapshot of Emacs's memory belongs to exactly this program, and it looks for the rest where it would be installed
EMACS = """E=$(echo $P/usr/share/emacs/[0-9]*)
X=$(echo $P/usr/libexec/emacs/[0-9]*/x86_64-linux-gnu)
export EMACSLOADPATH=$E/lisp: EMACSDATA=$E/etc EMACSPATH=$X"""
HELIX = "export HELIX_RUNTIME=$P/usr/lib/hx/runtime"


def emacs() -> tuple[Path, Path]:
    """The program, and the folder of its packages, lsp-mode and what that needs.

    Raises:
        CannotInstall: it cannot be fetched or does not run.
    """
    folder = made("emacs", _unpack_emacs)
    packages = folder / "usr" / "share" / "emacs" / "site-lisp" / "elpa-src"
    return _checked(folder / "emacs", "GNU Emacs"), packages


def helix() -> Path:
    """The program.

    Raises:
        CannotInstall: it cannot be fetched or does not run.
    """
    return _checked(made("helix", _unpack_helix) / "hx", "helix")


def _checked(program: Path, name: str) -> Path:
    said = subprocess.run([program, "--version"], capture_output=True, text=True)
    if not said.stdout.startswith(name):
        raise CannotInstall(f"{program} is not {name} but {said.stdout[:20] or said.stderr[:200]!r}")
    return program


def _unpack_emacs(folder: Path) -> None:
    unpack(folder, "emacs-nox", "elpa-lsp-mode", suite=SUITE)
    write_launcher(folder, "emacs-nox", name="emacs", settings=EMACS, options="--dump-file=$(echo $X/*.pdmp)")


def _unpack_helix(folder: Path) -> None:
    unpack(folder, "hx", suite=SUITE)
    write_launcher(folder, "hx", name="hx", settings=HELIX)
