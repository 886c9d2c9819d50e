"""The real base and the shipped set in the real editors: one completion each, from typing to what is recorded."""

import re
import time

import pytest

from spa_lsp.adapters.finding import find_set
from spa_lsp.bases.catalog import DEFAULT_BASE, find_base, is_ready
from spa_lsp.engine.client import stop_engine
from spa_lsp.engine.supervisor import socket_path
from spa_lsp.errors import NotFound
from spa_lsp.outcomes.file import read_outcomes
from tests.e2e.conftest import MACHINE_CACHE
from tests.e2e.neovim_session import GHOST, HINT, lua_list
from tests.e2e.vscode_steps import READY, accepted
from tests.e2e.vscode_workbench import eventually, within, write_program
from tests.server.lsp_client import server_command

pytestmark = [pytest.mark.editors, pytest.mark.model]

LOAD_TIMEOUT_S = 600.0  # on a machine that does other things, too
ANSWER_TIMEOUT_S = 120.0
DOCSTRING = (
    '"""The middle value of a list of numbers; the mean of the two in the middle when there is an even number."""'
)
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


def test_neovim_shows_cycles_and_records_the_shipped_sets_alternatives(
    labels, no_engine_after, start_newest, monkeypatch
):
    monkeypatch.setenv("SPA_CACHE", str(MACHINE_CACHE))  # the tests' Neovims have a cache of their own
    settings = f"{{ base = '{DEFAULT_BASE}', deadlineS = {ANSWER_TIMEOUT_S}, maxTokens = 24 }}"
    nvim = start_newest(cmd=lua_list(server_command()), settings=settings)
    nvim.wait_for_server()
    nvim.keys(f"idef median(values):<CR>{DOCSTRING}<CR>")
    nvim.wait_for("return require('spa_lsp').statusline():match('%d/') or 'none yet'", ask_again(nvim), LOAD_TIMEOUT_S)
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


def test_vscode_shows_cycles_and_records_the_shipped_sets_alternatives(labels, no_engine_after, program, editor):
    home = f"import os; os.environ['SPA_CACHE'] = {str(MACHINE_CACHE)!r}\n"
    write_program(program, home + "from spa_lsp.cli import main; main()")
    editor.set(spaLsp__base=DEFAULT_BASE, spaLsp__deadlineS=ANSWER_TIMEOUT_S, spaLsp__maxTokens=24)
    editor.command("SPA: Restart the Server")
    path = editor.open("median.py", f"def median(values):\n    {DOCSTRING}\n    ")
    editor.press("Alt+Backslash")
    eventually(lambda: editor.texts(READY), lambda: editor.status, LOAD_TIMEOUT_S)
    eventually(lambda: is_asked(editor), lambda: f"{editor.status} {editor.notifications}", LOAD_TIMEOUT_S)
    eventually(lambda: TITLE.fullmatch(editor.status), lambda: editor.status, ANSWER_TIMEOUT_S)
    eventually(lambda: editor.toolbar.startswith("1/") and editor.toolbar != "1/1", lambda: editor.toolbar)
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


def is_asked(workbench):
    """Whether anything is shown, after asking for it."""
    workbench.press("Escape")
    workbench.press("Alt+Backslash")
    return within(lambda: workbench.ghost, ANSWER_TIMEOUT_S)
