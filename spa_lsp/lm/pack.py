"""Weights as serving on a CPU wants them: linears in oneDNN's blocked layout, a float32 embedding in half the memory.

A plain layout is rearranged anew in every product. Only for the forward pass: training keeps the plain layout, which
the backward pass needs.

Fusing q, k, v and gate, up into one product each was measured and left out: 0.24 -> 0.17 ms and 2.76 -> 2.67 ms for 8
rows in float32 on two AVX2 cores, their adapters' pairs 0.054 -> 0.026 ms; together 3 of 168 ms of a decode step.
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


class HalfEmbedding(nn.Module):
    """A float32 embedding whose table is kept in bfloat16, which holds every one of its numbers exactly."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.num_embeddings = embedding.num_embeddings
        self.embedding_dim = embedding.embedding_dim
        self.weight = nn.Parameter(embedding.weight.detach().bfloat16(), requires_grad=False)

    def forward(self, ids: Tensor) -> Tensor:
        """`[..., D]` in float32."""
        return nn.functional.embedding(ids, self.weight).float()


def halve_embedding(model: Any) -> bool:
    """Keep the input embedding in bfloat16 where that changes no number; whether it was done."""
    embedding = model.get_input_embeddings()
    if type(embedding) is not nn.Embedding or embedding.weight.dtype != torch.float32:
        return False
    if not torch.equal(embedding.weight.bfloat16().float(), embedding.weight):  # the base was converted to bfloat16
        return False
    model.set_input_embeddings(HalfEmbedding(embedding))
    return True


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
