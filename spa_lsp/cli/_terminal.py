"""A terminal that gives single keys and shows one screen, and is what it was before when the block ends."""

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_ESCAPE_S = 0.05  # the rest of an arrow key's code comes at once, after Escape alone nothing comes
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def is_terminal() -> bool:
    """Whether a person sits at both ends and the terminal can move its cursor."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Keyboard:
    """Bytes of keys as they are pressed."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, timeout_s: float) -> bytes:
        """What was typed within this time; empty when nothing was, `q` when the terminal is gone."""
        if not self._is_waiting(timeout_s):
            return b""
        data = os.read(self._fd, 64)
        while data.endswith((b"\x1b", b"\x1b[", b"\x1bO")) and self._is_waiting(_ESCAPE_S):
            data += os.read(self._fd, 64)
        return data or b"q"

    def _is_waiting(self, timeout_s: float) -> bool:
        return bool(select.select([self._fd], [], [], timeout_s)[0])


@contextmanager
def full_screen(console: "Console") -> Iterator[Keyboard]:
    """The alternate screen and unbuffered keys; Ctrl-C, kill and errors leave the terminal as it was, too."""
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    handlers = {number: signal.signal(number, _end) for number in _ENDING_SIGNALS}
    try:
        _take_keys(fd)
        with console.screen():
            yield Keyboard(fd)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _take_keys(fd: int) -> None:
    tty.setcbreak(fd)  # Ctrl-C stays a signal
    changed: list[Any] = termios.tcgetattr(fd)
    changed[6][termios.VSUSP] = b"\0"  # Ctrl-Z would leave the shell with our terminal
    termios.tcsetattr(fd, termios.TCSADRAIN, changed)


def _end(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
