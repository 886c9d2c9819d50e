"""Records and their JSON in the store: what is written can be read, also when an older version wrote it.

A field that the JSON lacks gets its default, one that is no longer known is passed over. What is not a finite number is
null in JSON and `nan` as a float.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from cattrs import BaseValidationError, Converter

from spa_lsp.errors import Damaged

_Record = TypeVar("_Record")

_converter = Converter()
_converter.register_structure_hook(float, lambda value, _: math.nan if value is None else float(value))


def content_id(value: object) -> str:
    """sha256 of the canonical JSON of a value; dataclasses count as their fields, tuples as lists."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def canonical(value: object) -> str:
    """JSON that is the same for equal values; of a dataclass only what belongs into a key."""
    return json.dumps(value, default=_key_fields, sort_keys=True, separators=(",", ":"), allow_nan=False)


def read_record(kind: type[_Record], data: Mapping[str, Any], *, of: str) -> _Record:
    """The record that was written as this JSON object.

    Raises:
        Damaged: it is none of this kind.
    """
    try:
        return _converter.structure(data, kind)
    except (BaseValidationError, ValueError, TypeError, KeyError) as error:
        raise Damaged(
            f"{of} was written by another version ({kind.__name__} cannot be read); run that stage again"
        ) from error


def plain(value: object) -> Any:
    """A record, or a part of one, as JSON-able data, whole; what is no finite number becomes None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    value = _leaf(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _key_fields(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value) if _is_in_key(each, value)}
    found = _leaf(value)
    if found is value:
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return found


def _is_in_key(each: "Field[Any]", record: object) -> bool:
    if each.metadata.get("is_added"):
        default = each.default if each.default is not MISSING else None
        return bool(getattr(record, each.name) != default)
    return bool(each.metadata.get("is_in_key", True))


def _leaf(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    item = getattr(value, "item", None)  # a numpy scalar
    return value if item is None else item()
