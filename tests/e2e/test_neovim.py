"""The plugin in real Neovims, the real front behind it, a canned engine behind that.

One Neovim serves all tests of a version that do not need one with other options.
"""

import os
import shutil
import signal
import tempfile
import time

import pytest

from tests.e2e.canned_engine import TEXTS
from tests.e2e.neovim_session import BASE, HINT, Session, setup
from tests.fakes import wait_until

pytestmark = pytest.mark.editors

STATUS_LINE = "return require('spa_lsp').statusline()"
MESSAGES = "return vim.fn.execute('messages')"
GHOST_ANYWHERE = """
local n = 0
for _, name in ipairs({ 'nvim.lsp.inline_completion', 'spa_lsp.ghost', 'spa_lsp.hint' }) do
  n = n + #vim.api.nvim_buf_get_extmarks(BUFNR, vim.api.nvim_create_namespace(name), 0, -1, {})
end
return n
"""
ENABLE = f"""
if vim.lsp.enable then
  vim.lsp.config('spa_lsp', {{ cmd = front, init_options = {{ base = '{BASE}' }} }})
  vim.lsp.enable('spa_lsp')
end
"""


@pytest.fixture(scope="module")
def shared(neovim_program, tmp_path_factory):
    folder, runtime = tmp_path_factory.mktemp("neovim"), tempfile.mkdtemp(prefix="spa")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("SPA_HOME", str(folder / "home"))
        monkeypatch.setenv("SPA_CACHE", str(folder / "cache"))
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        session = Session(neovim_program, folder, setup=setup())
    yield session
    session.quit()
    shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture
def nvim(shared):
    """The Neovim of this version with the beginning of a function and the first completion."""
    shared.outcomes.unlink(missing_ok=True)
    shared.lua(f"vim.cmd('messages clear') {setup()}")
    shared.start_typing()
    return shared


def test_alternatives_are_cycled_both_ways_and_around_the_ends(nvim):
    assert nvim.ghost() == TEXTS[0]
    nvim.wait_for_hint("1/3 · operators")
    nvim.keys("<M-]>")
    nvim.wait_for_ghost(TEXTS[1])
    nvim.wait_for_hint("2/3 · built-in functions")
    nvim.keys("<M-[><M-[>")
    nvim.wait_for_ghost(TEXTS[2])
    nvim.wait_for_hint("3/3 · step by step")
    assert nvim.lua("return require('spa_lsp').statusline()") == "3/3 · step by step"
    nvim.keys("<M-]>")
    nvim.wait_for_ghost(TEXTS[0])
    assert nvim.text() == ["def add(a, b):", "    "]


def test_the_accepted_alternative_is_inserted_and_recorded(nvim):
    nvim.keys("<M-]><M-]>")
    nvim.wait_for_ghost(TEXTS[2])
    nvim.keys("<Tab>")
    wait_until(lambda: nvim.accepted() == [("a3", 2)])
    assert "\n".join(nvim.text()) == "def add(a, b):\n    " + TEXTS[2]
    assert nvim.call("nvim_win_get_cursor", 0) == [4, len("    return total")]
    assert nvim.messages() == ""


def test_a_part_keeps_the_alternative(nvim):
    nvim.keys("<M-]>")
    nvim.wait_for_ghost(TEXTS[1])
    nvim.keys("<M-Right>")
    nvim.wait_for_ghost(" sum([a, b])")
    assert {nvim.ghost() for _ in watch(2)} == {" sum([a, b])"}  # also when the next answer has another one in front
    nvim.keys("<M-Right>")
    nvim.wait_for_ghost("([a, b])")
    nvim.wait_for(HINT, lambda text: text.endswith("built-in functions"))
    assert nvim.accepted() == []
    nvim.keys("<Tab>")
    wait_until(lambda: nvim.accepted() == [("a2", 1)])
    assert nvim.text() == ["def add(a, b):", "    " + TEXTS[1]]


def test_a_line_is_accepted(nvim):
    nvim.keys("<M-[>")
    nvim.wait_for_ghost(TEXTS[2])
    nvim.keys("<M-C-Right>")
    nvim.wait_for("return vim.api.nvim_get_current_line()", "    total = a")
    assert nvim.accepted() == []


def test_typing_goes_through_the_completion(nvim):
    nvim.keys("return s")
    nvim.wait_for_ghost("um([a, b])")
    nvim.wait_for_hint("1/1 · built-in functions")


def test_dismissed_is_gone_until_more_is_typed(nvim):
    nvim.keys("<C-]>")
    nvim.wait_for_ghost("")
    assert {nvim.ghost() for _ in watch(1)} == {""}
    assert nvim.hint() == ""
    nvim.keys("r")
    nvim.wait_for_ghost(TEXTS[0][1:])


