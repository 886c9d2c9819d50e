"""The two files of weights that a base can have: int8 for serving on a CPU, bfloat16 for everything else.

Both are safetensors, written one tensor after the other and hashed on the way, so that no byte is read again. In the
int8 file a matrix `NAME.weight` lies in the kernel's layout beside `NAME.scales`; the rest is float32.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open
from torch import Tensor

from spa_lsp.errors import Damaged
from spa_lsp.lm.gguf_file import GgufTensor
from spa_lsp.lm.int8 import pack, quantize
from spa_lsp.lm.kernel import BLOCK, PANEL
from spa_lsp.storage.checked_files import OnBytes
from spa_lsp.storage.whole_files import written_whole

FORM = "spa-int8-1"  # of the int8 file; another one is made anew
EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"
_DTYPES = {torch.int8: "I8", torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32"}


class Readable(Protocol):
    """A tensor of the source, read when it is asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Torch's, the outputs first."""

    def floats(self) -> Tensor:
        """In float32."""

    def blocks(self) -> tuple[Tensor, Tensor]:
        """A matrix as `int8.quantize` gives it."""


@dataclass(frozen=True, kw_only=True)
class FloatTensor:
    """A tensor of a safetensors file."""

    path: Path
    name: str
    shape: tuple[int, ...]

    def floats(self) -> Tensor:
        """In float32."""
        with safe_open(self.path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(self.name)
        return tensor.float()

    def blocks(self) -> tuple[Tensor, Tensor]:
        """Off by half a step at most."""
        return quantize(self.floats())


@dataclass(frozen=True, kw_only=True)
class Written:
    """A file as the record of the base names it."""

    sha256: str
    n_bytes: int


@dataclass(frozen=True)
class _Entry:
    """Tensors that one step makes, with what the header says of them."""

    specs: Sequence[tuple[str, torch.dtype, tuple[int, ...]]]
    make: Callable[[], Sequence[Tensor]]


def write_int8(path: Path, tensors: dict[str, Readable], on_bytes: OnBytes | None = None) -> Written:
    """Write the int8 file; a head that is tied to the embedding gets a matrix of its own.

    Raises:
        Damaged: a tensor holds numbers that are not finite.
    """
    entries = [_int8_entry(name, tensor) for name, tensor in _with_head(tensors).items()]
    return _write(path, sorted(entries, key=lambda entry: len(entry.specs), reverse=True), {"form": FORM}, on_bytes)


def write_floats(path: Path, tensors: dict[str, Readable], on_bytes: OnBytes | None = None) -> Written:
    """Write the bfloat16 file that transformers reads; see `write_int8`."""
    entries = [_float_entry(name, tensor, torch.bfloat16) for name, tensor in tensors.items()]
    return _write(path, entries, {"format": "pt"}, on_bytes)


def write_index(path: Path, index: Path) -> None:
    """Write, as transformers does for a model in several files, that all tensors lie in this one."""
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
    content = {"metadata": {"total_size": path.stat().st_size}, "weight_map": dict.fromkeys(names, path.name)}
    with written_whole(index) as unfinished:
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")


def int8_size(tensors: dict[str, Readable]) -> int:
    """Bytes of the tensors that `write_int8` will write."""
    entries = [_int8_entry(name, tensor) for name, tensor in _with_head(tensors).items()]
    return sum(math.prod(shape) * dtype.itemsize for entry in entries for _, dtype, shape in entry.specs)


def float_tensors(path: Path) -> dict[str, Readable]:
    """What a safetensors file of a base can give."""
    with safe_open(path, framework="pt") as file:
        return {
            name: FloatTensor(path=path, name=name, shape=tuple(file.get_slice(name).get_shape()))
            for name in file.keys()  # noqa: SIM118  (no mapping)
        }


def read_int8(path: Path) -> dict[str, Tensor]:
    """The tensors of the int8 file, mapped and not read."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _with_head(tensors: dict[str, Readable]) -> dict[str, Readable]:
    return tensors if HEAD in tensors else tensors | {HEAD: tensors[EMBEDDING]}


def _int8_entry(name: str, tensor: Readable) -> _Entry:
    if len(tensor.shape) != 2:
        return _float_entry(name, tensor, torch.float32)
    n_out, n_blocks = tensor.shape[0], -(-tensor.shape[1] // BLOCK)
    scales_name = f"{name.removesuffix('.weight')}.scales"
    if name == EMBEDDING:
        scales_shape: tuple[int, ...] = (n_out, n_blocks)
    else:
        n_out += -n_out % PANEL
        scales_shape = (n_out // PANEL, n_blocks, PANEL)

    def make() -> Sequence[Tensor]:
        numbers, scales = tensor.blocks()
        _check_finite(name, scales)
        return (numbers, scales) if name == EMBEDDING else pack(numbers, scales)

    specs = [(name, torch.int8, (n_out, n_blocks * BLOCK)), (scales_name, torch.float16, scales_shape)]
    return _Entry(specs, make)


def _float_entry(name: str, tensor: Readable, dtype: torch.dtype) -> _Entry:
    def make() -> Sequence[Tensor]:
        floats = tensor.floats()
        _check_finite(name, floats)
        return [floats.to(dtype)]

    return _Entry([(name, dtype, tensor.shape)], make)


def _check_finite(name: str, tensor: Tensor) -> None:
    if not torch.isfinite(tensor).all():
        raise Damaged(f"the tensor {name} holds numbers that are not finite; fetch the base again")


def _write(path: Path, entries: Sequence[_Entry], metadata: dict[str, str], on_bytes: OnBytes | None) -> Written:
    header = _header(entries, metadata)
    digest = hashlib.sha256(header)
    with path.open("wb") as file:
        file.write(header)
        for entry in entries:
            for (name, dtype, shape), tensor in zip(entry.specs, entry.make(), strict=True):
                if (tensor.dtype, tuple(tensor.shape)) != (dtype, shape):
                    raise Damaged(f"the tensor {name} came out as {tuple(tensor.shape)}, expected {shape}")
                data: Any = tensor.contiguous().view(torch.uint8).reshape(-1).numpy()
                file.write(data)
                digest.update(data)
                if on_bytes:
                    on_bytes(len(data))
        file.flush()
        os.fsync(file.fileno())
    return Written(sha256=digest.hexdigest(), n_bytes=path.stat().st_size)


def _header(entries: Sequence[_Entry], metadata: dict[str, str]) -> bytes:
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, dtype, shape in (spec for entry in entries for spec in entry.specs):
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": _DTYPES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % 64)  # tensors begin where a cache line does
    return len(text).to_bytes(8, "little") + text


def gguf_tensors(architecture: str, tensors: Sequence[GgufTensor]) -> dict[str, Readable] | None:
    """The tensors under transformers' names; None for an architecture whose tensors must be rearranged."""
    if architecture != "qwen2":  # llama's q and k are permuted, for instance
        return None
    named = {_qwen2_name(tensor.name): tensor for tensor in tensors if not tensor.name.startswith("rope_freqs")}
    return None if "" in named else dict(named)


_QWEN2_TOP = {"token_embd": "model.embed_tokens", "output": "lm_head", "output_norm": "model.norm"}
_QWEN2_LAYER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def _qwen2_name(name: str) -> str:
    """Empty for one that Qwen2 does not have."""
    stem, _, part = name.rpartition(".")
    if stem in _QWEN2_TOP:
        return f"{_QWEN2_TOP[stem]}.{part}"
    block, _, module = stem.removeprefix("blk.").partition(".")
    return f"model.layers.{block}.{_QWEN2_LAYER[module]}.{part}" if module in _QWEN2_LAYER else ""
