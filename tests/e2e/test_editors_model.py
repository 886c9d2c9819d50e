"""The real base and the shipped set in the real editors: one completion each, from typing to what is recorded."""

import os
import re
import time
from pathlib import Path

import pytest

from spa_lsp.adapters.finding import find_set
from spa_lsp.bases.catalog import DEFAULT_BASE, find_base, is_ready
from spa_lsp.engine.client import stop_engine
from spa_lsp.engine.supervisor import socket_path
from spa_lsp.errors import NotFound
from spa_lsp.outcomes.file import read_outcomes
from tests.e2e.conftest import MACHINE_CACHE
from tests.e2e.neovim_screen import Screen
from tests.e2e.neovim_session import GHOST, HINT, lua_list
from tests.e2e.test_neovim_pictures import LOOK
from tests.e2e.vscode_steps import CARDS, READY, accepted
from tests.e2e.vscode_workbench import eventually, within, write_program
from tests.server.lsp_client import server_command

pytestmark = [pytest.mark.editors, pytest.mark.model]

LOAD_TIMEOUT_S = 600.0  # on a machine that does other things, too
ANSWER_TIMEOUT_S = 120.0
DOCSTRING = (
    '"""The middle value of a list of numbers; the mean of the two in the middle when there is an even number."""'
)
PICTURES = os.environ.get("SPA_PICTURES")  # a folder like editor-clients/
TITLE = re.compile(r"1/(\d+) · (.+)")


@pytest.fixture
def labels():
    """The labels of the shipped set's adapters, by adapter."""
    if not is_ready(find_base(DEFAULT_BASE)):
        pytest.skip(f"{DEFAULT_BASE} is not on this machine; run: spa-lsp models pull")
    try:
        return {each.name: each.label for each in find_set(None, DEFAULT_BASE).adapters}
    except NotFound as error:
        pytest.skip(str(error))


@pytest.fixture
def no_engine_after():
    """The engine ends with the test: it takes much memory."""
    yield
    stop_engine(socket_path(DEFAULT_BASE, "auto"))


def ask_in_neovim(start_newest, monkeypatch):
    """A Neovim that shows alternatives for the body of a function."""
    monkeypatch.setenv("SPA_CACHE", str(MACHINE_CACHE))  # the tests' Neovims have a cache of their own
    settings = f"{{ base = '{DEFAULT_BASE}', deadlineS = {ANSWER_TIMEOUT_S}, maxTokens = 48 }}"
    nvim = start_newest(cmd=lua_list(server_command()), settings=settings, before=LOOK)
    nvim.wait_for_server()
    nvim.keys(f"idef median(values):<CR>{DOCSTRING}<CR>")
    nvim.wait_for("return require('spa_lsp').statusline():match('%d/') or 'none yet'", ask_again(nvim), LOAD_TIMEOUT_S)
    return nvim


def test_neovim_shows_cycles_and_records_the_shipped_sets_alternatives(
    labels, no_engine_after, start_newest, monkeypatch
):
    nvim = ask_in_neovim(start_newest, monkeypatch)
    first, title = nvim.ghost(), nvim.hint()
    n_alternatives = int(TITLE.fullmatch(title)[1])
    assert 2 <= n_alternatives <= len(labels)
    seen = {first: TITLE.fullmatch(title)[2]}
    for number in range(2, n_alternatives + 1):
        nvim.keys("<M-]>")
        hint = nvim.wait_for(HINT, lambda text, number=number: text.startswith(f"{number}/{n_alternatives} · "))
        seen[nvim.ghost()] = hint.partition(" · ")[2]
    assert len(seen) == n_alternatives  # all texts differ
    assert set(seen.values()) <= set(labels.values())
    last = nvim.ghost()
    nvim.keys("<Tab>")
    eventually(lambda: nvim.accepted(), "nothing was recorded")
    [(adapter, _)] = nvim.accepted()
    assert labels[adapter] == seen[last]
    assert "\n".join(nvim.text()).endswith(last)


def ask_again(nvim):
    """Whether anything is shown; every half minute the file is changed a little, which asks again."""
    asked = time.monotonic()

    def is_shown(value):
        nonlocal asked
        if value == "none yet" and time.monotonic() - asked > 30:
            asked = time.monotonic()
            nvim.keys(" <BS>")
        return value != "none yet" and nvim.lua(GHOST) != ""

    return is_shown