def test_leaving_insert_mode_takes_all_away(nvim):
    nvim.keys("<Esc>")
    nvim.wait_for_ghost("")
    nvim.wait_for_hint("")


LEAVES = {
    "ctrl-c": "<C-c>",
    "ctrl-c and more": "<C-c>k",
    "ctrl-o": "<C-o>",
    "replace mode": "<Insert>",
    "window": "<Cmd>new<CR>",
    "buffer": "<Cmd>enew<CR>",
    "tab page": "<Cmd>tabnew<CR>",
    "focus": "<Cmd>doautocmd FocusLost<CR>",
}


# issue 13
@pytest.mark.parametrize("keys", LEAVES.values(), ids=LEAVES)
def test_each_way_out_of_typing_takes_all_away(nvim, keys):
    bufnr = nvim.lua("return vim.api.nvim_get_current_buf()")
    nvim.keys(keys)
    nvim.wait_for(GHOST_ANYWHERE.replace("BUFNR", str(bufnr)), 0)
    assert {nvim.lua(GHOST_ANYWHERE.replace("BUFNR", str(bufnr))) for _ in watch(1)} == {0}
    nvim.keys("<Esc><Esc>")
    nvim.lua(f"vim.cmd('stopinsert | silent! tabonly! | silent! only! | buffer! {bufnr}')")


# issue 13
def test_with_the_focus_the_completion_comes_back(nvim):
    nvim.keys("<Cmd>doautocmd FocusLost<CR>")
    nvim.wait_for_ghost("")
    nvim.keys("<Cmd>doautocmd FocusGained<CR>")
    nvim.wait_for_ghost(TEXTS[0])


# issue 13
@pytest.mark.parametrize(
    ("keys", "accepted"),
    [("<Tab>", "turn a + b"), ("<M-Right>", "turn"), ("<M-C-Right>", "turn a + b")],
    ids=["whole", "word", "line"],
)
def test_what_is_accepted_is_one_undo_step_of_its_own(nvim, keys, accepted):
    nvim.keys("re")
    nvim.wait_for_ghost("turn a + b")
    nvim.keys(keys)
    nvim.wait_for("return vim.api.nvim_get_current_line()", "    re" + accepted)
    nvim.keys(" # x<Esc>u")
    nvim.wait_for("return vim.api.nvim_get_current_line()", "    re" + accepted)
    nvim.keys("u")
    nvim.wait_for("return vim.api.nvim_get_current_line()", "    re")
    wait_until(lambda: len(nvim.accepted()) == (accepted != "turn"))  # it may come late, and must not into another test


def begin_haltingly(nvim, name):
    """Begin another function while the engine has told its first alternative only, which is on screen then."""
    nvim.haltingly.touch()
    nvim.start_typing(f"idef {name}(a, b):<CR>", is_asked=False)
    nvim.wait_for_ghost(TEXTS[0])
    nvim.wait_for_hint("1/1 · operators")


# issue 12
def test_the_lead_is_shown_at_once_and_the_others_come_without_a_flicker(nvim):
    begin_haltingly(nvim, "at_once")
    nvim.haltingly.unlink()
    seen = {nvim.ghost() for _ in watch(1)}
    nvim.wait_for_hint("1/3 · operators")
    assert seen == {nvim.ghost()} == {TEXTS[0]}
    nvim.keys("<M-]>")
    nvim.wait_for_ghost(TEXTS[1])
    assert nvim.messages() == ""


# issue 12
def test_the_lead_is_accepted_while_the_others_are_computed(nvim):
    begin_haltingly(nvim, "accepted")
    nvim.keys("<Tab>")
    wait_until(lambda: nvim.accepted() == [("a1", 0)])
    assert nvim.text() == ["def accepted(a, b):", "    " + TEXTS[0]]
    nvim.haltingly.unlink()
    assert {nvim.ghost() for _ in watch(1)} == {""}
    assert nvim.messages().strip() == ""  # 0.10 now and then has an empty line


# issue 12
def test_one_types_through_the_lead_while_the_others_are_computed(nvim):
    begin_haltingly(nvim, "through")
    nvim.keys("return ")
    nvim.wait_for_ghost("a + b")
    seen = {nvim.ghost() for _ in watch(1)}
    nvim.haltingly.unlink()
    nvim.wait_for_hint("1/2 · operators")
    assert seen == {nvim.ghost()} == {"a + b"}


def test_tab_is_a_tab_where_nothing_is_shown(nvim):
    nvim.keys("<C-u>    zzz")
    nvim.wait_for_ghost("")
    nvim.keys("<Tab>x")
    nvim.wait_for("return vim.api.nvim_get_current_line()", "    zzz x")


