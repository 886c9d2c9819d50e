"""Strict reading of safetensors bytes with numpy alone: every byte is accounted for, and no name comes twice.

Not a replacement for the `safetensors` package: it only looks, so that bad files are refused before torch sees them.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spa_lsp.errors import BadInput, Damaged

MAX_HEADER_BYTES = 16 << 20  # ours have 0.1 MB; the format's own limit is 100 MB
# element bytes, and the exponent bits that are all ones in NaN and Inf
_FLOATS = {"F32": ("<u4", 0x7F800000), "F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80)}


@dataclass(frozen=True, kw_only=True)
class TensorView:
    """One tensor of a file: little-endian `data`, not copied."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: memoryview

    def is_finite(self) -> bool:
        """Whether no element is NaN or Inf, by the exponent bits."""
        kind, exponent = _FLOATS[self.dtype]
        return not np.any((np.frombuffer(self.data, dtype=kind) & exponent) == exponent)


def view_tensors(data: bytes) -> list[TensorView]:
    """The tensors of a file in the order of their data; F32, F16 and BF16 only.

    Raises:
        BadInput: not a safetensors file, or a dtype that adapters do not have.
        Damaged: the header does not describe exactly the bytes that follow.
    """
    _refuse_pickle(data)
    header_end = _header_end(data[:8], len(data))
    header = _parse_header(data[8:header_end])
    return list(_cut(header, memoryview(data)[header_end:]))


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a file, from its header alone."""
    with path.open("rb") as file:
        header_end = _header_end(file.read(8), path.stat().st_size)
        header = _parse_header(file.read(header_end - 8))
    return {name: tuple(record["shape"]) for name, record in header.items()}


def _refuse_pickle(data: bytes) -> None:
    # a good file may begin with these bytes too, when its header has that length; then the header follows
    if data[8:9] != b"{" and data.startswith((b"PK\x03\x04", b"\x80")):
        raise BadInput("this is a pickle, which can run code when it is read; save it as safetensors")


def _header_end(first: bytes, n_bytes: int) -> int:
    size = int.from_bytes(first, "little")
    if len(first) < 8 or n_bytes < 8 + size:
        raise Damaged(f"the file is cut short ({n_bytes} bytes); fetch it again")
    if size > MAX_HEADER_BYTES:
        raise BadInput(f"the header has {size} bytes, more than {MAX_HEADER_BYTES}; this is not an adapter")
    return 8 + size


def _parse_header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"this is not a safetensors file ({error})") from None
    if not isinstance(header, dict):
        raise BadInput("this is not a safetensors file (its header is not an object)")
    header.pop("__metadata__", None)
    for name, record in header.items():
        if not _is_tensor_record(record):
            raise Damaged(f"the header's entry for {name!r} is not a tensor's")
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice in its header")
    return found


def _is_tensor_record(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and record.keys() == {"dtype", "shape", "data_offsets"}
        and isinstance(record["dtype"], str)
        and _are_sizes(record["shape"])
        and _are_sizes(record["data_offsets"])
        and len(record["data_offsets"]) == 2
    )


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _cut(header: dict[str, Any], data: memoryview) -> Iterator[TensorView]:
    position = 0
    for name, record in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = record["data_offsets"]
        if record["dtype"] not in _FLOATS:
            raise BadInput(f"{name!r} has dtype {record['dtype']}, adapters have {', '.join(_FLOATS)}")
        item_bytes = np.dtype(_FLOATS[record["dtype"]][0]).itemsize
        if begin != position or end - begin != math.prod(record["shape"]) * item_bytes or end > len(data):
            raise Damaged(f"{name!r} does not lie where the header says; fetch the file again")
        yield TensorView(name=name, dtype=record["dtype"], shape=tuple(record["shape"]), data=data[begin:end])
        position = end
    if position != len(data):
        raise Damaged(f"{len(data) - position} bytes at the end belong to no tensor; fetch the file again")
