"""One decode step as one call of the compiled kernel (`step.cpp`), where torch needs a thousand small operators.

For int8 bases of Qwen2's kind on a CPU. Prompts and steps of several requests go through the modules: the oracle, too.
"""

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.bank import BankLinear
from spa_lsp.lm.int8 import Int8Linear
from spa_lsp.lm.kernel import Kernel
from spa_lsp.lm.qwen2 import Qwen2

_LINEARS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
_MLP_LINEARS = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
_MULTIPLE = 8  # of which all widths must be one
_MAX_QUERIES = 64  # for one head of keys


class _Step(ctypes.Structure):
    """`Step` of step.cpp."""

    _fields_ = [
        *[(name, ctypes.c_int64) for name in ("path", "n_threads", "n_layers", "n_rows", "width", "n_heads")],
        *[(name, ctypes.c_int64) for name in ("n_kv_heads", "head_width", "mlp_width")],
        *[(name, ctypes.c_double) for name in ("epsilon", "scaling")],
        *[(name, ctypes.c_void_p) for name in ("layers", "last_norm", "cos", "sin", "prefix_of", "adapter_of")],
        *[(name, ctypes.c_int64) for name in ("n_prefixes", "own_length")],
        *[(name, ctypes.c_void_p) for name in ("prefix_lengths", "prefixes", "own", "x")],
    ]


class CompiledStep:
    """The next token of every row of one model."""

    def __init__(self, model: Qwen2, kernel: Kernel) -> None:
        config = model.config
        self._decoder: Any = model.get_decoder()
        self._kernel = kernel
        self._sizes = {
            "n_layers": config.num_hidden_layers,
            "width": config.hidden_size,
            "n_heads": config.num_attention_heads,
            "n_kv_heads": config.num_key_value_heads,
            "head_width": config.head_dim,
            "mlp_width": config.intermediate_size,
            "epsilon": config.rms_norm_eps,
            "scaling": config.head_dim**-0.5,
        }
        names = [name.rpartition(".") for name in (*_LINEARS, *_MLP_LINEARS)]
        # looked up anew in every step: a bank puts its own linears there
        self._places: list[tuple[dict[str, Any], str]] = [
            (layer.get_submodule(parent)._modules, child)
            for layer in self._decoder.layers
            for parent, _, child in names
        ]
        self._held: list[Any] = []  # linears and adapters that `_layers` points into
        self._layers: Any = None

    def __call__(self, ids: Tensor, positions: Tensor, key_values: KeyValues) -> Tensor:
        """Hidden states `[B, 1, D]` of one token of every row, `[B, 1]`; keys and values are added, not counted."""
        x: Tensor = self._decoder.embed_tokens(ids).contiguous()
        cos, sin = self._decoder.rotary_emb(x, positions)
        n_rows, sizes = len(ids), self._sizes
        own = key_values.make_room(1, n_rows=n_rows, n_heads=sizes["n_kv_heads"], width=sizes["head_width"])
        prefixes, prefix_of = _prefixes(key_values, n_rows)
        # all that is pointed at must live until the call is over
        held = [
            _int64(prefix_of),
            _int64(self._adapters(n_rows)),
            _int64([prefix.length for prefix in prefixes]),
            _int64(
                [each for layer in range(sizes["n_layers"]) for prefix in prefixes for each in _memory(prefix, layer)]
            ),
            _int64([each for pair in own for each in _pointers(*pair)]),
        ]
        at = [ctypes.addressof(array) for array in held]
        step = _Step(
            **sizes,
            **{"path": self._kernel.index, "n_threads": torch.get_num_threads(), "n_rows": n_rows},
            **{"layers": ctypes.addressof(self._layers), "last_norm": self._decoder.norm.weight.data_ptr()},
            **{"cos": cos.data_ptr(), "sin": sin.data_ptr(), "prefix_of": at[0], "adapter_of": at[1]},
            **{"n_prefixes": len(prefixes), "own_length": key_values.length, "prefix_lengths": at[2]},
            **{"prefixes": at[3], "own": at[4], "x": x.data_ptr()},
        )
        self._kernel.step(step)
        return x

    def _adapters(self, n_rows: int) -> list[int]:
        """The adapter of each row; what the layers are is brought up to date."""
        linears = [modules[name] for modules, name in self._places]
        banked = [linear for linear in linears if isinstance(linear, BankLinear)]
        is_on = bool(banked) and banked[0].switch.is_on
        used = [*linears, *(linear.all if is_on else None for linear in banked)]
        if len(used) != len(self._held) or any(a is not b for a, b in zip(used, self._held, strict=True)):
            self._held, self._layers = used, self._describe(linears, is_on)
        assert not is_on or banked[0].switch.rows is None  # parts of a batch are for training
        rows = banked[0].switch.selected if is_on else None
        found = list(range(n_rows)) if rows is None else rows
        # else the kernel would read behind the adapters, or behind this list
        assert not is_on or (len(found) == n_rows and max(found) < _n_adapters(banked[0]))
        return found

    def _describe(self, linears: Sequence[Any], is_on: bool) -> Any:
        n = len(_LINEARS) + len(_MLP_LINEARS)
        numbers: list[int] = []
        for layer, start in zip(self._decoder.layers, range(0, len(linears), n), strict=True):
            numbers += [each for linear in linears[start : start + n] for each in _matrix(linear, is_on)]
            norms = (layer.input_layernorm, layer.post_attention_layernorm)
            numbers += [norm.weight.data_ptr() for norm in norms]
        return _int64(numbers)


