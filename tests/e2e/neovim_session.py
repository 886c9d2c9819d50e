"""A Neovim with the plugin, the real front behind it, and a canned engine behind that."""

import os
import time
from pathlib import Path

from spa_lsp import paths
from spa_lsp.engine.client import stop_engine
from spa_lsp.engine.supervisor import socket_path
from spa_lsp.outcomes.file import NAME as OUTCOMES_NAME
from spa_lsp.outcomes.file import read_outcomes
from tests.e2e import canned_engine
from tests.e2e.neovim_rpc import Neovim
from tests.fakes import PATIENCE_S
from tests.server.lsp_client import server_command

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "editor-clients" / "neovim"
BASE = "fake-base"
BEGIN = "idef add(a, b):<CR>"  # the indent of the next line is the editor's
GHOST = """
local out = {}
for _, name in ipairs({ 'nvim.lsp.inline_completion', 'spa_lsp.ghost' }) do
  local namespace = vim.api.nvim_create_namespace(name)
  for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })) do
    local lines = { mark[4].virt_text }
    vim.list_extend(lines, mark[4].virt_lines or {})
    for _, line in ipairs(lines) do
      local text = ''
      for _, chunk in ipairs(line) do text = text .. chunk[1] end
      table.insert(out, text)
    end
  end
end
return table.concat(out, '\\n')
"""
HINT = """
local namespace = vim.api.nvim_create_namespace('spa_lsp.hint')
local mark = vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })[1]
return mark and mark[4].virt_text[1][1] or ''
"""


class Session(Neovim):
    """Neovim with a file open in it; homes of its own are those of the environment when it is made."""

    def __init__(self, program, folder, *, setup, before="", plugin=True):
        self.outcomes = paths.data_dir() / OUTCOMES_NAME
        self.engine_path = socket_path(BASE, "auto")
        self.engines = folder / "engines"
        self.slowly = folder / "slowly"
        self.haltingly = folder / "haltingly"
        files = {"log": self.engines, "slowly": self.slowly, "haltingly": self.haltingly}
        engine = canned_engine.command(self.engine_path, **{name: str(file) for name, file in files.items()})
        init = folder / "init.lua"
        init.write_text(
            f"vim.opt.runtimepath:prepend({str(PLUGIN)!r})\n" * plugin
            + "vim.o.swapfile, vim.o.shada, vim.o.expandtab, vim.o.autoindent = false, '', true, true\n"
            + f"front = {lua_list(server_command(engine))}\n{before}\n{setup}\n"
        )
        self.file = folder / "add.py"
        super().__init__([program, "--clean", "-u", init, self.file], env=own_folders(folder))

    def ghost(self):
        """The completion on screen, without the text around it."""
        return self.lua(GHOST)

    def hint(self):
        """What stands at the end of the line."""
        return self.lua(HINT)

    def line(self):
        """The line at the cursor."""
        return self.call("nvim_get_current_line")

    def wait_for_ghost(self, text):
        """Wait until this completion is on screen."""
        self.wait_for(GHOST, text)

    def wait_for_hint(self, text):
        """Wait until this stands at the end of the line."""
        self.wait_for(HINT, text)

    def wait_for_server(self):
        """Wait until the file has a server."""
        self.wait_for("return #vim.lsp.get_clients({ name = 'spa_lsp', bufnr = 0 })", 1)

    def start_typing(self, begin=BEGIN, *, is_asked=True):
        """An empty file, and the beginning of a function in it; wait for the first completion if one is asked for."""
        self.wait_for_server()
        self.keys("<Esc>:stopinsert | %d<CR>" + begin)
        end = time.monotonic() + PATIENCE_S
        while is_asked and not self.ghost():  # an engine that still loads has nothing to say: type on until it has
            assert time.monotonic() < end, f"no completion; the messages: {self.messages()}"
            time.sleep(1)
            if not self.ghost():
                self.keys(" <BS>")

    def accepted(self):
        """Adapter and index of all that was recorded as accepted."""
        return [(each["adapter"], each["index"]) for each in read_outcomes(self.outcomes) if each["kind"] == "accepted"]

    def engine_pids(self):
        """Ids of the engine processes that were started, oldest first."""
        return [int(line) for line in self.engines.read_text().split()] if self.engines.exists() else []

    def quit(self):
        """End Neovim and the engine."""
        super().quit()
        stop_engine(self.engine_path)


def setup(**options):
    """Lua that calls `setup` with the canned server and these options, given as Lua."""
    given = {"cmd": "front", "settings": f"{{ base = '{BASE}' }}", **options}
    return "require('spa_lsp').setup({ " + ", ".join(f"{name} = {value}" for name, value in given.items()) + " })"


def lua_list(texts):
    """A Lua list of these texts, whatever is in them."""
    return "{ " + ", ".join(f"[===[\n{text}]===]" for text in texts) + " }"


def own_folders(folder):
    """An environment in which Neovim and Python find nothing of the user's."""
    names = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
    return {**os.environ, **{name: str(folder / name) for name in names}, "PYTHONPATH": str(ROOT)}
