"""The last leads, for rows that branch off one when it has been told already."""

from dataclasses import replace

from spa_lsp.completion import CompletionRequest
from spa_lsp.lm.decode import Row

_MAX_LEADS = 4  # documents edited in turn


class Leads:
    """Whole greedy rows by the adapter and what it was asked; the least recently kept goes first."""

    def __init__(self) -> None:
        self._rows: dict[tuple[CompletionRequest, int], Row] = {}

    def keep(self, request: CompletionRequest, adapter: int, row: Row) -> None:
        """For later requests for the same text."""
        self._rows.pop(_key(request, adapter), None)
        self._rows[_key(request, adapter)] = row
        while len(self._rows) > _MAX_LEADS:
            del self._rows[next(iter(self._rows))]

    def find(self, request: CompletionRequest, adapter: int) -> Row | None:
        """What is kept of this adapter's answer to the request."""
        return self._rows.get(_key(request, adapter))

    def clear(self) -> None:
        """Other adapters are served now."""
        self._rows.clear()


def _key(request: CompletionRequest, adapter: int) -> tuple[CompletionRequest, int]:
    """Without what a greedy answer does not depend on."""
    asked = replace(
        request,
        adapters=(),
        k=None,
        lead_first=False,
        behind="",
        tells_growing=False,
        temperature=None,
        top_p=1.0,
        seed=0,
        deadline_s=None,
        document="",
    )
    return asked, adapter
