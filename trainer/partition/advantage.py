"""Whether a partition gives more than chance: random ones of the same sizes, and what a part's own adapter is worth.

Pure; the losses are `trainer.train.trial`'s. `Membership` is `[N, K]`, true where a sample is in a part.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.partition.solutions import Tasks

Membership = NDArray[np.bool_]
Losses = NDArray[np.float64]

N_DEALS = 1000
LEVEL = 0.05  # of that share a chance is too good to be one


def random_by_sample(membership: Membership, is_held: NDArray[np.bool_], rng: np.random.Generator) -> Membership:
    """The samples dealt out anew: every part has as many as before, of those that are held out and of the others."""
    dealt = membership.copy()
    for group in (is_held, ~is_held):
        dealt[group] = rng.permutation(membership[group])
    return dealt


def random_by_solution(membership: Membership, tasks: Tasks, rng: np.random.Generator) -> Membership:
    """The parts of each task changed about: every part has one solution of it as before, but any of them."""
    dealt = membership.copy()
    for task in tasks:
        rows = list(task)
        dealt[rows] = membership[rows][:, rng.permutation(membership.shape[1])]
    return dealt


def item_advantages(losses: Losses, is_own: Membership) -> NDArray[np.float64]:
    """How much lower each held-out item's loss is under its own part's adapter than under the others, `[N]`.

    What makes an item hard, or an adapter good, for all alike is no advantage and is taken off first (both means of
    rows and of columns). So the mean over the items is the effect of "own" in a two-way layout; where all parts have
    as many items it is the mean of: loss under the other adapters, less that under the own one. Zero for items that are
    in every part.

    Args:
        losses: nats per token, `[N, K]`.
        is_own: whether the item is in the adapter's part, `[N, K]`.
    """
    own = _without_means(is_own.astype(np.float64))
    squares = float((own**2).sum())
    if squares < 1e-12:  # all items have the same parts: nothing to compare
        return np.zeros(len(losses))
    advantages: NDArray[np.float64] = -len(losses) / squares * (own * _without_means(losses)).sum(axis=1)
    return advantages


def _without_means(table: Losses) -> Losses:
    centred: Losses = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    return centred


def of_tasks(values: NDArray[np.float64], tasks: Tasks) -> list[float]:
    """One value for each task; their mean is that of all values. Solutions of one task are no independent witnesses."""
    scale = len(tasks) / len(values)
    return [scale * float(values[list(task)].sum()) for task in tasks]


def of_parts(values: NDArray[np.float64], is_own: Membership) -> list[float | None]:
    """The mean over the items of each part; None where it has none."""
    return [float(values[own].mean()) if own.any() else None for own in is_own.T]


def share_of_chance(losses: Losses, is_own: Membership, deal: Callable[[Membership], Membership]) -> float:
    """How often the held-out items, dealt out anew to the same adapters, give as high a mean advantage.

    The exact test of random partitions, at no cost; some that are trained too also show how far apart parts lie that
    nobody chose.
    """
    found = item_advantages(losses, is_own).mean()
    n_as_high = sum(item_advantages(losses, deal(is_own)).mean() >= found for _ in range(N_DEALS))
    return float((1 + n_as_high) / (1 + N_DEALS))


def is_more_than_chance(advantage: float, low: float, random: Sequence[float], chance: float) -> bool:
    """Above each of the random partitions and surely (`low` is the interval's end) above their mean, and no chance."""
    return advantage > max(random) and low > float(np.mean(random)) and chance <= LEVEL
