"""Reads the tensors of a GGUF file, mapped and one at a time; blocks of 32 stay the integers that they are.

Not for tokenizers: transformers reads those. The package's own reader takes 8 s here, since it makes objects of every
token; this one steps over them.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spa_lsp.errors import Damaged
from spa_lsp.lm.int8 import quantize

_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_EXACT = {"Q8_0": 34, "Q5_0": 22, "Q4_0": 18}  # bytes of a block of 32: integers with one float16 scale
_CHUNK_ROWS = 8192  # of a matrix that is turned into int8 at once


@dataclass(frozen=True, kw_only=True)
class GgufTensor:
    """One tensor of the file; `shape` is torch's, the outputs first."""

    name: str
    shape: tuple[int, ...]
    kind: str  # F32, Q5_0, …
    data: Any  # numpy bytes, not copied

    @property
    def n_elements(self) -> int:
        """Numbers in the tensor."""
        return int(np.prod(self.shape))

    def floats(self) -> Tensor:
        """All of it in float32."""
        return self._floats(self.data).view(self.shape)

    def blocks(self) -> tuple[Tensor, Tensor]:
        """A matrix as `int8.quantize` gives it: exact for the formats in blocks of 32, else off by half a step."""
        parts = [self._blocks_of(rows) for rows in self._chunks()]
        return torch.cat([numbers for numbers, _ in parts]), torch.cat([scales for _, scales in parts])

    def _chunks(self) -> Iterator[Any]:
        rows = self.data.reshape(self.shape[0], -1)
        for start in range(0, len(rows), _CHUNK_ROWS):
            yield rows[start : start + _CHUNK_ROWS]

    def _blocks_of(self, rows: Any) -> tuple[Tensor, Tensor]:
        if self.kind not in _EXACT:
            return quantize(self._floats(rows).view(len(rows), -1))
        blocks = torch.from_numpy(rows.copy()).view(len(rows), -1, _EXACT[self.kind])
        scales = blocks[..., :2].contiguous().view(torch.float16)[..., 0]
        return _integers(self.kind, blocks[..., 2:]).flatten(1), scales

    def _floats(self, data: Any) -> Tensor:
        from gguf.constants import GGMLQuantizationType
        from gguf.quants import dequantize

        return torch.from_numpy(dequantize(data.reshape(-1), GGMLQuantizationType[self.kind]).copy())


def _integers(kind: str, content: Tensor) -> Tensor:
    """`[N, blocks, 32]` in int8 of what stands behind the scales."""
    if kind == "Q8_0":
        return content.contiguous().view(torch.int8)
    packed = content[..., -16:]
    numbers = torch.cat([packed & 15, packed >> 4], -1)  # the low halves are the first 16
    if kind == "Q4_0":
        return numbers.to(torch.int8) - 8
    fifth = (content[..., :4, None] >> torch.arange(8, dtype=torch.uint8)) & 1  # bit i belongs to number i
    return (numbers | fifth.flatten(-2) << 4).to(torch.int8) - 16


def read_gguf(path: Path) -> tuple[dict[str, Any], list[GgufTensor]]:
    """The fields that are no lists, and the tensors, whose data is mapped.

    Raises:
        Damaged: not a GGUF file, or one that is cut short.
    """
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        cursor = _Cursor(data)
        if cursor.take("4s") != _MAGIC or cursor.take("I") < 2:
            raise Damaged(f"{path} is not a GGUF file of version 2 or later; fetch the base again")
        n_tensors, n_fields = cursor.take("Q"), cursor.take("Q")
        fields = {}
        for _ in range(n_fields):
            name = cursor.text()
            fields[name] = cursor.value(cursor.take("I"))
        infos = [_read_info(cursor) for _ in range(n_tensors)]
    except (struct.error, ValueError, IndexError) as error:
        raise Damaged(f"{path} cannot be read as GGUF ({error}); fetch the base again") from error
    alignment = fields.get("general.alignment", 32)
    start = -(-cursor.at // alignment) * alignment
    content = np.frombuffer(data, dtype=np.uint8)
    tensors = []
    for name, shape, kind_id, offset in infos:
        kind = GGMLQuantizationType(kind_id)
        block, n_bytes = GGML_QUANT_SIZES[kind]
        size = int(np.prod(shape)) // block * n_bytes
        piece = content[start + offset : start + offset + size]
        if len(piece) != size:
            raise Damaged(f"{path} ends inside the tensor {name}; fetch the base again")
        tensors.append(GgufTensor(name=name, shape=shape, kind=kind.name, data=piece))
    return {name: value for name, value in fields.items() if value is not None}, tensors


def _read_info(cursor: "_Cursor") -> tuple[str, tuple[int, ...], int, int]:
    name = cursor.text()
    sizes = [cursor.take("Q") for _ in range(cursor.take("I"))]
    return name, tuple(reversed(sizes)), cursor.take("I"), cursor.take("Q")


class _Cursor:
    """Reads little-endian values one after the other."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at = data, 0

    def take(self, form: str) -> Any:
        (value,) = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += struct.calcsize(f"<{form}")
        return value

    def text(self) -> str:
        size = self.take("Q")
        self.at += size
        return self.data[self.at - size : self.at].decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        """None for a list, which is stepped over."""
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.take(_SCALARS[kind])
        item, n_items = self.take("I"), self.take("Q")
        if item in _SCALARS:
            self.at += n_items * struct.calcsize(f"<{_SCALARS[item]}")
        else:
            for _ in range(n_items):
                self.value(item)
        return None
