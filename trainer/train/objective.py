"""Who learns an item, and by how much: relaxed winner-takes-all with a cap on the load. Pure, knows no model.

Multiple choice learning: all adapters see every item, the one with the lowest loss learns 1 - ε of it, the others share
ε, so that none is left behind (LoRA-MCL, arXiv:2507.10419). What one adapter may win is capped, or the first to lead
would soon win all.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def choose_winner(losses: Sequence[float], won: Sequence[int], load: float) -> int:
    """The adapter with the lowest loss among those that may still win; the first one of equals.

    Args:
        losses: of one item under each adapter.
        won: how many items each adapter has won so far.
        load: an adapter may win up to this multiple of its fair share of all items so far, this one included; at 1 or
            more there is always one that may.
    """
    most = load * (sum(won) + 1) / len(won)
    allowed = [k for k, n in enumerate(won) if n < most]
    return min(allowed, key=lambda k: losses[k])


def learning_shares(winner: int, n_adapters: int, epsilon: float) -> Tensor:
    """What each adapter learns of an item, `[K]`; together 1."""
    if n_adapters == 1:
        return torch.ones(1)
    shares = torch.full((n_adapters,), epsilon / (n_adapters - 1))
    shares[winner] = 1 - epsilon
    return shares
