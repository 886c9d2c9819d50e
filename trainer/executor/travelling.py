"""An adapter set on its way to a worker: it takes its files along, and lies in a folder of its own where it arrives."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.reading import read_adapter


@dataclass(frozen=True)
class TravellingSet:
    """A set; what is pickled of it are its manifest and its adapters' bytes."""

    adapter_set: AdapterSet

    def __reduce__(self) -> tuple[Any, ...]:
        files = {info.file: read_adapter(self.adapter_set, info.name) for info in self.adapter_set.adapters}
        return _arrive, (replace(self.adapter_set, folder=None), files)


def _arrive(adapter_set: AdapterSet, files: Mapping[str, bytes]) -> TravellingSet:
    folder = Path(mkdtemp(prefix="spa-set-"))  # as long as the worker
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return TravellingSet(replace(adapter_set, folder=folder))
