"""Any program of a terminal, run in Neovim's: keys in, the text on its screen out."""

import time

from tests.e2e.neovim_rpc import Neovim
from tests.fakes import PATIENCE_S

START = """
local command, env = ...
vim.o.columns, vim.o.lines = 100, 30
vim.cmd.enew()
return vim.fn.jobstart(command, { term = true, env = env })
"""


class Terminal(Neovim):
    """A terminal of 100 columns in which one program runs."""

    def __init__(self, neovim, command, *, env):
        super().__init__([neovim, "--clean", "-n"])
        self._channel = self.lua(START, [str(part) for part in command], env)

    def send(self, keys):
        """Press keys, as the bytes that a terminal sends for them."""
        self.call("nvim_chan_send", self._channel, keys)

    def screen(self):
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self.text())

    def wait_for_screen(self, *texts, timeout_s=PATIENCE_S):
        """Wait until all of these stand on the screen."""
        end = time.monotonic() + timeout_s
        while not all(text in (screen := self.screen()) for text in texts):
            assert time.monotonic() < end, f"{texts} are not all on the screen:\n{screen}"
            time.sleep(0.05)
