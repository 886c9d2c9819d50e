"""Which adapter sets are on this machine, and which one is meant: imported, published by the trainer, shipped.

Reading a set's files is `reading.py`, the choice made by hand `selection.py`.
"""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

from spa_lsp import paths
from spa_lsp.adapters.check import check_made_for
from spa_lsp.adapters.manifest import AdapterSet, check_name, from_manifest
from spa_lsp.adapters.reading import MANIFEST_NAME, read_set
from spa_lsp.adapters.selection import SELECTION_NAME, read_selection
from spa_lsp.errors import BadInput, NotFound, SpaError
from spa_lsp.storage import store
from spa_lsp.storage.whole_files import Stamp, file_stamp

logger = logging.getLogger(__name__)

_DEFAULT_SET = "default"


def find_set(name: str | None, base_id: str | None) -> AdapterSet:
    """The set of this name; for None the selected one, else the newest published one, else the shipped default.

    Imported sets come before published ones of the same name, and those before shipped ones; an imported set is never
    a default, because it comes from someone else. `base_id` may be None when there is a name.

    Raises:
        NotFound: no such set; for None: no set for this base at all, or the selected one is gone.
        AdapterMismatch: the set was made for another base.
    """
    if name is None and base_id is None:
        raise ValueError("a default set is only known for a base: pass a name or a base_id")
    if name is None:
        assert base_id is not None
        name = read_selection().get(base_id)
        return _default_set(base_id) if name is None else _find_selected(name, base_id)
    return _find_named(name, base_id)


def find_served_set(name: str | None, base_id: str) -> AdapterSet | None:
    """The set to serve with a base: as `find_set`, but None for "" and when none is named and there is none.

    Raises:
        NotFound: no set of that name. AdapterMismatch: it was made for another base.
    """
    if name == "":
        return None
    try:
        return find_set(name, base_id)
    except NotFound:
        if name is not None:
            raise
        return None


def places_stamp(base_id: str) -> tuple[Stamp, ...]:
    """What is another when a set was published, selected, imported or replaced; five calls of `stat`, no reading."""
    db = paths.store_path()
    files = [db, db.with_name(f"{db.name}-wal"), paths.data_dir() / SELECTION_NAME]
    folders = [paths.user_sets_dir() / base_id, paths.shipped_models_dir() / base_id]
    return tuple(file_stamp(path) for path in (*files, *folders))


def _default_set(base_id: str) -> AdapterSet:
    published = next(_stored_sets(base_id), None)
    if published:
        return published
    shipped = list(_sets_below(paths.shipped_models_dir(), base_id))
    if not shipped:
        raise NotFound(f"there is no adapter set for {base_id}; import one, or make one: trainer run")
    return min(shipped, key=lambda found: (found.name != _DEFAULT_SET, found.name))


def _find_selected(name: str, base_id: str) -> AdapterSet:
    try:
        return _find_named(name, base_id)
    except NotFound:
        raise NotFound(
            f"the selected adapter set {name!r} is no longer there; run: spa-lsp adapters use --default"
        ) from None


def _find_named(name: str, base_id: str | None) -> AdapterSet:
    check_name(name, what="adapter set")
    named = list(_all_sets(name))
    fitting = [found for found in named if base_id in (None, found.base_id)]
    bases = sorted({found.base_id for found in fitting})
    if len(bases) > 1:
        raise BadInput(f"there is an adapter set {name!r} for {' and for '.join(bases)}; pass --base")
    if fitting:
        return fitting[0]
    if named:
        assert base_id is not None
        check_made_for(named[0], base_id)
    known = sorted({found.name for found in list_sets(base_id)})
    raise NotFound(f"no adapter set {name!r}; {', '.join(known) or 'none'} known: spa-lsp adapters list")


def list_sets(base_id: str | None = None) -> list[AdapterSet]:
    """All sets that can be found: imported, store, shipped, in that order; unreadable ones are logged and left out."""
    return [found for found in _all_sets() if base_id in (None, found.base_id)]


def _all_sets(name: str = "*") -> Iterator[AdapterSet]:
    yield from _sets_below(paths.user_sets_dir(), name=name)
    yield from (found for found in _stored_sets() if name in ("*", found.name))
    yield from _sets_below(paths.shipped_models_dir(), name=name)


def _sets_below(parent: Path, base_id: str = "*", *, name: str = "*") -> Iterator[AdapterSet]:
    """The sets in folders `<base>/<set>`; one that is asked for by name must be readable, others may be left out."""
    for folder in _folders_below(parent, base_id, name):
        try:
            yield _placed_set(folder)
        except SpaError as error:
            if name != "*":
                raise
            logger.warning("adapter set left out: %s", error)


def list_broken() -> dict[Path, SpaError]:
    """The folders among imported and shipped sets that cannot be read as sets, and why."""
    broken = {}
    for parent in (paths.user_sets_dir(), paths.shipped_models_dir()):
        for folder in _folders_below(parent):
            try:
                _placed_set(folder)
            except SpaError as error:
                broken[folder] = error
    return broken


def _folders_below(parent: Path, base_id: str = "*", name: str = "*") -> list[Path]:
    folders = [manifest.parent for manifest in sorted(parent.glob(f"{base_id}/{name}/{MANIFEST_NAME}"))]
    return [folder for folder in folders if not folder.name.startswith(".")]  # those are not finished


def _placed_set(folder: Path) -> AdapterSet:
    found = read_set(folder)
    if (found.base_id, found.name) != (folder.parent.name, folder.name):
        raise BadInput(f"{folder} holds the set {found.base_id}/{found.name}; move it to a folder of that name")
    return found


def _stored_sets(base_id: str | None = None) -> Iterator[AdapterSet]:
    try:
        db = store.open_store()
    except NotFound:
        return
    with closing(db):
        manifests = store.load_manifests(db, base_id)
    yield from (from_manifest(manifest, None) for manifest in manifests)


def source_of(adapter_set: AdapterSet) -> Literal["store", "imported", "shipped", "folder"]:
    """Which of the places the set lies in."""
    if adapter_set.folder is None:
        return "store"
    if adapter_set.folder.is_relative_to(paths.user_sets_dir()):
        return "imported"
    return "shipped" if adapter_set.folder.is_relative_to(paths.shipped_models_dir()) else "folder"
