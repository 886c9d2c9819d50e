"""A piece that no worker survives."""

import os
import signal


class Poison:
    base_id = None

    def start(self, n_threads):
        return lambda piece, give: os.kill(os.getpid(), signal.SIGKILL) if piece else give("alive")
