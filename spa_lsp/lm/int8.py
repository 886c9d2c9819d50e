"""Linears and embeddings of int8 numbers with one float16 scale per 32 inputs, and how floats become that.

What was tried on the 0.5B base with two cores, and what it gave (KL to fp32 / agreement of the likeliest token):
- int8 weights per channel, exact activations: .0013 / .979; in blocks of 32 a GGUF's Q5_0 and Q8_0 are held exactly.
- int8 activations: one scale per row .031 / .92, in 8 bits .017 / .94; smoothing or 32 channels apart help little.
- float32 activations, weights converted in registers: bound by FMA, 8 multiplications an instruction on AVX2.
- int16 activations with a scale per 32 (this one): `vpmaddwd` multiplies 16 at once, `vpdpwssd` 32; as good as exact.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from spa_lsp.lm.kernel import BLOCK, PANEL


class Product(Protocol):
    """What multiplies: `kernel.Kernel.linear`."""

    def __call__(self, x: Tensor, weight: Tensor, scales: Tensor, bias: Tensor | None, n_out: int) -> Tensor:
        """`[..., D]` to `[..., N]`."""


class Int8Linear(nn.Module):
    """A linear without gradients whose packed weight may lie in a mapped file."""

    def __init__(
        self, weight: Tensor, scales: Tensor, bias: Tensor | None, shape: tuple[int, int], *, product: Product
    ):
        super().__init__()
        self.out_features, self.in_features = shape
        # no buffers: `.to(dtype)` and `.float()` must leave them alone
        self._weight, self._scales, self._bias, self._product = weight, scales, bias, product

    def forward(self, x: Tensor) -> Tensor:
        """`[..., D]` to `[..., N]` in float32."""
        return self._product(x, self._weight, self._scales, self._bias, self.out_features)

    def pointers(self) -> tuple[int, int, int]:
        """Where weight, scales and bias lie; 0: there is no bias."""
        return self._weight.data_ptr(), self._scales.data_ptr(), 0 if self._bias is None else self._bias.data_ptr()


class Int8Embedding(nn.Module):
    """An embedding whose rows are turned into float32 when they are looked up."""

    def __init__(self, numbers: Tensor, scales: Tensor, *, width: int) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = numbers.shape[0], width
        self._numbers, self._scales = numbers, scales

    def forward(self, ids: Tensor) -> Tensor:
        """`[..., D]` in float32."""
        return restore(self._numbers[ids], self._scales[ids])[..., : self.embedding_dim]


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers `[N, D]` in int8 and scales `[N, D / 32]` in float16, D filled up; off by at most half a scale."""
    n_out, n_in = weight.shape
    blocks = nn.functional.pad(weight.float(), (0, -n_in % BLOCK)).view(n_out, -1, BLOCK)
    largest = blocks.abs().amax(-1)
    scales = (largest / 127).half()
    # a scale that was rounded down would cut off the largest number
    scales = torch.where(scales.float() * 127 < largest, _next_half(scales), scales)
    numbers = (blocks / scales.float().clamp(min=1e-30)[..., None]).round_().clamp_(-127, 127)
    return numbers.to(torch.int8).view(n_out, -1), scales


def restore(numbers: Tensor, scales: Tensor) -> Tensor:
    """The float32 numbers `[..., D]` of `[..., D]` and `[..., D / 32]`."""
    blocks = numbers.view(*scales.shape, BLOCK).float()
    return (blocks * scales.float()[..., None]).flatten(-2)


def pack(numbers: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
    """The kernel's layout: weight `[N, D]` by its shape only, scales `[N / 16, D / 32, 16]`, N filled up."""
    missing = -numbers.shape[0] % PANEL
    numbers = nn.functional.pad(numbers, (0, 0, 0, missing))
    scales = nn.functional.pad(scales, (0, 0, 0, missing))
    pairs = numbers.view(torch.int16).view(-1, PANEL, numbers.shape[1] // 2)  # two inputs move as one
    packed = pairs.transpose(1, 2).contiguous().view(torch.int8).view(numbers.shape)
    return packed, scales.view(-1, PANEL, scales.shape[1]).transpose(1, 2).contiguous()


def unpack(weight: Tensor, scales: Tensor, shape: tuple[int, int]) -> Tensor:
    """The float32 weight `[N, D]` of a packed one."""
    pairs = weight.view(torch.int16).view(-1, weight.shape[1] // 2, PANEL)
    numbers = pairs.transpose(1, 2).contiguous().view(torch.int8).view(weight.shape)
    rows = scales.transpose(1, 2).reshape(weight.shape[0], -1)
    return restore(numbers, rows)[: shape[0], : shape[1]].contiguous()


def _next_half(values: Tensor) -> Tensor:
    return (values.view(torch.int16) + 1).view(torch.float16)


def as_linear(weight: Tensor, scales: Tensor, bias: Tensor | None, shape: tuple[int, int]) -> nn.Linear:
    """The plain float32 linear of a packed weight: where no kernel can be had."""
    linear = nn.Linear(shape[1], shape[0], bias=bias is not None, device="meta")
    linear.weight = nn.Parameter(unpack(weight, scales, shape), requires_grad=False)
    if bias is not None:
        linear.bias = nn.Parameter(bias, requires_grad=False)
    return linear
