"""Adapter sets on this machine: where they lie (imported, store, shipped), reading them, writing them, choosing one.

A set is data: no code, no pickle. Turning its tensors into matrices is `lm/bank.py`. The records and checks of
`manifest.py` and `check.py` are offered here too, so that callers need one import.
"""

import errno
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from sqlite_utils import Database

from spa_lsp import paths
from spa_lsp.adapters.check import base_linears, check_adapter, check_base, expected_shapes
from spa_lsp.adapters.manifest import (
    Activation,
    AdapterInfo,
    AdapterSet,
    check_name,
    check_set,
    from_manifest,
    to_manifest,
)
from spa_lsp.errors import AdapterMismatch, BadInput, Damaged, NoSpace, NotFound, SpaError
from spa_lsp.storage import store
from spa_lsp.storage.private_files import make_private_folder, write_private_file

__all__ = [
    "Activation",
    "AdapterInfo",
    "AdapterSet",
    "CARD_NAME",
    "MANIFEST_NAME",
    "SELECTION_NAME",
    "base_linears",
    "check_adapter",
    "check_base",
    "check_name",
    "check_set",
    "clear_selection",
    "describe_adapter",
    "expected_shapes",
    "find_served_set",
    "find_set",
    "finished_folder",
    "from_manifest",
    "list_broken",
    "list_sets",
    "publish",
    "read_adapter",
    "read_card",
    "read_selection",
    "read_set",
    "select_set",
    "source_of",
    "to_manifest",
    "with_name",
    "write_files",
    "write_set",
]

logger = logging.getLogger(__name__)

MANIFEST_NAME = "manifest.json"
CARD_NAME = "README.md"
SELECTION_NAME = "selected-sets.json"
DEFAULT_SET = "default"
MAX_MANIFEST_BYTES = 4 << 20


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


def _default_set(base_id: str) -> AdapterSet:
    published = next(_stored_sets(base_id), None)
    if published:
        return published
    shipped = list(_sets_below(paths.shipped_models_dir(), base_id))
    if not shipped:
        raise NotFound(f"there is no adapter set for {base_id}; import one, or make one: trainer run")
    return min(shipped, key=lambda found: (found.name != DEFAULT_SET, found.name))


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
        raise AdapterMismatch(
            f"adapter set {name!r} was made for {named[0].base_id}, the base is {base_id}; "
            f"pass --base {named[0].base_id} or choose another set"
        )
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


def read_set(folder: Path) -> AdapterSet:
    """The set in a folder; only its manifest is read and checked.

    Raises:
        NotFound: no manifest. BadInput, Damaged, TooNew: it cannot be used, with the reason.
    """
    path = folder / MANIFEST_NAME
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise BadInput(f"{path} has more than {MAX_MANIFEST_BYTES} bytes; this is not a manifest")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound(f"{folder} is not an adapter set: cannot read {MANIFEST_NAME} ({error.strerror})") from None
    except UnicodeDecodeError:
        raise Damaged(f"{path} is not UTF-8 text; fetch the set again") from None
    try:
        return from_manifest(_parse_json(text), folder)
    except SpaError as error:
        raise type(error)(f"{path}: {error}") from None


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"this is not JSON ({error}); fetch the set again") from None


def read_adapter(adapter_set: AdapterSet, name: str) -> bytes:
    """The safetensors bytes of one adapter, checked against the sha256 of the manifest.

    Raises:
        NotFound: no such adapter, or its file is gone. Damaged: the content is not what the manifest promises.
    """
    info = next((adapter for adapter in adapter_set.adapters if adapter.name == name), None)
    if info is None:
        known = ", ".join(adapter.name for adapter in adapter_set.adapters)
        raise NotFound(f"adapter set {adapter_set.name!r} has no adapter {name!r}; it has {known}")
    if adapter_set.folder is not None:
        return _read_file(adapter_set.folder, info)
    with closing(store.open_store()) as db:
        return store.load_adapter(db, adapter_set.set_id, name)


def _read_file(folder: Path, info: AdapterInfo) -> bytes:
    path = folder / info.file
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BadInput(f"{path} leads out of its folder; put the file itself there")
    try:
        n_bytes = path.stat().st_size
        if n_bytes != info.n_bytes:
            raise Damaged(f"{path} has {n_bytes} bytes, the manifest says {info.n_bytes}; fetch the set again")
        data = path.read_bytes()
    except OSError as error:
        raise NotFound(f"cannot read {path} ({error.strerror}); fetch the set again") from None
    found = hashlib.sha256(data).hexdigest()
    if found != info.sha256:
        raise Damaged(f"{path} has sha256 {found[:12]}…, the manifest says {info.sha256[:12]}…; fetch the set again")
    return data


def read_card(adapter_set: AdapterSet) -> str | None:
    """The text about the set that lies beside its manifest; None when there is none, as for sets of the store."""
    path = adapter_set.folder / CARD_NAME if adapter_set.folder else None
    if path is None or path.is_symlink() or not path.is_file():
        return None
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(MAX_MANIFEST_BYTES)


def with_name(adapter_set: AdapterSet, name: str | None) -> AdapterSet:
    """The same set under another name; None keeps the name.

    Raises:
        BadInput: it is not a name.
    """
    if name is not None:
        check_name(name, what="adapter set")
    return adapter_set if name is None else replace(adapter_set, name=name)


