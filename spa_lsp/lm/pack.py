"""Weights in oneDNN's blocked layout, for serving on a CPU: a plain layout is rearranged anew in every product.

Only for the forward pass. Training keeps the plain layout, which the backward pass needs.
"""

import logging
from typing import Any

import torch
from torch import Tensor, nn

logger = logging.getLogger(__name__)

# The layout is chosen for this many rows: the usual number of alternatives. Other numbers work, some a little slower.
_ROWS = 8


class PackedLinear(nn.Module):
    """A linear without gradients whose weight is packed; the plain weight is gone."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features = linear.in_features
        self.out_features = linear.out_features
        self.bias = linear.bias
        self._packed: Any = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _ROWS)

    def forward(self, x: Tensor) -> Tensor:
        """The same numbers as the linear's, up to the order of summation."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")
        return y


def pack_linears(model: nn.Module) -> int:
    """Pack every plain linear of the model, freeing its weight at once; how many were packed.

    Returns 0, and leaves the model alone, where this build of torch or this processor cannot do it.
    """
    linears = [name for name, module in model.named_modules() if type(module) is nn.Linear]
    if not linears or not _is_possible(model.get_submodule(linears[0]).weight):
        return 0
    for name in linears:
        linear = model.get_submodule(name)
        assert isinstance(linear, nn.Linear)
        model.set_submodule(name, PackedLinear(linear))
    return len(linears)


def _is_possible(weight: Any) -> bool:
    if weight.device.type != "cpu" or weight.dtype not in (torch.float32, torch.bfloat16):
        return False
    try:
        small = nn.Linear(16, 16, bias=False, dtype=weight.dtype).requires_grad_(False)
        PackedLinear(small)(torch.zeros(1, 16, dtype=weight.dtype))
    except (AttributeError, RuntimeError) as error:
        logger.warning("weights stay unpacked, which is slower: %s", error)
        return False
    return True
