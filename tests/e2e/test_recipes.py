"""The recipe of `editor-clients/recipes.md` for an editor without a plugin, as it stands there."""

import re

import pytest

from tests.e2e.canned_engine import TEXTS
from tests.e2e.editor_folders import CannotInstall
from tests.e2e.neovim_install import neovim
from tests.e2e.neovim_session import BASE, ROOT, Session
from tests.fakes import wait_until

pytestmark = pytest.mark.editors

RECIPES = (ROOT / "editor-clients" / "recipes.md").read_text(encoding="utf-8")


@pytest.fixture
def stock(tmp_path):
    recipe = re.search(r"```lua\n(.*?)```", RECIPES, re.S)[1]
    command = "cmd = { 'spa-lsp', '--stdio' }"
    assert command in recipe
    recipe = recipe.replace(command, f"cmd = front, init_options = {{ base = '{BASE}' }}")
    try:
        session = Session(neovim("0.12"), tmp_path, setup=recipe, plugin=False)
    except CannotInstall as error:
        pytest.skip(f"Neovim 0.12 cannot be had here: {error}")
    yield session
    session.quit()


def test_neovim_without_the_plugin_shows_cycles_and_accepts(stock):
    stock.start_typing()
    stock.keys("<M-]>")
    stock.wait_for_ghost(f"{TEXTS[1]} (2/3)")
    stock.keys("<M-[><M-[>")
    stock.wait_for_ghost(f"{TEXTS[2]} (3/3)")
    stock.keys("<Tab>")
    wait_until(lambda: stock.accepted() == [("a3", 2)])
    assert "\n".join(stock.text()) == "def add(a, b):\n    " + TEXTS[2]
