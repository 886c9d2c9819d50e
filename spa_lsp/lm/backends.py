"""What multiplies int8 weights on a CPU, measured here in a fraction of a second: nothing is assumed of a processor."""

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
class Backend:
    """One way to multiply int8 linears."""

    name: str  # avx512, avx2 or plain: the kernel; torch: its own operator; float32: unpacked at load
    make: MakeLinear
    kernel: Kernel | None = None  # where it is that
    reason: str = ""  # why it is not the kernel
    request_ms: float = math.inf  # as measured


@cache
def find_backend() -> Backend:
    """The fastest way to multiply int8 weights here; where that is not the kernel the log says why, once."""
    other = min((_measured(TORCH), _measured(FLOAT32)), key=lambda backend: backend.request_ms)
    try:
        kernel = find_kernel()
    except NoKernel as error:
        return _without_kernel(other, f"{error}; install a C++ compiler (g++), the next load then compiles it")
    own = _measured(Backend(name=kernel.path, make=partial(Int8Linear, product=kernel.linear), kernel=kernel))
    if own.request_ms < _MARGIN * other.request_ms:
        return own
    return _without_kernel(other, f"the kernel's path {kernel.path} is slower here")


def _measured(backend: Backend) -> Backend:
    return replace(backend, request_ms=_backend_ms(backend))


def _without_kernel(other: Backend, reason: str) -> Backend:
    logger.warning("int8 weights are multiplied by %s and not by the compiled kernel: %s", other.name, reason)
    return replace(other, reason=reason)


def _backend_ms(backend: Backend) -> float:
    """Infinite where this build of torch does not have it."""
    try:
        return request_ms(_sample_linear(backend))
    except (AttributeError, RuntimeError) as error:
        logger.info("no int8 product by %s: %s", backend.name, error)
        return math.inf


def _sample_linear(backend: Backend) -> Callable[[Tensor], Any]:
    n_out, n_in = _SHAPE
    weight, scales = torch.ones(_SHAPE, dtype=torch.int8), torch.ones(n_out // PANEL, n_in // BLOCK, PANEL).half()
    model = nn.Sequential(backend.make(weight, scales, None, _SHAPE))
    pack_linears(model)
    return model


@cache
def fastest_on_cpu() -> Literal["int8", "bf16"]:
    """int8, unless the processor computes in bfloat16 and that is far faster."""
    if not has_bf16():
        return "int8"
    return "bf16" if _MARGIN * request_ms(_bf16_linear()) < find_backend().request_ms else "int8"


def describe_cpu() -> dict[str, str]:
    """`quantization`, `kernel` and `reason` as a load would choose them; compiles nothing."""
    if not is_built() and has_compiler():
        return {"quantization": "int8", "kernel": "a kernel that the first load compiles", "reason": ""}
    quantization, backend = fastest_on_cpu(), find_backend()
    return {
        "quantization": quantization,
        "kernel": backend.name if quantization == "int8" else "",
        "reason": backend.reason,
    }


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


TORCH = Backend(name="torch", make=TorchInt8Linear)
FLOAT32 = Backend(name="float32", make=as_linear)
