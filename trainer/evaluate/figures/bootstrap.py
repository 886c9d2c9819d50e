"""Means over problems and how far they can be trusted. Pure; a figure is one number per problem.

Problems of one task tell less than as many of different tasks: what is drawn are whole tasks, named by `tasks`, one for
each problem; None: every problem is a task of its own.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 10_000
LEVEL = 0.95
_BLOCK = 4_000_000  # numbers held at once

Tasks = Sequence[Hashable] | None


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean over problems and the bounds of its bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Estimate(Interval):
    """The same with its standard error, which is None for a single task: that one shows no spread."""

    standard_error: float | None


def estimate(values: Sequence[float], *, tasks: Tasks = None, seed: int = 0) -> Estimate:
    """Mean over problems, its 95 % bootstrap interval and its standard error (deviation with n - 1, over √n, of tasks).

    Raises:
        ValueError: there are no values.
    """
    found = paired_bootstrap(values, [0.0] * len(values), tasks=tasks, seed=seed)
    sums, sizes = _by_task(np.asarray(values, dtype=np.float64), tasks)
    n, share = len(sums), len(sums) / len(values)
    linear = sums * share - found.mean * (sizes * share - 1)  # a task's share in the mean; its value where it has one
    error = float(np.std(linear, ddof=1) / np.sqrt(n)) if n > 1 else None
    return Estimate(mean=found.mean, low=found.low, high=found.high, standard_error=error)


def minimum_estimate(columns: Sequence[Sequence[float]], *, tasks: Tasks = None, seed: int = 0) -> Estimate:
    """The least of several means over the same problems, one column each: which one it is may differ by resample.

    The interval leans to low values, as the least of noisy means does; the standard error is that of the resamples.
    """
    values = np.asarray(columns, dtype=np.float64).T  # [N, columns]
    sums, sizes = _by_task(values, tasks)
    resampled = _resampled_means(sums, sizes, seed=seed).min(axis=1)
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    error = float(resampled.std(ddof=1)) if len(sums) > 1 else None
    return Estimate(mean=float(values.mean(axis=0).min()), low=float(low), high=float(high), standard_error=error)


def paired_bootstrap(
    first: Sequence[float], second: Sequence[float], *, tasks: Tasks = None, seed: int = 0
) -> Interval:
    """Mean of `first - second` over the same problems, with its percentile bootstrap interval over tasks.

    Raises:
        ValueError: the two do not have the same number of problems, or none.
    """
    if len(first) != len(second) or len(first) == 0:
        raise ValueError(f"need the same problems twice, got {len(first)} and {len(second)} values")
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)  # [N]
    means = _resampled_means(*_by_task(differences, tasks), seed=seed)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(mean=float(differences.mean()), low=float(low), high=float(high))


def _by_task(values: NDArray[np.float64], tasks: Tasks) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sum of each task's values, `[T, ...]` of `[N, ...]`, and its size; in the order of their first problems."""
    places: dict[Hashable, int] = {}
    own = [places.setdefault(task, len(places)) for task in (range(len(values)) if tasks is None else tasks)]
    sums = np.zeros((len(places), *values.shape[1:]))
    np.add.at(sums, own, values)
    return sums, np.bincount(own).astype(np.float64)


def _resampled_means(sums: NDArray[np.float64], sizes: NDArray[np.float64], *, seed: int) -> NDArray[np.float64]:
    """Means over the problems of resampled tasks, `[N_RESAMPLES, ...]` of `[T, ...]`; in blocks: thousands fit."""
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // sums.size)
    blocks = [min(block, N_RESAMPLES - start) for start in range(0, N_RESAMPLES, block)]
    chosen = (rng.integers(len(sums), size=(size, len(sums))) for size in blocks)
    divisors = sizes.reshape(-1, *[1] * (sums.ndim - 1))
    return np.concatenate([sums[rows].sum(axis=1) / divisors[rows].sum(axis=1) for rows in chosen])
