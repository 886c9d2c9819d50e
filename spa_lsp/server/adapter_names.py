"""What a front must know of a set: whom it may ask when those it asked say the same, and what orders alternatives."""

import asyncio

from spa_lsp.adapters.finding import find_set, places_stamp
from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.errors import SpaError
from spa_lsp.storage.whole_files import Stamp


class AdapterNames:
    """Names by base and set, read again when a set was published or imported: it may be another of the same name."""

    def __init__(self) -> None:
        self._reads: dict[tuple[str, str], tuple[tuple[Stamp, ...], asyncio.Future[AdapterSet | None]]] = {}

    async def of(self, base_id: str, adapter_set: str) -> tuple[str, ...]:
        """The adapters of this set in its order; none when it is not to be found."""
        found = await self._find(base_id, adapter_set)
        return tuple(info.name for info in found.adapters) if found else ()

    async def ranker_of(self, base_id: str, adapter_set: str) -> dict[str, float]:
        """What orders this set's alternatives; empty when it has none, or is not to be found."""
        found = await self._find(base_id, adapter_set)
        return found.ranker if found else {}

    async def _find(self, base_id: str, adapter_set: str) -> AdapterSet | None:
        if not adapter_set:
            return None
        key, stamp = (base_id, adapter_set), places_stamp(base_id)
        if key not in self._reads or self._reads[key][0] != stamp:
            self._reads[key] = stamp, asyncio.get_running_loop().run_in_executor(None, _read, base_id, adapter_set)
        return await asyncio.shield(self._reads[key][1])  # others may wait for it though this caller gives up


def _read(base_id: str, adapter_set: str) -> AdapterSet | None:
    try:
        return find_set(adapter_set, base_id)
    except SpaError:
        return None  # another engine's set: what it said is all there is