def ask_in_vscode(editor, program):
    """Open a function without a body and ask for it until alternatives are there; the file."""
    home = f"import os; os.environ['SPA_CACHE'] = {str(MACHINE_CACHE)!r}\n"
    write_program(program, home + "from spa_lsp.cli import main; main()")
    editor.set(spaLsp__base=DEFAULT_BASE, spaLsp__deadlineS=ANSWER_TIMEOUT_S, spaLsp__maxTokens=48)
    editor.command("SPA: Restart the Server")
    path = editor.open("median.py", f"def median(values):\n    {DOCSTRING}\n    ")
    editor.press("Alt+Backslash")
    eventually(lambda: editor.texts(READY), lambda: editor.status, LOAD_TIMEOUT_S)
    eventually(lambda: is_asked(editor), lambda: f"{editor.status} {editor.notifications}", LOAD_TIMEOUT_S)
    eventually(lambda: TITLE.fullmatch(editor.status), lambda: editor.status, ANSWER_TIMEOUT_S)
    eventually(lambda: editor.toolbar.startswith("1/") and editor.toolbar != "1/1", lambda: editor.toolbar)
    return path


def test_vscode_shows_cycles_and_records_the_shipped_sets_alternatives(labels, no_engine_after, program, editor):
    path = ask_in_vscode(editor, program)
    n_alternatives = int(editor.toolbar.partition("/")[2])
    assert 2 <= n_alternatives <= len(labels)
    seen = {editor.ghost: editor.status.partition(" · ")[2]}
    for number in range(2, n_alternatives + 1):
        editor.press("Alt+BracketRight")
        eventually(lambda: editor.status.startswith(f"{number}/{n_alternatives} · "), lambda: editor.status)  # noqa: B023
        seen[editor.ghost] = editor.status.partition(" · ")[2]
    assert len(seen) == n_alternatives
    assert set(seen.values()) <= set(labels.values())
    label = editor.status.partition(" · ")[2]
    n_before = len(path.read_text())
    editor.press("Tab")
    eventually(lambda: len(path.read_text()) > n_before, path.read_text)
    eventually(lambda: [labels.get(adapter) for adapter in accepted()][-1:] == [label], lambda: str(read_outcomes()))


@pytest.mark.skipif(PICTURES is None, reason="no pictures are wanted: SPA_PICTURES")
def test_pictures_of_vscode(labels, no_engine_after, program, editor):
    ask_in_vscode(editor, program)
    editor.press("Alt+BracketRight")
    eventually(lambda: editor.status.startswith("2/"), lambda: editor.status)
    keep_picture(editor, "ghost")
    editor.press("Control+b")  # without the side bar there is room for two columns
    editor.press("Control+Alt+Enter")
    eventually(lambda: len(editor.panel(CARDS) or []) > 1, lambda: str(editor.panel(CARDS)), ANSWER_TIMEOUT_S)
    keep_picture(editor, "panel")


def keep_picture(workbench, name):
    workbench.do("move", x=900, y=550)  # where it touches nothing
    workbench.picture(Path(PICTURES, "vscode", "images", f"{name}.png"))


@pytest.mark.skipif(PICTURES is None, reason="no pictures are wanted: SPA_PICTURES")
def test_pictures_of_neovim(labels, no_engine_after, start_newest, monkeypatch):
    nvim = ask_in_neovim(start_newest, monkeypatch)
    screen = Screen(nvim)
    nvim.keys("<M-]>")
    nvim.wait_for(HINT, lambda text: text.startswith("2/"))
    Path(PICTURES, "neovim", "images", "ghost.svg").write_text(screen.svg(), encoding="utf-8")
    nvim.keys("<M-CR>")
    nvim.wait_for("return vim.api.nvim_get_current_line()", lambda line: line.startswith("1/"))
    Path(PICTURES, "neovim", "images", "panel.svg").write_text(screen.svg(), encoding="utf-8")


def is_asked(workbench):
    """Whether anything is shown, after asking for it."""
    workbench.press("Escape")
    workbench.press("Alt+Backslash")
    return within(lambda: workbench.ghost, ANSWER_TIMEOUT_S)
