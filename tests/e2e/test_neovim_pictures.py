"""The pictures of the plugin's README are what a real Neovim 0.12 draws; `make clients-pictures` takes them anew."""

import os
from pathlib import Path

import pytest

from tests.e2e.canned_engine import TEXTS
from tests.e2e.editor_folders import CannotInstall
from tests.e2e.neovim_install import neovim
from tests.e2e.neovim_screen import Screen
from tests.e2e.neovim_session import PLUGIN, Session, setup

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


def test_pictures_show_what_neovim_draws(nvim):
    screen = Screen(nvim)
    nvim.start_typing()
    nvim.keys("<M-[>")
    nvim.wait_for_hint("3/3 · step by step")
    rows = screen.lines()
    assert rows[1] == "    total = a 3/3 · step by step"
    assert rows[2:4] == ["    total += b", "    return total"]
    assert rows[-2].endswith("3/3 · step by step")
    check_picture("ghost.svg", screen.svg())

    nvim.keys("<M-CR>")
    nvim.wait_for("return vim.api.nvim_get_current_line()", "1/3 · operators")
    rows = screen.lines()
    assert any(TEXTS[1] in row for row in rows)
    assert any("2/3 · built-in functions" in row for row in rows)
    check_picture("panel.svg", screen.svg())


def check_picture(name, svg):
    folder = os.environ.get("SPA_PICTURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / name).write_text(svg, encoding="utf-8")
    there = PLUGIN / "images" / name
    assert there.read_text(encoding="utf-8") == svg, f"{name} is stale; run: make clients-pictures"
