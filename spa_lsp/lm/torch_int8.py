"""int8 linears by torch's own operator, for machines without a compiler: activations in two terms of seven bits.

The operator multiplies int8 weights of one scale per output by activations of one scale for all. Each row is divided
by its largest, and what seven bits leave over goes in as a second row of the same call, so that the weights are read
once and the product is good to 14 bits. Eight bits would saturate where AVX2 multiplies. Twice the rows make prompts
slower than the kernel's, steps nearly not.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from spa_lsp.lm.int8 import unpack

_TOP = 63  # of a term; with the zero point at 64 it is in 1 … 127


class TorchInt8Linear(nn.Module):
    """A linear without gradients; its weights are rounded anew to one scale per output.

    Raises:
        RuntimeError, AttributeError: this build of torch does not have the operator.
    """

    def __init__(self, weight: Tensor, scales: Tensor, bias: Tensor | None, shape: tuple[int, int]) -> None:
        super().__init__()
        self.out_features, self.in_features = shape
        self._bias = bias
        floats = unpack(weight, scales, shape)
        steps = (floats.abs().amax(1) / 127).clamp(min=1e-30).double()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the only way to hand weights to it is deprecated
            zeros = torch.zeros(shape[0], dtype=torch.long)
            quantized = torch.quantize_per_channel(floats, steps, zeros, 0, torch.qint8)
            self._packed: Any = torch.ops.quantized.linear_prepack(quantized, None)

    def forward(self, x: Tensor) -> Tensor:
        """`[..., D]` to `[..., N]` in float32."""
        rows = x.reshape(-1, self.in_features).float()
        if not len(rows):
            return rows.new_empty(*x.shape[:-1], self.out_features)
        largest = rows.abs().amax(-1, keepdim=True)
        steps = largest.clamp(min=1e-30) / _TOP
        scaled = rows / steps
        high = scaled.round()
        low = ((scaled - high) * (2 * _TOP)).round()
        terms = torch.cat([high, low]).nan_to_num(0.0)
        both = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(terms, 1.0, _TOP + 1, self._packed)
        upper, lower = both.chunk(2)
        # a row that is not finite must not look as if it were
        y: Tensor = (upper + lower / (2 * _TOP)) * torch.where(largest.isfinite(), steps, torch.nan)
        if self._bias is not None:
            y = y + self._bias
        return y.view(*x.shape[:-1], self.out_features)
