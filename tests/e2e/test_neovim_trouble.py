"""What goes wrong around the plugin, in real Neovims: one message with what to do, and never a second one."""

import os
import signal
import sys
import time

import pytest

from spa_lsp.bases.catalog import DEFAULT_BASE
from tests.e2e import wrong_server
from tests.e2e.canned_engine import TEXTS
from tests.e2e.neovim_session import lua_list, setup
from tests.fakes import PATIENCE_S, wait_until
from tests.server.lsp_client import server_command

pytestmark = pytest.mark.editors

OPEN_THREE = "for i = 1, 3 do vim.cmd('edit! other' .. i .. '.py') end"
CLIENTS = "return #vim.lsp.get_clients({ name = 'spa_lsp' })"


def wrong(*arguments):
    """A command line of a server that is not the one wanted."""
    return lua_list([sys.executable, wrong_server.__file__, *arguments])


def hears_once(nvim, text):
    """Wait for a message, open other files, wait: it is the only one."""
    nvim.wait_for("return vim.fn.execute('messages')", lambda said: text in said)
    nvim.lua(OPEN_THREE)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        assert "\n" not in nvim.messages().strip()
        time.sleep(0.1)


def test_a_missing_server_is_said_once(start):
    nvim = start()
    hears_once(nvim, 'there is no program "no-such-spa-lsp"; pass setup{ cmd =')
    nvim.lua("vim.cmd('checkhealth spa_lsp')")
    assert any('there is no program "no-such-spa-lsp"' in line for line in nvim.text())


def test_a_server_that_may_not_be_run_is_said_once(start_newest, tmp_path):
    (tmp_path / "spa-lsp").touch(mode=0o644)
    nvim = start_newest(cmd=lua_list([tmp_path / "spa-lsp", "--stdio"]))
    hears_once(nvim, '/spa-lsp" may not be run; pass setup{ cmd =')


def test_a_program_that_is_no_server_is_said_once(start):
    nvim = start(cmd=lua_list([sys.executable, "-c", "print('hello'); raise SystemExit(3)"]))
    hears_once(nvim, "could not be started as a language server; see :SpaLsp log; :SpaLsp restart tries again")


def test_another_server_is_said_once_and_left(start):
    nvim = start(cmd=wrong("other-lsp", "1.0"))
    hears_once(nvim, "is not spa-lsp but other-lsp")
    nvim.wait_for(CLIENTS, 0)
    nvim.lua("vim.cmd('checkhealth spa_lsp')")
    assert any("is not spa-lsp but other-lsp" in line for line in nvim.text())


def test_an_older_server_is_said_once_and_used(start_newest):
    nvim = start_newest(cmd=wrong("spa-lsp", "0.0.9"))
    hears_once(nvim, "spa-lsp 0.0.9 is too old for this plugin, which needs 0.1.0")
    assert nvim.lua(CLIENTS) == 1


def test_a_newer_server_is_used_without_a_word(start_newest):
    nvim = start_newest(cmd=wrong("spa-lsp", "9.1.0.dev3"))
    nvim.wait_for_server()
    assert nvim.messages() == ""


def test_a_server_that_is_killed_is_started_again_without_a_word(start):
    nvim = start(cmd="front")
    nvim.start_typing()
    pid = front_of(nvim)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: front_of(nvim) not in (None, pid))
    nvim.start_typing("idef add_more(a, b):<CR>")
    assert nvim.ghost() == TEXTS[0]
    assert nvim.messages() == ""


def front_of(nvim):
    """The process id of the server, which is the child of Neovim."""
    children = nvim.call("nvim_get_proc_children", nvim.call("nvim_call_function", "getpid", []))
    return children[0] if children else None


def test_a_server_that_ends_again_and_again_is_left_off_and_said_once(start):
    nvim = start(cmd=wrong("spa-lsp", "0.1.0", "ends"))
    hears_once(nvim, "the server ended five times in three minutes and stays off; see :SpaLsp log; :SpaLsp restart")
    nvim.lua(setup(cmd="front"))
    nvim.keys("<Esc>:SpaLsp restart<CR>")
    nvim.start_typing()
    assert nvim.ghost() == TEXTS[0]