def test_a_superseded_request_leaves_no_trace_on_screen(nvim):
    nvim.slowly.touch()
    nvim.keys("<C-]>")
    nvim.wait_for_ghost("")
    seen = set()
    for key in "abcd":
        nvim.keys(key)
        seen |= {nvim.ghost() for _ in watch(0.3)}
    for _ in watch(40):
        seen.add(ghost := nvim.ghost())
        if ghost == "<abcd>0":
            break
    seen |= {nvim.ghost() for _ in watch(2)}
    nvim.slowly.unlink()
    assert seen == {"", "<abcd>0"}
    assert nvim.messages() == ""


def watch(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.02)
        yield


def test_a_killed_engine_costs_nothing_but_a_moment(nvim):
    before = nvim.engine_pids()
    os.kill(before[-1], signal.SIGKILL)
    nvim.start_typing("idef add_other(a, b):<CR>")  # the server knows the answer to the usual text
    assert nvim.ghost() == TEXTS[0]
    assert len(nvim.engine_pids()) == len(before) + 1


@pytest.mark.parametrize("what", ["", "all", "buffer", "filetype"])
def test_completions_can_be_switched_off_and_on(nvim, what):
    nvim.keys(f"<Cmd>SpaLsp toggle {what}<CR>r")
    nvim.wait_for_ghost("")
    assert {nvim.ghost() for _ in watch(1)} == {""}
    assert nvim.lua("return require('spa_lsp').statusline()") == "spa: off"
    nvim.keys(f"<Cmd>SpaLsp toggle {what}<CR>e")
    nvim.wait_for_ghost(TEXTS[0][2:])


def test_only_the_key_asks_when_the_user_wants_it_so(nvim):
    nvim.lua(setup(auto_trigger="false"))
    nvim.start_typing(is_asked=False)
    assert {nvim.ghost() for _ in watch(1)} == {""}
    nvim.keys("<M-Bslash>")
    nvim.wait_for_ghost(TEXTS[0])


def test_the_panel_shows_all_and_inserts_the_chosen_one(nvim):
    nvim.keys("<M-CR>")
    nvim.wait_for("return vim.api.nvim_get_current_line()", "1/3 · operators")
    shown = ["1/3 · operators", TEXTS[0], "", "2/3 · built-in functions", TEXTS[1], "", "3/3 · step by step", TEXTS[2]]
    assert "\n".join(nvim.text()) == "\n".join(shown)
    nvim.keys("3")
    wait_until(lambda: nvim.accepted() == [("a3", 2)])
    assert "\n".join(nvim.text()) == "def add(a, b):\n    " + TEXTS[2]
    nvim.keys("!")
    nvim.wait_for("return vim.api.nvim_get_current_line()", "    return total!")


def test_the_panel_is_left_without_a_trace(nvim):
    nvim.lua(setup(panel="{ layout = 'split' }"))
    nvim.keys("<M-CR>")
    nvim.wait_for("return #vim.api.nvim_list_wins()", 2)
    nvim.keys("]]")
    nvim.wait_for("return vim.api.nvim_get_current_line()", "2/3 · built-in functions")
    nvim.keys("q")
    nvim.wait_for("return #vim.api.nvim_list_wins()", 1)
    nvim.wait_for("return vim.api.nvim_get_mode().mode", "i")
    assert nvim.text() == ["def add(a, b):", "    "]
    assert nvim.call("nvim_win_get_cursor", 0) == [2, 4]


def test_a_key_of_the_user_may_call_an_action(nvim):
    nvim.lua("vim.keymap.set('i', '<C-f>', '<Plug>(spa-lsp-accept)')")
    nvim.keys("<C-f>")
    wait_until(lambda: nvim.accepted() == [("a1", 0)])


def test_health_says_what_is_there(nvim):
    nvim.keys("<Esc>")
    nvim.lua("vim.cmd('checkhealth spa_lsp')")
    report = "\n".join(nvim.text())
    nvim.lua("vim.cmd('bwipeout!')")
    assert "completions are shown by" in report
    assert "the server runs" in report
    assert "no default key was taken" in report


def test_the_server_is_restarted(nvim):
    ids = "return vim.tbl_map(function(client) return client.id end, vim.lsp.get_clients({ name = 'spa_lsp' }))"
    before = nvim.lua(ids)
    nvim.keys("<Esc>:SpaLsp restart<CR>")
    nvim.wait_for(ids, lambda now: len(now) == 1 and now != before)
    nvim.start_typing()
    assert nvim.ghost() == TEXTS[0]


