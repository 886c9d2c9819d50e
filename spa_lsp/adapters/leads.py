"""The last leads, for rows that branch off one when it has been told already. The same here and behind a server."""

from dataclasses import replace
from typing import Generic, TypeVar

from spa_lsp.completion import CompletionRequest

_MAX_LEADS = 4  # documents edited in turn

Lead = TypeVar("Lead")


class Leads(Generic[Lead]):
    """Whole greedy rows by the adapter and what it was asked; the least recently kept goes first."""

    def __init__(self) -> None:
        self._leads: dict[tuple[CompletionRequest, int], Lead] = {}

    def keep(self, request: CompletionRequest, adapter: int, lead: Lead) -> None:
        """For later requests for the same text."""
        self._leads.pop(_key(request, adapter), None)
        self._leads[_key(request, adapter)] = lead
        while len(self._leads) > _MAX_LEADS:
            del self._leads[next(iter(self._leads))]

    def find(self, request: CompletionRequest, adapter: int) -> Lead | None:
        """What is kept of this adapter's answer to the request."""
        return self._leads.get(_key(request, adapter))

    def clear(self) -> None:
        """Other adapters are served now."""
        self._leads.clear()


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
