"""The plugin in real Neovims, the real front behind it, a canned engine behind that."""

import os
import signal
import time

import pytest

from spa_lsp.engine.client import stop_engine
from spa_lsp.engine.supervisor import socket_path
from spa_lsp.store import read_outcomes
from tests.e2e.canned_engine import TEXTS
from tests.e2e.neovim_install import VERSIONS, CannotInstall, neovim
from tests.e2e.neovim_session import BASE, HINT, Session, setup
from tests.fakes import wait_until

pytestmark = pytest.mark.editors


@pytest.fixture(scope="module", params=VERSIONS)
def program(request):
    try:
        return neovim(request.param)
    except CannotInstall as error:
        pytest.skip(f"Neovim {request.param} cannot be had here: {error}")


@pytest.fixture
def start(program, tmp_path):
    """Start a Neovim with the plugin; options as in `Session`."""
    sessions = []

    def start(**options):
        sessions.append(Session(program, tmp_path, **{"setup": setup(), **options}))
        return sessions[-1]

    yield start
    for session in sessions:
        session.quit()
    stop_engine(socket_path(BASE, "auto"))


def accepted():
    return [(outcome["adapter"], outcome["index"]) for outcome in read_outcomes() if outcome["kind"] == "accepted"]


def test_alternatives_are_cycled_both_ways_and_around_the_ends(start):
    nvim = start()
    nvim.start_typing()
    assert nvim.ghost() == TEXTS[0]
    nvim.wait_for(HINT, "1/3 · operators")
    nvim.keys("<M-]>")
    nvim.wait_for_ghost(TEXTS[1])
    nvim.wait_for(HINT, "2/3 · built-in functions")
    nvim.keys("<M-[><M-[>")
    nvim.wait_for_ghost(TEXTS[2])
    assert nvim.hint() == "3/3 · step by step"
    assert nvim.lua("return require('spa_lsp').statusline()") == "3/3 · step by step"
    nvim.keys("<M-]>")
    nvim.wait_for_ghost(TEXTS[0])
    assert nvim.text() == ["def add(a, b):", "    "]


def test_the_accepted_alternative_is_inserted_and_recorded(start):
    nvim = start()
    nvim.start_typing()
    nvim.keys("<M-]><M-]>")
    nvim.wait_for_ghost(TEXTS[2])
    nvim.keys("<Tab>")
    wait_until(lambda: accepted() == [("a3", 2)])
    assert "\n".join(nvim.text()) == "def add(a, b):\n    " + TEXTS[2]
    assert nvim.call("nvim_win_get_cursor", 0) == [4, len("    return total")]
    assert nvim.messages() == ""


def test_a_part_keeps_the_alternative(start):
    nvim = start()
    nvim.start_typing()
    nvim.keys("<M-]>")
    nvim.wait_for_ghost(TEXTS[1])
    nvim.keys("<M-Right>")
    nvim.wait_for_ghost(" sum([a, b])")
    nvim.wait_for(HINT, lambda hint: hint.endswith("built-in functions"))
    nvim.keys("<M-Right>")
    nvim.wait_for_ghost("([a, b])")
    time.sleep(0.6)  # an answer to a request made in between must not bring another one
    assert nvim.ghost() == "([a, b])"
    assert accepted() == []
    nvim.keys("<Tab>")
    wait_until(lambda: accepted() == [("a2", 1)])
    assert nvim.text() == ["def add(a, b):", "    " + TEXTS[1]]


def test_a_line_is_accepted(start):
    nvim = start()
    nvim.start_typing()
    nvim.keys("<M-[>")
    nvim.wait_for_ghost(TEXTS[2])
    nvim.keys("<M-C-Right>")
    nvim.wait_for("return vim.api.nvim_get_current_line()", "    total = a")


def test_typing_goes_through_the_completion(start):
    nvim = start()
    nvim.start_typing()
    nvim.keys("return s")
    nvim.wait_for_ghost("um([a, b])")
    nvim.wait_for(HINT, lambda hint: hint.startswith("1/1"))


def test_dismissed_is_gone_until_more_is_typed(start):
    nvim = start()
    nvim.start_typing()
    nvim.keys("<C-]>")
    nvim.wait_for_ghost("")
    time.sleep(0.5)
    assert (nvim.ghost(), nvim.hint()) == ("", "")
    nvim.keys("r")
    nvim.wait_for_ghost(TEXTS[0][1:])


def test_leaving_insert_mode_takes_all_away(start):
    nvim = start()
    nvim.start_typing()
    nvim.keys("<Esc>")
    nvim.wait_for_ghost("")
    nvim.wait_for(HINT, "")


def test_tab_is_a_tab_where_nothing_is_shown(start):
    nvim = start()
    nvim.start_typing()
    nvim.keys("<Esc>o<C-u>zzz<Tab>x")
    nvim.wait_for("return vim.api.nvim_get_current_line()", lambda line: line.strip().startswith("zzz  "))


def test_a_superseded_request_leaves_no_trace_on_screen(start):
    nvim = start(engine={"echoes": True, "wait_s": 0.5})
    nvim.start_typing()
    seen = set()
    nvim.keys("<C-u>")
    for key in "abcd":
        nvim.keys(key)
        seen |= {nvim.ghost() for _ in watch(0.3)}
    seen |= {nvim.ghost() for _ in watch(2.5)}
    assert seen - {""} == {"<abcd>0"}
    assert nvim.messages() == ""


def watch(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.02)
        yield


def test_a_killed_engine_costs_nothing_but_a_moment(start):
    nvim = start()
    nvim.start_typing()
    os.kill(nvim.engine_pids()[-1], signal.SIGKILL)
    nvim.keys("<C-u>")
    nvim.start_typing("<Esc>ccdef add(a, b):<CR>    ")
    assert nvim.ghost() == TEXTS[0]
    assert len(nvim.engine_pids()) == 2
    assert nvim.lua("return vim.api.nvim_get_mode().mode") == "i"


