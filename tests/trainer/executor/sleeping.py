"""Pieces that take so many seconds."""

import time


class Sleeping:
    base_id = None

    def start(self, n_threads):
        return lambda seconds, give: (time.sleep(seconds), give(seconds))