def source_of(adapter_set: AdapterSet) -> Literal["store", "imported", "shipped", "folder"]:
    """Which of the places the set lies in."""
    if adapter_set.folder is None:
        return "store"
    if adapter_set.folder.is_relative_to(paths.user_sets_dir()):
        return "imported"
    return "shipped" if adapter_set.folder.is_relative_to(paths.shipped_models_dir()) else "folder"


def describe_adapter(name: str, data: bytes, *, label: str, figures: dict[str, Any] | None = None) -> AdapterInfo:
    """The manifest's record of an adapter with these bytes."""
    sha256 = hashlib.sha256(data).hexdigest()
    return AdapterInfo(
        name=name, label=label, file=f"{name}.safetensors", sha256=sha256, n_bytes=len(data), figures=figures or {}
    )


def write_set(
    folder: Path,
    adapter_set: AdapterSet,
    adapters: Mapping[str, bytes],
    *,
    card: str | None = None,
    is_replacing: bool = False,
) -> AdapterSet:
    """Write a set as a folder: everything beside it first, then one rename; the set with its folder comes back.

    Raises:
        BadInput: the folder exists and `is_replacing` is False, or the set cannot be used.
        Damaged: the bytes are not those that the set describes. NoSpace: the disk is full.
    """
    check_set(adapter_set)
    _check_contents(adapter_set, adapters)
    with finished_folder(folder, is_replacing=is_replacing) as unfinished:
        write_files(unfinished, adapter_set, adapters, card)
    return read_set(folder)


@contextmanager
def finished_folder(folder: Path, *, is_replacing: bool = False) -> Iterator[Path]:
    """A folder to fill that takes the place of `folder` only when all has gone well.

    Raises:
        BadInput: `folder` exists and `is_replacing` is False, or cannot be written. NoSpace: the disk is full.
    """
    if folder.exists() and not is_replacing:
        raise BadInput(f"{folder} exists already; remove it or choose another name")
    try:
        make_private_folder(folder.parent)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as parent:
            unfinished = Path(parent) / "new"
            unfinished.mkdir(mode=0o700)
            yield unfinished
            _swap_in(unfinished, folder, aside=Path(parent) / "old")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(f"no room left for {folder}; make room and run the command again") from None
        raise BadInput(f"cannot write {folder} ({error.strerror}); choose another folder") from None


def _check_contents(adapter_set: AdapterSet, adapters: Mapping[str, bytes]) -> None:
    for info in adapter_set.adapters:
        found = hashlib.sha256(adapters[info.name]).hexdigest()
        if found != info.sha256:
            raise Damaged(f"adapter {info.name!r} has sha256 {found[:12]}…, its set says {info.sha256[:12]}…")
        check_adapter(adapters[info.name], adapter_set)


def write_files(folder: Path, adapter_set: AdapterSet, adapters: Mapping[str, bytes], card: str | None) -> None:
    """Write adapters, card and manifest into a folder that is there and empty."""
    for info in adapter_set.adapters:
        write_private_file(folder / info.file, adapters[info.name])
    if card is not None:
        write_private_file(folder / CARD_NAME, card.encode())
    manifest = json.dumps(to_manifest(adapter_set), indent=2, ensure_ascii=False, allow_nan=False)
    write_private_file(folder / MANIFEST_NAME, f"{manifest}\n".encode())


def _swap_in(new: Path, folder: Path, *, aside: Path) -> None:
    if folder.exists():
        folder.rename(aside)
    try:
        new.rename(folder)
    except OSError:
        if aside.exists():
            aside.rename(folder)
        raise


def publish(db: Database, adapter_set: AdapterSet, adapters: Mapping[str, bytes]) -> str:
    """Check a set and its files, and make it the published one of the store; the set's id comes back.

    Raises:
        SpaError: as `check_adapter` and `store.publish_set`; what was published before stays.
    """
    check_set(adapter_set)
    _check_contents(adapter_set, adapters)
    return store.publish_set(db, to_manifest(adapter_set), adapters)


def read_selection() -> dict[str, str]:
    """The set chosen by hand for each base id.

    Raises:
        Damaged: the file cannot be read as such.
    """
    path = paths.data_dir() / SELECTION_NAME
    try:
        selection = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        selection = None
    if not isinstance(selection, dict) or not all(isinstance(name, str) for name in selection.values()):
        raise Damaged(f"{path} does not hold a choice of sets; run: spa-lsp adapters use --default")
    return selection


def select_set(adapter_set: AdapterSet) -> None:
    """Choose a set for its base, until another is chosen."""
    _write_selection({**read_selection(), adapter_set.base_id: adapter_set.name})


def clear_selection(base_id: str | None = None) -> None:
    """Go back to the default set of one base, or of all; also mends a damaged choice."""
    _write_selection({} if base_id is None else {k: v for k, v in read_selection().items() if k != base_id})


def _write_selection(selection: dict[str, str]) -> None:
    path = paths.data_dir() / SELECTION_NAME
    make_private_folder(path.parent)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    write_private_file(unfinished, f"{store.canonical_json(selection)}\n".encode())
    unfinished.replace(path)