def test_subcommands_ask_the_server_and_say_what_it_answers(nvim):
    nvim.keys("<Cmd>SpaLsp status<CR>")
    nvim.wait_for(MESSAGES, lambda said: "spa_lsp: ready · fake-base" in said)
    nvim.keys("<Cmd>SpaLsp metrics<CR>")
    nvim.wait_for("return #vim.api.nvim_list_wins()", 2)
    assert "adapters" in "\n".join(nvim.text())
    nvim.keys("q")
    nvim.wait_for("return #vim.api.nvim_list_wins()", 1)
    nvim.keys(":SpaLsp clear-cache<CR>")
    nvim.wait_for(MESSAGES, lambda said: "spa_lsp: cache cleared" in said)
    nvim.keys(":SpaLsp frobnicate<CR>")
    nvim.wait_for(MESSAGES, lambda said: 'no subcommand "frobnicate"; there are base, clear-cache' in said)


def test_the_engine_is_restarted(nvim):
    before = nvim.engine_pids()
    nvim.keys("<Cmd>SpaLsp restart engine<CR>")
    nvim.wait_for(MESSAGES, lambda said: "the engine starts again" in said)
    nvim.start_typing("idef add_third(a, b):<CR>")
    assert nvim.ghost() == TEXTS[0]
    assert len(nvim.engine_pids()) == len(before) + 1


def test_subcommands_are_completed_on_the_command_line(nvim):
    assert nvim.call("nvim_call_function", "getcompletion", ["SpaLsp to", "cmdline"]) == ["toggle"]
    found = nvim.call("nvim_call_function", "getcompletion", ["SpaLsp toggle ", "cmdline"])
    assert found == ["all", "buffer", "filetype"]


def test_highlight_groups_follow_the_colour_scheme(nvim):
    links = "return vim.tbl_map(function(name) return vim.api.nvim_get_hl(0, { name = name }).link end, ...)"
    names = ["SpaLspHint", "SpaLspPanelTitle", "SpaLspPanelDiff"]
    assert nvim.lua(links, names) == ["NonText", "Title", "DiffAdd"]


def test_without_setup_the_plugin_works_by_enabling_the_server(start):
    nvim = start(call=ENABLE)
    if not nvim.lua("return vim.fn.has('nvim-0.11') == 1"):
        pytest.skip("vim.lsp.enable is there since Neovim 0.11")
    nvim.start_typing()
    nvim.keys("<M-]>")
    nvim.wait_for_ghost(TEXTS[1])
    nvim.wait_for_hint("2/3 · built-in functions")
    nvim.keys("<Tab>")
    wait_until(lambda: nvim.accepted() == [("a2", 1)])
    assert nvim.messages() == ""


def test_a_key_that_the_user_has_mapped_is_left_alone(start):
    nvim = start(before="vim.keymap.set('i', '<Tab>', 'MINE')\nvim.keymap.set('i', '<M-]>', 'ALSO')")
    nvim.keys("i<Tab><M-]>")
    nvim.wait_for("return vim.api.nvim_get_current_line()", "MINEALSO")
    nvim.lua("vim.cmd('checkhealth spa_lsp')")
    assert any("<Tab> is your own map" in line for line in nvim.text())


def test_a_key_that_the_user_maps_later_is_theirs(start):
    nvim = start()
    nvim.lua("vim.keymap.set('i', '<M-]>', 'LATER')")
    nvim.keys("i<M-]>")
    nvim.wait_for("return vim.api.nvim_get_current_line()", "LATER")


def test_no_key_is_mapped_when_the_user_wants_none(start):
    nvim = start(keymaps="false")
    assert nvim.lua("return vim.fn.maparg('<M-]>', 'i')") == ""
    assert nvim.lua("return vim.fn.maparg('<Plug>(spa-lsp-next)', 'i') ~= ''")


def test_an_option_that_cannot_be_used_is_said(start):
    nvim = start(debounce_ms="-1", typo="1")
    assert 'option "debounce_ms" must be milliseconds, 0 or more; its default is kept' in nvim.messages()
    assert 'unknown option "typo"' in nvim.messages()


# issue 13: the second project went by the settings of the first, and nothing said why a file got nothing
def test_a_second_project_goes_by_its_own_settings_and_the_status_line_names_the_rule(nvim, tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".spa-lsp.toml").write_text('ignore = ["*.py"]')
    nvim.keys(f"<Esc>:write! | edit {tmp_path / 'second.py'}<CR>")
    nvim.wait_for_server()
    nvim.wait_for(STATUS_LINE, "spa: this file is left alone (setting ignore: *.py)")
    nvim.keys(f"<Esc>:edit {nvim.file}<CR>")
    nvim.wait_for(STATUS_LINE, "spa: ready")


def test_two_projects_have_one_server(nvim, tmp_path):
    (tmp_path / ".git").mkdir()
    nvim.keys(f"<Esc>:write! | edit {tmp_path / 'second.py'}<CR>")
    nvim.wait_for_server()
    assert nvim.lua("return #vim.lsp.get_clients({ name = 'spa_lsp' })") == 1
    nvim.keys(f"<Esc>:edit {nvim.file}<CR>")
    nvim.wait_for_server()
