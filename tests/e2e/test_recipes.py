"""The recipes of `editor-clients/recipes.md` for editors without a plugin, as they stand there."""

import os
import re

import pytest

from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.engine.client import stop_engine
from spa_lsp.engine.supervisor import socket_path
from spa_lsp.outcomes.file import read_outcomes
from tests.e2e.canned_engine import TEXTS
from tests.e2e.editor_folders import CannotInstall
from tests.e2e.neovim_install import neovim
from tests.e2e.neovim_session import BASE, ROOT, Session
from tests.e2e.terminal_editors import emacs, helix
from tests.e2e.terminal_screen import Terminal
from tests.e2e.vscode_workbench import write_program
from tests.fakes import wait_until

pytestmark = pytest.mark.editors

RECIPES = (ROOT / "editor-clients" / "recipes.md").read_text(encoding="utf-8")
TYPED = "def add(a, b):\r"
NEXT, TAB, ESCAPE, SAVE_IN_EMACS = "\x0e", "\t", "\x1b", "\x18\x13"
# what a person has who installed the packages; without the compiler, which is not run by the suite's own loader
EMACS_BEFORE = """
(setq native-comp-jit-compilation nil native-comp-enable-subr-trampolines nil)
(setq package-directory-list '("{packages}"))
(package-initialize)
(setq lsp-auto-guess-root t make-backup-files nil)
"""


@pytest.fixture
def stock(tmp_path):
    command = "cmd = { 'spa-lsp', '--stdio' }"
    assert command in recipe("lua")
    ours = recipe("lua").replace(command, f"cmd = front, init_options = {{ base = '{BASE}' }}")
    session = Session(installed(neovim, "0.12"), tmp_path, setup=ours, plugin=False)
    yield session
    session.quit()


@pytest.fixture
def run(tmp_path):
    """Run an editor in a terminal, `spa-lsp` on its PATH, with an empty Python file of a project."""
    project = tmp_path / "project"
    (project / ".git").mkdir(parents=True)
    file = project / "add.py"
    file.touch()
    front = write_program(tmp_path / "bin" / "spa-lsp", "from tests.e2e.recipe_program import main; main(sys.argv[1:])")
    env = {"HOME": str(tmp_path), "PATH": f"{front.parent}:{os.environ['PATH']}", "TERM": "xterm-256color"}
    terminals = []

    def run(*command):
        terminals.append(Terminal(installed(neovim, "0.12"), [*command, file], env=env))
        return terminals[-1], file

    yield run
    for terminal in terminals:
        terminal.quit()
    stop_engine(socket_path(DEFAULT_BASE, "auto"))


def recipe(language):
    """The recipe in this language."""
    return re.search(rf"```{language}\n(.*?)```", RECIPES, re.S)[1]


def installed(install, *arguments):
    """An editor, or the reason why the test is skipped."""
    try:
        return install(*arguments)
    except CannotInstall as error:
        pytest.skip(f"{install.__name__} {' '.join(arguments)}cannot be had here: {error}")


def accepted():
    return [outcome["adapter"] for outcome in read_outcomes() if outcome["kind"] == "accepted"]


def test_neovim_without_the_plugin_shows_cycles_and_accepts(stock):
    stock.start_typing()
    stock.keys("<M-]>")
    stock.wait_for_ghost(f"{TEXTS[1]} (2/3)")
    stock.keys("<M-[><M-[>")
    stock.wait_for_ghost(f"{TEXTS[2]} (3/3)")
    stock.keys("<Tab>")
    wait_until(lambda: stock.accepted() == [("a3", 2)])
    assert "\n".join(stock.text()) == "def add(a, b):\n    " + TEXTS[2]


def test_emacs_shows_cycles_and_accepts(run, tmp_path):
    program, packages = installed(emacs)
    init = tmp_path / "init.el"
    init.write_text(EMACS_BEFORE.format(packages=packages) + recipe("elisp"))
    terminal, file = run(program, "-nw", "-Q", "-l", init)
    terminal.wait_for_screen("spa-lsp:", "initialized successfully")
    terminal.send(TYPED + "r")
    ask_until(terminal, "x\x7f", "Completion 1/2", TEXTS[0])
    terminal.send(NEXT)
    terminal.wait_for_screen("Completion 2/2", TEXTS[1])
    terminal.send(TAB)
    wait_until(lambda: accepted() == ["a2"])
    terminal.send(SAVE_IN_EMACS)
    wait_until(lambda: file.read_text() == f"def add(a, b):\n    {TEXTS[1]}\n")
    assert "Warning" not in terminal.screen()


def test_helix_offers_the_alternatives_in_its_menu(run, tmp_path):
    languages = tmp_path / ".config" / "helix" / "languages.toml"
    languages.parent.mkdir(parents=True)
    languages.write_text(recipe("toml"))
    terminal, file = run(installed(helix))
    terminal.wait_for_screen("NOR")
    terminal.send("i" + TYPED + "re")
    ask_until(terminal, "\x18", TEXTS[0], TEXTS[1])
    terminal.send(NEXT + NEXT)
    terminal.wait_for_screen("built-in functions")
    terminal.send("\r")
    terminal.send(ESCAPE)
    terminal.wait_for_screen("NOR")
    terminal.send(":w\r")
    wait_until(lambda: file.read_text() == f"def add(a, b):\n{TEXTS[1]}\n")


def ask_until(terminal, keys, *texts):
    """Wait for these; an engine that still starts has nothing to say, so these keys ask again."""

    def is_shown():
        try:
            terminal.wait_for_screen(*texts, timeout_s=4)
        except AssertionError:
            terminal.send(keys)
            return False
        return True

    wait_until(is_shown)
