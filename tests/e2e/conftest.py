"""Neovims and a VS Code workbench for tests; a picture of the workbench is kept when one of its tests fails."""

import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from spa_lsp import paths
from tests.e2e.editor_folders import CannotInstall, run
from tests.e2e.neovim_install import VERSIONS, neovim
from tests.e2e.neovim_session import Session, setup
from tests.e2e.vscode_install import install_tools
from tests.e2e.vscode_program import BASE
from tests.e2e.vscode_steps import FRONT, HEAD, open_and_ask
from tests.e2e.vscode_workbench import CLIENT, ROOT, Workbench, write_program

MACHINE_CACHE = paths.cache_dir()  # where the bases are, before a test gets a cache of its own


def neovim_or_skip(version):
    """A Neovim of this version, or the reason why the test is skipped."""
    try:
        return neovim(version)
    except CannotInstall as error:
        pytest.skip(f"Neovim {version} cannot be had here: {error}")


@pytest.fixture(scope="module", params=VERSIONS)
def neovim_program(request):
    """A Neovim of each version."""
    return neovim_or_skip(request.param)


@pytest.fixture
def start(neovim_program, tmp_path):
    """Start Neovims of each version, see `starter`."""
    with starter(neovim_program, tmp_path) as start:
        yield start


@pytest.fixture
def start_newest(tmp_path):
    """Start Neovims of the newest version, for what does not depend on it."""
    with starter(neovim_or_skip(VERSIONS[0]), tmp_path) as start:
        yield start


@contextmanager
def starter(program, folder):
    """A function that starts a Neovim, without a server unless `cmd` names one; options as in `Session` and `setup`.

    `call` is Lua that is run instead of `setup`.
    """
    sessions = []

    def start(*, before="", call="", cmd="{ 'no-such-spa-lsp' }", **options):
        own = folder / f"nvim{len(sessions)}"
        own.mkdir()
        sessions.append(Session(program, own, setup=call or setup(cmd=cmd, **options), before=before))
        return sessions[-1]

    yield start
    for session in sessions:
        session.quit()


@pytest.fixture(scope="session")
def homes_of_workbench():
    """Homes of the processes behind the workbench, which live as long as it."""
    folder = Path(tempfile.mkdtemp(prefix="spa"))  # short: a socket's path may have only 107 bytes
    env = {"SPA_HOME": "home", "SPA_CACHE": "cache", "XDG_RUNTIME_DIR": "run"}
    env = {name: str(folder / value) for name, value in env.items()}
    for path in env.values():
        Path(path).mkdir(mode=0o700)
    yield env
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def only_workbench(tmp_path_factory, homes_of_workbench):
    """A workbench with the extension as it is packaged now, over the real front and a canned engine."""
    try:
        tools = install_tools()
        run("make", str(CLIENT.relative_to(ROOT) / "node_modules" / ".stamp"), folder=ROOT)
    except CannotInstall as error:
        pytest.skip(f"no workbench: {error}")
    folder = tmp_path_factory.mktemp("vscode")
    workbench = Workbench(tools, folder, packaged(), homes_of_workbench)
    write_program(workbench.program, FRONT)
    workbench.settings["spaLsp.base"] = BASE
    try:
        workbench.start()
        yield workbench
    finally:
        workbench.stop()


def packaged() -> Path:
    """The .vsix of the extension as it is in the tree."""
    vsix = CLIENT / "spa-lsp.vsix"
    inputs = [CLIENT / name for name in ("package.json", "package-lock.json", "esbuild.mjs", "README.md")]
    inputs += [path for folder in ("src", "media", "images") for path in (CLIENT / folder).rglob("*")]
    if not vsix.exists() or max(path.stat().st_mtime for path in inputs) > vsix.stat().st_mtime:
        subprocess.run(["make", "clients-vscode"], cwd=ROOT, check=True)
    return vsix


@pytest.fixture
def workbench(only_workbench, homes_of_workbench, homes, monkeypatch):
    """The workbench; the test looks into its homes."""
    for name, value in homes_of_workbench.items():
        monkeypatch.setenv(name, value)
    return only_workbench


@pytest.fixture
def editor(workbench):
    """The workbench with a Python file open, its cursor where the body of a function begins, and all alternatives."""
    before = dict(workbench.settings)
    open_and_ask(workbench, "prices.py", HEAD)
    yield workbench
    workbench.press("Escape")
    if workbench.settings != before:
        workbench.settings = before
        workbench.set()


@pytest.fixture
def program(workbench):
    """The server program of the workbench, to be written anew; at the end it is the right one again, and runs."""
    yield workbench.program
    workbench.program.unlink(missing_ok=True)
    write_program(workbench.program, FRONT)
    workbench.command("Notifications: Clear All Notifications")
    workbench.command("SPA: Restart the Server")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    workbench = item.funcargs.get("workbench") if report.failed else None
    if workbench:
        path = workbench.folder / f"{item.name}.png"
        try:
            workbench.picture(path)
            report.sections.append(("screen", f"kept as {path}"))
        except (AssertionError, OSError) as error:  # the browser may be what has failed
            report.sections.append(("screen", f"no picture: {error}"))
    return report
