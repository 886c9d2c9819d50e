"""What a real Neovim 0.12 draws; its pictures are taken with the real base, by `test_editors_model.py`."""

import pytest

from tests.e2e.canned_engine import TEXTS
from tests.e2e.editor_folders import CannotInstall
from tests.e2e.neovim_install import neovim
from tests.e2e.neovim_screen import Screen
from tests.e2e.neovim_session import Session, setup

pytestmark = pytest.mark.editors

LOOK = """
vim.o.laststatus, vim.o.ruler, vim.o.showmode, vim.o.fillchars = 2, false, false, 'eob: '
vim.o.statusline = ' %t %= %{v:lua.require("spa_lsp").statusline()} '
"""


@pytest.fixture
def nvim(tmp_path):
    try:
        session = Session(neovim("0.12"), tmp_path, setup=setup(), before=LOOK)
    except CannotInstall as error:
        pytest.skip(f"Neovim 0.12 cannot be had here: {error}")
    yield session
    session.quit()


def test_neovim_draws_the_ghost_text_its_label_and_the_panel(nvim):
    screen = Screen(nvim)
    nvim.start_typing()
    nvim.keys("<M-[>")
    nvim.wait_for_hint("3/3 · step by step")
    rows = screen.lines()
    assert rows[1] == "    total = a 3/3 · step by step"
    assert rows[2:4] == ["    total += b", "    return total"]
    assert rows[-2].endswith("3/3 · step by step")

    nvim.keys("<M-CR>")
    nvim.wait_for("return vim.api.nvim_get_current_line()", "1/3 · operators")
    rows = screen.lines()
    assert any(TEXTS[1] in row for row in rows)
    assert any("2/3 · built-in functions" in row for row in rows)
