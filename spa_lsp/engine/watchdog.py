"""Notices when the worker gets nowhere, and ends the engine process where nothing else can."""

import faulthandler
import sys
import time

HANG_S = 60.0  # a prefill chunk of a large base on a busy processor takes some ten seconds
LOAD_PATIENCE = 10  # times as long between two stages of a load: the largest base from a slow disk
_EVERY_S = 1.0  # winding starts a thread: not at every decode step


class Watchdog:
    """Wound up by whoever works; when that stops for `hang_s`, it `is_late`: the event loop tells the clients and ends.

    Where a hanging kernel holds the interpreter's lock there is no event loop: a little later the process is ended
    without it, and the traceback of every thread goes to the log. None: it never bites.
    """

    def __init__(self, hang_s: float | None) -> None:
        self._hang_s = hang_s
        self._wound_at: float | None = None  # None: nobody works
        self.limit_s = 0.0  # between two windings

    @property
    def is_late(self) -> bool:
        """Whether the work does not go on."""
        wound_at = self._wound_at  # of another thread
        return wound_at is not None and bool(self.limit_s) and time.monotonic() - wound_at > self.limit_s + _EVERY_S

    def wind(self, *, patience: int = 1) -> None:
        """The work goes on; the next step may take `patience` times as long as usual."""
        now = time.monotonic()
        if self._hang_s is None or sys.__stderr__ is None or (self._wound_at and now - self._wound_at < _EVERY_S):
            return
        self.limit_s, self._wound_at = self._hang_s * patience, now
        faulthandler.dump_traceback_later(self.limit_s + 3 * _EVERY_S, exit=True, file=sys.__stderr__)

    def stop(self) -> None:
        """The work is done."""
        if self._hang_s is not None:
            faulthandler.cancel_dump_traceback_later()
            self._wound_at = None


def log_threads() -> None:
    """The traceback of every thread goes to the log."""
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback(file=sys.__stderr__)
