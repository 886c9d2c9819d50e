"""Writes an adapter set: as a folder that appears whole or not at all, or into the store as the published one."""

import errno
import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from spa_lsp.adapters.check import check_adapter
from spa_lsp.adapters.manifest import AdapterInfo, AdapterSet, check_set, to_manifest
from spa_lsp.adapters.reading import CARD_NAME, MANIFEST_NAME, read_set
from spa_lsp.errors import BadInput, Damaged, NoSpace
from spa_lsp.storage import store
from spa_lsp.storage.private_files import make_private_folder, write_private_file
from spa_lsp.storage.whole_files import put_in_place


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
            put_in_place(unfinished, folder)
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


def publish(db: Database, adapter_set: AdapterSet, adapters: Mapping[str, bytes]) -> str:
    """Check a set and its files, and make it the published one of the store; the set's id comes back.

    Raises:
        SpaError: as `check_adapter` and `store.publish_set`; what was published before stays.
    """
    check_set(adapter_set)
    _check_contents(adapter_set, adapters)
    return store.publish_set(db, to_manifest(adapter_set), adapters)
