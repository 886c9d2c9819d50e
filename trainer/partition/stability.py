"""How much a partition can be trusted: how much of it survives when other query items are asked."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trainer.configs import PartitionConfig
from trainer.partition.normalize import Influence
from trainer.partition.parts import Assignment, partition
from trainer.partition.solutions import Tasks, choose_solutions, with_several

N_BOOTSTRAPS = 20
_MAX_TASKS = 200  # whose solutions are dealt out anew in each bootstrap


def stability(
    item_influence: Influence,
    config: PartitionConfig,
    *,
    seed: int,
    tasks: Tasks = (),
    on_draw: Callable[[], object] = lambda: None,
) -> float | None:
    """How much of the partition survives other query items; 1 is all of it. Compare it with `chance_stability`.

    `item_influence` is `[N, K, items]`; each of 20 bootstraps draws the items of every anchor anew, the same ones where
    it has several parts, and then calls `on_draw`. The mean adjusted Rand index; for `solutions` the share of what
    parts get of tasks with several solutions, of at most 200 of these. None when there is one item, or one part, or no
    partition.
    """
    K, n_items = item_influence.shape[1:]
    several = with_several(tasks)[:_MAX_TASKS]
    if min(n_items, config.k) < 2 or config.method == "whole" or (config.method == "solutions" and not several):
        return None
    whole = _divided(item_influence.mean(axis=2), config, several)
    rng = np.random.default_rng(seed)
    first = _first_of_anchor(item_influence)
    agreements = []
    for _ in range(N_BOOTSTRAPS):
        draw = rng.integers(n_items, size=(1, K, n_items))[:, first]
        other = _divided(np.take_along_axis(item_influence, draw, axis=2).mean(axis=2), config, several)
        is_by_solution = config.method == "solutions"
        agreements.append(float((whole == other).mean()) if is_by_solution else adjusted_rand_index(whole, other))
        on_draw()
    return float(np.mean(agreements))


def chance_stability(
    item_influence: Influence,
    config: PartitionConfig,
    *,
    seed: int,
    tasks: Tasks = (),
    on_draw: Callable[[], object] = lambda: None,
) -> float | None:
    """The stability of the same numbers dealt out anew over the samples, each item for itself: what no signal gives.

    It is not 0, because a bootstrap shares items with the whole.
    """
    dealt = np.random.default_rng(seed).permuted(item_influence, axis=0)[:, _first_of_anchor(item_influence)]
    return stability(dealt, config, seed=seed, tasks=tasks, on_draw=on_draw)


def _first_of_anchor(item_influence: Influence) -> list[int]:
    """For each of K columns the first one that is the same: by solution an anchor may have several parts."""
    columns = [column.tobytes() for column in item_influence.transpose(1, 0, 2)]
    return [columns.index(column) for column in columns]


def _divided(influence: Influence, config: PartitionConfig, tasks: Tasks) -> Assignment:
    if config.method == "solutions":
        return choose_solutions(influence, tasks, config.normalize)
    return partition(influence, config)


def adjusted_rand_index(first: Assignment, second: Assignment) -> float:
    """Agreement of two partitions of the same samples, whatever the parts are called: 1 equal, 0 as by chance.

    Source: Hubert & Arabie 1985.
    """
    table = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(table, (first, second), 1)
    together = _pairs(table).sum()
    in_first, in_second = _pairs(table.sum(axis=1)).sum(), _pairs(table.sum(axis=0)).sum()
    n_pairs = len(first) * (len(first) - 1) / 2
    expected = in_first * in_second / max(n_pairs, 1)
    most = (in_first + in_second) / 2
    return 1.0 if most == expected else float((together - expected) / (most - expected))


def _pairs(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return counts * (counts - 1) / 2
