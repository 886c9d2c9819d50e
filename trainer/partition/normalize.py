"""What makes the columns of influence comparable, so that no anchor attracts more for its scale alone."""

import numpy as np
from numpy.typing import NDArray

from trainer.configs import Normalize

Influence = NDArray[np.float32]


def comparable_items(item_influence: Influence, how: Normalize) -> Influence:
    """`[N, Q, items]` as the normalisation wants it before the items of an anchor are averaged.

    For `contrast` each column becomes ranks from 0 to 1: a few samples with huge gradients would otherwise decide
    what is usual for an anchor. On 594 samples bootstraps agreed 0.04 above chance with ranks, and not at all without.
    """
    if how != "contrast":
        return item_influence
    flat = item_influence.reshape(len(item_influence), -1)
    ranks = np.stack([_ranks(column) for column in flat.T], axis=1)
    return ranks.reshape(item_influence.shape).astype(np.float32)


def normalize(influence: Influence, how: Normalize) -> Influence:
    """Influence with comparable columns, `[N, K]`.

    `zscore`: each column with mean 0 and deviation 1, so that no anchor attracts more for its scale alone. `rank`: the
    share of the samples that a column finds less helpful, whatever the shape of its values. `contrast`:
    of that, what a sample does for one anchor more than for the others, again as z-scores: anchors that share their
    tasks have most of their influence in common, and what they share does not tell their approaches apart.
    """
    if how == "none":
        return influence
    if how == "rank":
        return np.stack([_ranks(column) for column in influence.T], axis=1).astype(np.float32)
    scores = _zscore(influence.astype(np.float64))
    if how == "contrast":
        scores = _zscore(scores - scores.mean(axis=1, keepdims=True))
    return scores.astype(np.float32)


def _ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Share of the values that are smaller, equal ones counted half."""
    ordered = np.sort(values)
    below, up_to = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    ranks: NDArray[np.float64] = (below + up_to) / 2 / len(values)
    return ranks


def _zscore(values: NDArray[np.float64]) -> NDArray[np.float64]:
    deviation = values.std(axis=0)
    scores: NDArray[np.float64] = (values - values.mean(axis=0)) / np.where(deviation > 1e-12, deviation, 1)
    return scores