def compile_step(model: Any, kernel: Kernel) -> CompiledStep | None:
    """The step of this model; None where it is of another kind, or has sizes that the step does not."""
    if not isinstance(model, Qwen2):
        return None
    config = model.config
    widths = (config.hidden_size, config.head_dim, config.intermediate_size)
    if any(width % _MULTIPLE for width in widths):
        return None
    if config.num_attention_heads > _MAX_QUERIES * config.num_key_value_heads:
        return None
    return CompiledStep(model, kernel)


def _matrix(linear: nn.Module, is_on: bool) -> Sequence[int]:
    """`Matrix` of step.cpp."""
    base = linear.base if isinstance(linear, BankLinear) else linear
    assert isinstance(base, Int8Linear)
    down = up = rank = 0
    if is_on and isinstance(linear, BankLinear):
        assert linear.all is not None  # those that are trained are not served
        A, B = linear.all  # A lies as [K, R, D]
        assert A.transpose(1, 2).is_contiguous() and B.is_contiguous() and A.dtype == B.dtype == torch.float32
        down, up, rank = A.data_ptr(), B.data_ptr(), B.shape[1]
    return [*base.pointers(), down, up, base.in_features, base.out_features, rank]


def _n_adapters(linear: BankLinear) -> int:
    return len(linear.all[0]) if linear.all else 0


def _prefixes(key_values: KeyValues, n_rows: int) -> tuple[list[KeyValues], list[int]]:
    """The prefixes, and the place of each row's among them; -1: it has none."""
    if not key_values.groups:
        has_prefix = key_values.prefix is not None and key_values.prefix.length > 0
        return ([key_values.prefix], [0] * n_rows) if has_prefix and key_values.prefix else ([], [-1] * n_rows)
    prefixes: list[KeyValues] = []
    places: list[int] = []
    for group in key_values.groups:
        places += [len(prefixes) if group.prefix.length else -1] * group.n_rows
        prefixes += [group.prefix] if group.prefix.length else []
    return prefixes, places


def _memory(key_values: KeyValues, layer: int) -> Iterator[int]:
    yield from _pointers(*key_values.own(layer))


def _pointers(keys: Tensor, values: Tensor) -> Sequence[int]:
    """`Memory` of step.cpp."""
    return keys.data_ptr(), values.data_ptr(), keys.stride(1), values.stride(1)


def _int64(numbers: Sequence[int]) -> Any:
    return (ctypes.c_int64 * len(numbers))(*numbers)
