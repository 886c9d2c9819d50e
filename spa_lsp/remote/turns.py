"""The rows of one request in their turns: the lead alone, then the others, which branch off it, all at once."""

import asyncio
from collections.abc import Callable, Sequence

from spa_lsp.completion import Alternative, OnAlternative
from spa_lsp.remote.branching import branch_off, lead_of
from spa_lsp.remote.http import HttpServer
from spa_lsp.remote.rows import Row


async def run_in_turn(
    http: HttpServer, rows: Sequence[Row], *, lead: Row | None, timeout_s: float | None, on_end: Callable[[Row], None]
) -> None:
    """Ask for all rows, until the last has ended or the time is over.

    Args:
        http: the server.
        rows: all that are told of.
        lead: the row that the others branch off, which may be none of these; None: they wait for nothing.
        timeout_s: for all of it.
        on_end: told of each of the rows when no more comes of it.
    """
    others = [row for row in rows if row is not lead]
    is_their_turn = asyncio.Event()

    async def run_lead(lead: Row) -> None:
        def hear() -> None:
            if lead.is_without_choices:  # nobody can branch off it, so nobody waits
                is_their_turn.set()

        try:
            await lead.run(http, hear)
            if lead in rows:
                on_end(lead)
            if lead.finish and not is_their_turn.is_set():
                branch_off(lead_of(lead), others)
        finally:
            is_their_turn.set()

    async def run_other(row: Row) -> None:
        await is_their_turn.wait()
        await row.run(http)
        on_end(row)

    if lead is None:
        is_their_turn.set()
    works = [*([(lead, run_lead(lead))] if lead else []), *((row, run_other(row)) for row in others)]
    tasks = [asyncio.create_task(work) for _, work in works]
    try:
        await asyncio.wait(tasks, timeout=timeout_s)
    finally:
        for task in tasks:
            task.cancel()  # which ends its connection, and so the work at the server
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for bug in ended:
        if isinstance(bug, Exception):
            raise bug
    for (row, _), result in zip(works, ended, strict=True):
        if result is not None and row in rows:  # cancelled
            on_end(row)


class InOrder:
    """Tells of rows as they end, the lead before all others, for which those that come before it wait."""

    def __init__(self, lead: Row | None, tell: OnAlternative | None) -> None:
        self._lead = lead
        self._tell = tell
        self._waiting: list[Alternative] = []

    def __call__(self, row: Row) -> None:
        """No more comes of this row."""
        found = [] if row.is_empty else [row.alternative()]
        if row is self._lead:
            self._lead = None
            self._waiting = found + self._waiting
        else:
            self._waiting += found
        while self._lead is None and self._waiting:
            alternative = self._waiting.pop(0)
            if self._tell:
                self._tell(alternative)
