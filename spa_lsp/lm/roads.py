"""Which way a CPU multiplies, measured on this machine in a fraction of a second: nothing is assumed of a processor."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from spa_lsp.lm.int8 import Int8Linear, as_linear
from spa_lsp.lm.kernel import BLOCK, PANEL, Kernel, NoKernel, find_kernel, has_compiler, is_built
from spa_lsp.lm.pack import pack_linears
from spa_lsp.lm.torch_int8 import TorchInt8Linear

logger = logging.getLogger(__name__)

_SHAPE = (4864, 896)  # the most usual linear of the default base
# of a request: 32 steps with 8 rows, and a prompt of a few hundred tokens
_STEPS, _STEP_ROWS, _PROMPT_ROWS, _PROMPTS = 32, 8, 64, 5
_RUNS = 4
# How much faster another way must be: the kernel is the most exact and takes the least memory, and bfloat16 needs a
# file of its own. A machine under load measures badly, and a wrong choice would cost more than a small gain.
_MARGIN = 3.0


# from a packed weight, its scales, a bias and the shape `(N, D)`
MakeLinear = Callable[[Tensor, Tensor, Tensor | None, tuple[int, int]], nn.Module]


@dataclass(frozen=True, kw_only=True)
class Road:
    """How int8 linears are multiplied."""

    name: str  # avx512, avx2 or plain: the kernel; torch: its own operator; float32: unpacked at load
    make: MakeLinear
    kernel: Kernel | None = None  # where it is that
    reason: str = ""  # why it is not the kernel
    request_ms: float = math.inf  # as measured


@cache
def find_road() -> Road:
    """The fastest way to multiply int8 weights here; where that is not the kernel the log says why, once."""
    other = min((_measured(TORCH), _measured(FLOAT32)), key=lambda road: road.request_ms)
    try:
        kernel = find_kernel()
    except NoKernel as error:
        return _without_kernel(other, f"{error}; install a C++ compiler (g++), the next load then compiles it")
    own = _measured(Road(name=kernel.path, make=partial(Int8Linear, product=kernel.linear), kernel=kernel))
    if own.request_ms < _MARGIN * other.request_ms:
        return own
    return _without_kernel(other, f"the kernel's path {kernel.path} is slower here")


def _measured(road: Road) -> Road:
    return replace(road, request_ms=_road_ms(road))


def _without_kernel(other: Road, reason: str) -> Road:
    logger.warning("int8 weights are multiplied by %s and not by the compiled kernel: %s", other.name, reason)
    return replace(other, reason=reason)


def _road_ms(road: Road) -> float:
    """Infinite where this build of torch does not have it."""
    try:
        return request_ms(_sample_linear(road))
    except (AttributeError, RuntimeError) as error:
        logger.info("no int8 product by %s: %s", road.name, error)
        return math.inf


def _sample_linear(road: Road) -> Callable[[Tensor], Any]:
    n_out, n_in = _SHAPE
    weight, scales = torch.ones(_SHAPE, dtype=torch.int8), torch.ones(n_out // PANEL, n_in // BLOCK, PANEL).half()
    model = nn.Sequential(road.make(weight, scales, None, _SHAPE))
    pack_linears(model)
    return model


@cache
def fastest_on_cpu() -> Literal["int8", "bf16"]:
    """int8, unless the processor computes in bfloat16 and that is far faster."""
    if not has_bf16():
        return "int8"
    return "bf16" if _MARGIN * request_ms(_bf16_linear()) < find_road().request_ms else "int8"


def look_at_cpu() -> dict[str, str]:
    """`quantization`, `kernel` and `reason` as a load would choose them; compiles nothing."""
    if not is_built() and has_compiler():
        return {"quantization": "int8", "kernel": "a kernel that the first load compiles", "reason": ""}
    quantization, road = fastest_on_cpu(), find_road()
    return {"quantization": quantization, "kernel": road.name if quantization == "int8" else "", "reason": road.reason}


def has_bf16() -> bool:
    """Whether the processor computes in bfloat16; emulated it is 5 times slower than float32 at one row, 40 at 64."""
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a private operation, which other builds of torch lack
        return False


def request_ms(linear: Callable[[Tensor], Any]) -> float:
    """What one linear takes of a whole request."""
    return _STEPS * _ms(linear, _STEP_ROWS) + _PROMPTS * _ms(linear, _PROMPT_ROWS)


def _ms(linear: Callable[[Tensor], Any], n_rows: int) -> float:
    """Of the processor's time on one core, which other programs do not make longer; the best of some runs."""
    x = torch.ones(n_rows, _SHAPE[1])
    times = []
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for _ in range(_RUNS):
                started = time.thread_time()
                linear(x)
                times.append((time.thread_time() - started) * 1000)
    finally:
        torch.set_num_threads(n_threads)
    return min(times)


def _bf16_linear() -> Callable[[Tensor], Any]:
    model = nn.Sequential(nn.Linear(_SHAPE[1], _SHAPE[0], bias=False, dtype=torch.bfloat16)).requires_grad_(False)
    pack_linears(model)
    return lambda x: model(x.bfloat16())


TORCH = Road(name="torch", make=TorchInt8Linear)
FLOAT32 = Road(name="float32", make=as_linear)
