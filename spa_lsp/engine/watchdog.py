"""Ends the engine process when a request hangs: in a kernel, in a lock, anywhere. Its clients then start another."""

import faulthandler
import sys
import time

HANG_S = 60.0  # a prefill chunk of a large base on a busy processor takes some ten seconds
_EVERY_S = 1.0  # winding starts a thread: not at every decode step


class Watchdog:
    """Wound up by whoever works; when that stops for `hang_s`, the traceback of every thread goes to the log.

    It needs neither the interpreter's lock nor the event loop, which a hanging kernel may hold. None: it never bites.
    """

    def __init__(self, hang_s: float | None) -> None:
        self._hang_s = hang_s
        self._wound_at = -_EVERY_S

    def wind(self) -> None:
        """The work goes on."""
        if self._hang_s is None or sys.__stderr__ is None or time.monotonic() - self._wound_at < _EVERY_S:
            return
        self._wound_at = time.monotonic()
        faulthandler.dump_traceback_later(self._hang_s + _EVERY_S, exit=True, file=sys.__stderr__)

    def stop(self) -> None:
        """The work is done."""
        if self._hang_s is not None:
            faulthandler.cancel_dump_traceback_later()
            self._wound_at = -_EVERY_S
