"""From influence `[N, Q]` to k disjoint parts.

`argmax` is the paper's: each sample goes to the anchor it helps most. `balanced` gives all parts the same size, because
an adapter that saw three samples is no alternative: samples that are surest of their anchor choose first.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spa_lsp.errors import BadInput
from trainer.configs import PartitionConfig
from trainer.partition.normalize import Influence, normalize

Assignment = NDArray[np.int64]


def columns_of_parts(influence: Influence, config: PartitionConfig) -> list[int]:
    """The anchors that the parts are made for, for influence `[N, Q, items]`; all where parts do not have their names.

    By solution an anchor may have several parts: of one task they get different solutions, the best and the next.

    Raises:
        BadInput: k does not fit.
    """
    N, Q = influence.shape[:2]
    check_k(config, n_anchors=Q, n_samples=N)
    if config.method in ("whole", "kmeans"):
        return list(range(Q))
    n_rounds, n_more = divmod(config.k, int(Q))
    return [*range(Q)] * n_rounds + choose_columns(influence.mean(axis=2), n_more)


def check_k(config: PartitionConfig, *, n_anchors: int, n_samples: int) -> None:
    """Refuse more parts than there are samples, or anchors where each has one part.

    Raises:
        BadInput: with both numbers.
    """
    k, method = config.k, config.method
    if k < 1:
        raise BadInput(f"k is {k}; choose at least 1")
    if k > n_anchors and method not in ("whole", "kmeans", "solutions"):
        raise BadInput(
            f"k is {k}, but there are {n_anchors} anchors; choose k <= {n_anchors}, --method kmeans or more anchors"
        )
    if k > n_samples and method != "whole":
        raise BadInput(f"k is {k}, but there are only {n_samples} samples; import more or choose a smaller k")


def choose_columns(influence: Influence, k: int) -> list[int]:
    """The k anchors whose influence varies most over the samples, in their own order.

    An anchor that all samples help alike cannot tell them apart. Source: SPA, arXiv:2411.06722, §5.1.
    """
    return sorted(int(column) for column in np.argsort(-influence.var(axis=0), kind="stable")[:k])


def partition(influence: Influence, config: PartitionConfig) -> Assignment:
    """The part of each sample, `[N]` with values 0 … K-1, for influence on the chosen anchors, `[N, K]`.

    `kmeans` makes `config.k` parts, whatever the number of anchors, and `whole` puts all samples into part 0.

    Deterministic; ties go to the lower part and to the earlier sample.
    """
    normalized = normalize(influence, config.normalize)
    if config.method == "balanced":
        return assign_balanced(normalized)
    if config.method == "kmeans":
        return balanced_kmeans(normalized, config.k)
    if config.method == "whole":
        return np.zeros(len(influence), dtype=np.int64)
    best: Assignment = normalized.argmax(axis=1).astype(np.int64)
    return best


def assign_balanced(influence: Influence) -> Assignment:
    """Parts whose sizes differ by at most one: each sample takes the best part with room, the surest sample first.

    Sure is who loses most by its second choice: the margin between its best and its second influence.
    """
    N, K = influence.shape
    ordered = np.sort(influence, axis=1)
    margin = ordered[:, -1] - ordered[:, -2] if K > 1 else np.zeros(N)
    wishes = np.argsort(-influence, axis=1, kind="stable")
    sizes, n_larger = np.zeros(K, dtype=np.int64), N % K  # so many parts may have one more than the others
    assignment = np.empty(N, dtype=np.int64)
    for n in np.argsort(-margin, kind="stable"):
        part = next(part for part in wishes[n] if sizes[part] < N // K or (sizes[part] == N // K and n_larger > 0))
        n_larger -= sizes[part] == N // K
        sizes[part] += 1
        assignment[n] = part
    return assignment


def balanced_kmeans(influence: Influence, k: int) -> Assignment:
    """K-means on rows of influence, `[N, Q]`, with parts whose sizes differ by at most one.

    The objective that the paper gives for a partition (eq. 4), by Lloyd's steps from a k-means++ start of fixed seed;
    every step assigns as `assign_balanced` does, by squared distance, until nothing moves or 20 steps are done.
    """
    rows = influence.astype(np.float64)
    centers = _spread_rows(rows, k, np.random.default_rng(0))
    assignment = np.full(len(rows), -1, dtype=np.int64)
    for _ in range(20):
        moved = assign_balanced(-_squared_distances(rows, centers).astype(np.float32))
        if (moved == assignment).all():
            break
        assignment = moved
        centers = np.stack([rows[assignment == part].mean(axis=0) for part in range(k)])
    return assignment


def _spread_rows(rows: NDArray[np.float64], k: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """K rows far from each other: each next one drawn by its squared distance to the nearest (k-means++)."""
    chosen = [int(rng.integers(len(rows)))]
    while len(chosen) < k:
        nearest = _squared_distances(rows, rows[chosen]).min(axis=1)
        total = nearest.sum()
        chosen.append(int(rng.choice(len(rows), p=nearest / total if total > 0 else None)))
    return rows[chosen]


def _squared_distances(rows: NDArray[np.float64], centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[N, k]`; by way of products, since rows may be embeddings of a thousand numbers."""
    products = rows @ centers.T
    distances = (rows**2).sum(axis=1)[:, None] - 2 * products + (centers**2).sum(axis=1)
    positive: NDArray[np.float64] = np.maximum(distances, 0)
    return positive


def part_sizes(assignment: Assignment, names: Sequence[str], config: PartitionConfig) -> dict[str, int]:
    """The number of samples of each part by its name."""
    sizes = np.bincount(assignment, minlength=len(names))
    if config.method == "whole":
        sizes = np.full(len(names), len(assignment))
    return {name: int(size) for name, size in zip(names, sizes, strict=True)}


def moved_share(assignment: Assignment, influence: Influence, config: PartitionConfig) -> float | None:
    """The share of samples that are not with the anchor they help most; None where parts have no anchor."""
    if config.method not in ("balanced", "argmax"):
        return None
    best = normalize(influence, config.normalize).argmax(axis=1)
    return float((best != assignment).mean())
