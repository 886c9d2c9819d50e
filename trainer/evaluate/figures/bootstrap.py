"""Means over problems and how far they can be trusted. Pure; a figure is one number per problem."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 10_000
LEVEL = 0.95
_BLOCK = 4_000_000  # numbers held at once


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean over problems and the bounds of its bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Estimate(Interval):
    """The same with its standard error, which is None for a single problem: that one shows no spread."""

    standard_error: float | None


def estimate(values: Sequence[float], *, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Estimate:
    """Mean over problems, its 95 % bootstrap interval and its standard error (deviation with n - 1, over √n).

    Raises:
        ValueError: there are no values.
    """
    found = paired_bootstrap(values, [0.0] * len(values), n_resamples=n_resamples, seed=seed)
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return Estimate(mean=found.mean, low=found.low, high=found.high, standard_error=error)


def minimum_estimate(columns: Sequence[Sequence[float]], *, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Estimate:
    """The least of several means over the same problems, one column each: which one it is may differ by resample.

    The interval leans to low values, as the least of noisy means does; the standard error is that of the resamples.
    """
    values = np.asarray(columns, dtype=np.float64).T  # [N, columns]
    resampled = _resampled_means(values, n_resamples=n_resamples, seed=seed).min(axis=1)
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    error = float(resampled.std(ddof=1)) if len(values) > 1 else None
    return Estimate(mean=float(values.mean(axis=0).min()), low=float(low), high=float(high), standard_error=error)


def paired_bootstrap(
    first: Sequence[float],
    second: Sequence[float],
    *,
    n_resamples: int = N_RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Mean of `first - second` over the same problems, with its percentile bootstrap interval over problems.

    Raises:
        ValueError: the two do not have the same number of problems, or none.
    """
    if len(first) != len(second) or len(first) == 0:
        raise ValueError(f"need the same problems twice, got {len(first)} and {len(second)} values")
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)  # [N]
    means = _resampled_means(differences, n_resamples=n_resamples, seed=seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean=float(differences.mean()), low=float(low), high=float(high))


def _resampled_means(values: NDArray[np.float64], *, n_resamples: int, seed: int) -> NDArray[np.float64]:
    """Means over resampled problems, `[n_resamples, ...]` of `[N, ...]`; in blocks, so that thousands fit."""
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // values.size)
    sizes = [min(block, n_resamples - start) for start in range(0, n_resamples, block)]
    chosen = (rng.integers(len(values), size=(size, len(values))) for size in sizes)
    return np.concatenate([values[rows].mean(axis=1) for rows in chosen])
