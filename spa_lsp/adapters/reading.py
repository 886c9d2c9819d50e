"""Reads an adapter set: its manifest, its adapters' bytes, its card. Only what the manifest promises comes back."""

import hashlib
import json
from contextlib import closing
from pathlib import Path
from typing import Any

from spa_lsp.adapters.manifest import AdapterInfo, AdapterSet, from_manifest
from spa_lsp.errors import BadInput, Damaged, NotFound, SpaError
from spa_lsp.storage import store

MANIFEST_NAME = "manifest.json"
CARD_NAME = "README.md"
_MAX_MANIFEST_BYTES = 4 << 20


def read_set(folder: Path) -> AdapterSet:
    """The set in a folder; only its manifest is read and checked.

    Raises:
        NotFound: no manifest. BadInput, Damaged, TooNew: it cannot be used, with the reason.
    """
    path = folder / MANIFEST_NAME
    try:
        if path.stat().st_size > _MAX_MANIFEST_BYTES:
            raise BadInput(f"{path} has more than {_MAX_MANIFEST_BYTES} bytes; this is not a manifest")
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
        return file.read(_MAX_MANIFEST_BYTES)
