"""Figures of one problem's completions, and their mean and spread over problems. Pure; knows nothing of models."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spa_lsp.completion import Finish


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over problems; `standard_error` is None for a single problem, which shows no spread."""

    mean: float
    standard_error: float | None


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean difference over problems and the bounds of its bootstrap interval."""

    mean: float
    low: float
    high: float


def distinct_exact(texts: Sequence[str]) -> int:
    """How many different texts."""
    return len(set(texts))


def distinct_ast(keys: Sequence[str | None]) -> int:
    """How many different keys of `normalize.ast_key`; what does not parse (None) is not counted."""
    return len({key for key in keys if key is not None})


def pass_at_1(passes: Sequence[bool]) -> float:
    """Share of the completions that pass: the chance that one of them, picked blindly, does."""
    return _share(passes)


def pass_any(passes: Sequence[bool]) -> bool:
    """Whether one of the k passes: pass@k when exactly these k are shown."""
    return any(passes)


def dc_at_k(keys: Sequence[str | None], passes: Sequence[bool]) -> int:
    """Distinct and correct: how many different keys among the completions that pass."""
    return distinct_ast([key for key, has_passed in zip(keys, passes, strict=True) if has_passed])


def stops_share(finishes: Sequence[Finish]) -> float:
    """Share of the completions that ended with their own stop token, not by a cut or the length."""
    return _share([finish == "stop" for finish in finishes])


def parse_share(keys: Sequence[str | None]) -> float:
    """Share of the completions that give a program that parses."""
    return _share([key is not None for key in keys])


def estimate(values: Sequence[float]) -> Estimate:
    """Mean over problems and its standard error (deviation with n - 1, over √n)."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean=mean, standard_error=None)
    return Estimate(mean=mean, standard_error=float(np.std(values, ddof=1) / np.sqrt(len(values))))


def paired_bootstrap(
    first: Sequence[float], second: Sequence[float], *, n_resamples: int = 10_000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Mean of `first - second` over the same problems, with its percentile bootstrap interval over problems.

    Raises:
        ValueError: the two do not have the same number of problems, or none.
    """
    if len(first) != len(second) or len(first) == 0:
        raise ValueError(f"need the same problems twice, got {len(first)} and {len(second)} values")
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)  # [N]
    chosen = np.random.default_rng(seed).integers(len(differences), size=(n_resamples, len(differences)))
    means = differences[chosen].mean(axis=1)  # [n_resamples]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean=float(differences.mean()), low=float(low), high=float(high))


def _share(values: Sequence[bool]) -> float:
    if not values:
        raise ValueError("a share of no completions")
    return sum(values) / len(values)