def test_completions_can_be_switched_off_and_on(start):
    nvim = start()
    nvim.start_typing()
    nvim.keys("<Cmd>SpaLsp toggle<CR>")
    nvim.wait_for_ghost("")
    nvim.keys("r")
    time.sleep(0.8)
    assert nvim.ghost() == ""
    assert nvim.lua("return require('spa_lsp').statusline()") == "spa: off"
    nvim.keys("<Cmd>SpaLsp toggle<CR>e")
    nvim.wait_for_ghost(TEXTS[0][2:])


@pytest.mark.parametrize("what", ["buffer", "filetype"])
def test_completions_can_be_switched_off_in_a_place(start, what):
    nvim = start()
    nvim.start_typing()
    nvim.keys(f"<Cmd>SpaLsp toggle {what}<CR>r")
    nvim.wait_for_ghost("")
    time.sleep(0.8)
    assert nvim.ghost() == ""
    nvim.keys(f"<Cmd>SpaLsp toggle {what}<CR>e")
    nvim.wait_for_ghost(TEXTS[0][2:])


def test_only_the_key_asks_when_the_user_wants_it_so(start):
    nvim = start(setup=setup(auto_trigger="false"))
    nvim.wait_for("return #vim.lsp.get_clients({ name = 'spa_lsp', bufnr = 0 })", 1)
    nvim.keys("idef add(a, b):<CR>    ")
    wait_until(lambda: nvim.engine_pids())
    time.sleep(0.5)
    assert nvim.ghost() == ""
    nvim.keys("<M-Bslash>")
    nvim.wait_for_ghost(TEXTS[0])


def test_the_panel_shows_all_and_inserts_the_chosen_one(start):
    nvim = start()
    nvim.start_typing()
    nvim.keys("<M-CR>")
    nvim.wait_for("return vim.api.nvim_get_current_line()", "1/3 · operators")
    assert nvim.text() == [
        "1/3 · operators",
        TEXTS[0],
        "",
        "2/3 · built-in functions",
        TEXTS[1],
        "",
        "3/3 · step by step",
        *TEXTS[2].split("\n"),
    ]
    nvim.keys("3")
    wait_until(lambda: accepted() == [("a3", 2)])
    assert "\n".join(nvim.text()) == "def add(a, b):\n    " + TEXTS[2]
    nvim.keys("!")
    assert nvim.text()[-1] == "    return total!"


def test_the_panel_is_left_without_a_trace(start):
    nvim = start(setup=setup(panel="{ layout = 'split' }"))
    nvim.start_typing()
    nvim.keys("<M-CR>")
    nvim.wait_for("return #vim.api.nvim_list_wins()", 2)
    nvim.keys("]]")
    nvim.wait_for("return vim.api.nvim_get_current_line()", "2/3 · built-in functions")
    nvim.keys("q")
    nvim.wait_for("return #vim.api.nvim_list_wins()", 1)
    nvim.wait_for("return vim.api.nvim_get_mode().mode", "i")
    assert nvim.text() == ["def add(a, b):", "    "]
    assert nvim.call("nvim_win_get_cursor", 0) == [2, 4]


def test_a_key_that_the_user_has_mapped_is_left_alone(start):
    nvim = start(before="vim.keymap.set('i', '<Tab>', 'MINE')\nvim.keymap.set('i', '<M-]>', 'ALSO')")
    nvim.start_typing()
    nvim.keys("<Tab><M-]>")
    nvim.wait_for("return vim.api.nvim_get_current_line()", "    MINEALSO")
    nvim.lua("vim.cmd('checkhealth spa_lsp')")
    assert any("<Tab> is your own map" in line for line in nvim.text())


def test_no_key_is_mapped_when_the_user_wants_none(start):
    nvim = start(setup=setup(keymaps="false"), before="vim.keymap.set('i', '<C-f>', '<Plug>(spa-lsp-accept)')")
    nvim.start_typing()
    assert nvim.lua("return vim.fn.maparg('<M-]>', 'i')") == ""
    nvim.keys("<C-f>")
    wait_until(lambda: accepted() == [("a1", 0)])


def test_health_says_what_is_there(start):
    nvim = start()
    nvim.start_typing()
    nvim.keys("<Esc>")
    nvim.lua("vim.cmd('checkhealth spa_lsp')")
    report = "\n".join(nvim.text())
    assert "completions are shown by" in report
    assert "the server runs" in report
    assert "no default key was taken" in report


def test_a_missing_server_is_said_once(start):
    nvim = start(setup=setup(cmd="{ 'no-such-spa-lsp' }"))
    nvim.lua("for i = 1, 3 do vim.cmd('edit other' .. i .. '.py') end")
    assert nvim.messages().count("no-such-spa-lsp") == 1
    nvim.lua("vim.cmd('checkhealth spa_lsp')")
    assert any('there is no program "no-such-spa-lsp"' in line for line in nvim.text())


def test_the_server_is_restarted(start):
    nvim = start()
    nvim.start_typing()
    before = nvim.lua("return vim.lsp.get_clients({ name = 'spa_lsp' })[1].id")
    nvim.keys("<Esc>:SpaLsp restart<CR>")
    ids = "return vim.tbl_map(function(client) return client.id end, vim.lsp.get_clients({ name = 'spa_lsp' }))"
    nvim.wait_for(ids, lambda now: len(now) == 1 and now != [before])
    nvim.start_typing("<Esc>ccdef add(a, b):<CR>    ")
    assert nvim.ghost() == TEXTS[0]
