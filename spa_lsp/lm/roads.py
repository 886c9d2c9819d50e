"""Which way a CPU multiplies, measured on this machine in a fraction of a second: nothing is assumed of a processor."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from torch import nn

from spa_lsp.lm.int8 import Int8Linear, Product, pack, quantize
from spa_lsp.lm.kernel import NoKernel, find_kernel
from spa_lsp.lm.pack import pack_linears

logger = logging.getLogger(__name__)

_SHAPE = (4864, 896)  # the most usual linear of the default base
# of a request: 32 steps with 8 rows, and a prompt of a few hundred tokens
_STEPS, _STEP_ROWS, _PROMPT_ROWS = 32, 8, 256


@dataclass(frozen=True, kw_only=True)
class Road:
    """How int8 linears are multiplied; without a product they are unpacked into float32 at load."""

    name: str  # avx512, avx2, plain, or float32
    product: Product | None = None
    reason: str = ""  # why it is float32


@cache
def find_road() -> Road:
    """The fastest way to multiply int8 weights here; said once in the log where there is no kernel."""
    try:
        kernel = find_kernel()
    except NoKernel as error:
        reason = f"{error}; install a C++ compiler"
        logger.warning("int8 weights are unpacked to float32, which is three times slower: %s", reason)
        return Road(name="float32", reason=reason)
    if request_ms(_int8_linear(kernel.linear)) > request_ms(_float_linear(torch.float32)):
        reason = f"the kernel's {kernel.path} path is slower than torch here"
        logger.warning("int8 weights are unpacked to float32: %s", reason)
        return Road(name="float32", reason=reason)
    return Road(name=kernel.path, product=kernel.linear)


@cache
def fastest_on_cpu() -> Literal["int8", "bf16"]:
    """The faster one of int8 and, where the processor computes in it, bfloat16."""
    road = find_road()
    if not has_bf16():
        return "int8"
    linear = _int8_linear(road.product) if road.product else _float_linear(torch.float32)
    return "bf16" if request_ms(_float_linear(torch.bfloat16)) < request_ms(linear) else "int8"


def has_bf16() -> bool:
    """Whether the processor computes in bfloat16; emulated it is 5 times slower than float32 at one row, 40 at 64."""
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a private operation, which other builds of torch lack
        return False


def request_ms(linear: Callable[[torch.Tensor], Any]) -> float:
    """What one linear takes of a whole request."""
    return _STEPS * _ms(linear, _STEP_ROWS) + _ms(linear, _PROMPT_ROWS)


def _ms(linear: Callable[[torch.Tensor], Any], n_rows: int) -> float:
    x = torch.ones(n_rows, _SHAPE[1])
    times = []
    with torch.inference_mode():
        for _ in range(5):
            started = time.perf_counter()
            linear(x)
            times.append((time.perf_counter() - started) * 1000)
    return min(times)  # of another program's moments on the cores nothing follows


def _int8_linear(product: Product) -> Callable[[torch.Tensor], Any]:
    return Int8Linear(*pack(*quantize(torch.ones(_SHAPE))), None, shape=_SHAPE, product=product)


def _float_linear(dtype: torch.dtype) -> Callable[[torch.Tensor], Any]:
    model = nn.Sequential(nn.Linear(_SHAPE[1], _SHAPE[0], bias=False, dtype=dtype)).requires_grad_(False)
    pack_linears(model)
    return lambda x: model(x.to(dtype))