def test_a_model_that_was_not_pulled_is_said_once_with_the_command(start_newest, tmp_path):
    settings = f"{{ base = '{DEFAULT_BASE}' }}"
    nvim = start_newest(cmd=lua_list(server_command()), settings=settings)
    type_until_told(nvim)
    hears_once(nvim, f"run: spa-lsp models pull {DEFAULT_BASE}")
    assert "spa-lsp models pull" in nvim.lua("return require('spa_lsp.commands').describe()")


def type_until_told(nvim):
    """Type in the file until there is a message, then some more: every pause asks the server."""
    nvim.wait_for_server()
    nvim.keys("idef f():<CR>return ")
    end = time.monotonic() + PATIENCE_S
    while not nvim.messages():
        assert time.monotonic() < end, "no message"
        nvim.keys("x")
        time.sleep(1)
    for _ in range(3):
        nvim.keys("y")
        time.sleep(0.5)
    nvim.keys("<Esc>")


def test_a_cache_folder_that_cannot_be_used_is_said_once(start_newest, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPA_CACHE", str(tmp_path / "file"))  # permissions do not stop every user
    nvim = start_newest(cmd="front")
    type_until_told(nvim)
    hears_once(nvim, "logs cannot be used (Not a directory); make it yours, or set SPA_CACHE")


def test_a_file_that_cannot_be_changed_is_not_changed_which_is_said(start):
    nvim = start(cmd="front")
    nvim.start_typing()
    nvim.keys("<Esc>")
    nvim.lua("vim.bo.modifiable = false")
    before = nvim.text()
    nvim.lua("vim.cmd('normal! $') vim.cmd('SpaLsp panel')")
    nvim.wait_for("return #vim.api.nvim_list_wins()", 2)
    nvim.keys("2")
    nvim.wait_for("return #vim.api.nvim_list_wins()", 1)
    assert nvim.text() == before
    assert nvim.messages().strip() == "spa_lsp: the alternative was not inserted: this file cannot be changed"
    assert nvim.accepted() == []


def test_two_windows_share_one_engine(start_newest):
    first, second = start_newest(cmd="front"), start_newest(cmd="front")
    first.start_typing()
    second.start_typing()
    assert first.ghost() == second.ghost() == TEXTS[0]
    assert len(first.engine_pids()) + len(second.engine_pids()) == 1
    second.keys("<Tab>")
    wait_until(lambda: first.accepted() == [("a1", 0)])
    first.keys("<M-]>")
    first.wait_for_ghost(TEXTS[1])
    assert first.messages() + second.messages() == ""


@pytest.mark.parametrize("who", ["server", "engine"])
def test_one_that_slept_for_long_goes_on(start_newest, who):
    nvim = start_newest(cmd="front")
    nvim.start_typing()
    pid = front_of(nvim) if who == "server" else nvim.engine_pids()[-1]
    os.kill(pid, signal.SIGSTOP)
    nvim.keys("<Esc>:%d<CR>idef other(a, b):<CR>")
    time.sleep(5)
    os.kill(pid, signal.SIGCONT)
    nvim.keys("ret")
    nvim.wait_for_ghost(TEXTS[0][3:])
    assert nvim.messages() == ""


def test_the_panel_says_that_the_engine_starts_again(start):
    nvim = start(cmd="front")
    nvim.start_typing()
    os.kill(nvim.engine_pids()[-1], signal.SIGKILL)
    nvim.keys("<Esc>:%d<CR>ix = 1<CR>")
    nvim.wait_for("return require('spa_lsp').statusline()", "spa: starting")
    nvim.keys("<M-CR>")
    nvim.wait_for("return vim.fn.execute('messages')", lambda said: "spa_lsp: engine restarting …" in said)
