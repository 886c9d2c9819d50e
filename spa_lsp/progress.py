"""Progress of long work, on stderr: a bar with the time left on a terminal, elsewhere plain lines seconds apart."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich import progress as rich_progress

LINE_EVERY_S = 5.0
BYTES = "B"  # the unit that is shown in kB, MB, GB


class Progress(Protocol):
    """What the worker holds."""

    @property
    def total(self) -> int:
        """Units of the whole work."""

    def advance(self, n: int = 1) -> None:
        """`n` more units are done; negative takes back."""

    def note(self, text: str) -> None:
        """One line of text that stays on the screen."""


@contextmanager
def progress(label: str, total: int, unit: str = "") -> Iterator[Progress]:
    """Show `label` and how far the work is, until the block ends.

    Args:
        label: what is done, as `pull qwen2.5-coder-0.5b-instruct`.
        total: units of the whole work; 0: not known.
        unit: `B` for bytes, otherwise a word in the plural, as `samples`.
    """
    if _is_terminal():
        with _bar(label, total, unit) as bar:
            yield bar
    else:
        lines = _Lines(label, total, unit)
        try:
            yield lines
        except BaseException:
            lines.end("stopped")
            raise
        lines.end("done")


def format_amount(n: float, unit: str = "") -> str:
    """`491.4 MB`, `12 samples`, `12`."""
    if unit != BYTES:
        return f"{n:.0f} {unit}".rstrip()
    for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(n) >= size:
            return f"{n / size:.1f} {name}"
    return f"{n:.0f} B"


def format_seconds(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `1 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def note(text: str) -> None:
    """One line on stderr between two works."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class _Lines:
    """Plain lines: one at the start, one at the end, and between them one every `LINE_EVERY_S`."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        self.total = total
        self._label, self._unit, self._done = label, unit, 0
        self._started_s = self._shown_s = time.monotonic()
        self.note(f"{label}: {format_amount(total, unit)}" if total else f"{label}: started")

    def advance(self, n: int = 1) -> None:
        self._done += n
        now_s = time.monotonic()
        if now_s - self._shown_s >= LINE_EVERY_S:
            self._shown_s = now_s
            self.note(f"{self._label}: {self._state(now_s - self._started_s)}")

    def note(self, text: str) -> None:
        note(text)

    def end(self, how: str) -> None:
        took = format_seconds(time.monotonic() - self._started_s)
        amount = f", {format_amount(self._done, self._unit)}" if self._done else ""
        self.note(f"{self._label}: {how} after {took}{amount}")

    def _state(self, passed_s: float) -> str:
        rate = self._done / passed_s
        text = f"{format_amount(self._done, self._unit)} of {format_amount(self.total, self._unit)}"
        if rate <= 0 or not self.total:
            return text
        text += f" ({min(self._done / self.total, 1):.0%})"
        shown = format_amount(rate, BYTES) if self._unit == BYTES else f"{rate:.2g}"
        return f"{text}, {shown}/s, {format_seconds(max(self.total - self._done, 0) / rate)} left"


@contextmanager
def _bar(label: str, total: int, unit: str) -> Iterator[Progress]:
    from rich import progress as rich_progress  # a tenth of a second that only a terminal pays
    from rich.console import Console

    counts: tuple[rich_progress.ProgressColumn, ...] = ()
    if unit == BYTES:
        counts = (rich_progress.DownloadColumn(), rich_progress.TransferSpeedColumn())
    elif total:
        counts = (rich_progress.MofNCompleteColumn(), rich_progress.TextColumn(unit))
    bar = rich_progress.Progress(
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.BarColumn(),
        *([rich_progress.TaskProgressColumn()] if total else []),
        *counts,
        rich_progress.TimeElapsedColumn(),
        rich_progress.TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar:
        yield _Bar(bar, bar.add_task(label, total=total or None), total)


class _Bar:
    def __init__(self, bar: "rich_progress.Progress", task: "rich_progress.TaskID", total: int) -> None:
        self.total = total
        self._bar, self._task = bar, task

    def advance(self, n: int = 1) -> None:
        self._bar.advance(self._task, n)

    def note(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)


def _is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
