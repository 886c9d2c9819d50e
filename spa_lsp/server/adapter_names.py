"""The adapters of a set by its manifest: whom a front may ask when those it asked say the same."""

import asyncio

from spa_lsp.adapters.finding import find_set
from spa_lsp.errors import SpaError


class AdapterNames:
    """Names by base and set, each read once: a published set never changes."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    async def of(self, base_id: str, adapter_set: str) -> tuple[str, ...]:
        """The adapters of this set in its order; none when it is not to be found."""
        key = (base_id, adapter_set)
        if key not in self._known:
            self._known[key] = await asyncio.to_thread(_read, base_id, adapter_set) if adapter_set else ()
        return self._known[key]


def _read(base_id: str, adapter_set: str) -> tuple[str, ...]:
    try:
        return tuple(info.name for info in find_set(adapter_set, base_id).adapters)
    except SpaError:
        return ()  # another engine's set: what it said is all there is
