"""Figures of one problem's completions. Pure; knows nothing of models, of programs, or of spread over problems.

What counts as different is decided before: `keys` are the classes of one of the levels of `distinct.py`, in the order
in which the completions are shown; None is a completion that belongs to no class and is never counted.
"""

from collections.abc import Hashable, Sequence
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spa_lsp.completion import Finish

PATIENCE = 0.8  # NoveltyBench: the chance that a reader goes on to the next answer
Keys = Sequence[Hashable | None]


def distinct_at_k(keys: Keys) -> int:
    """How many different classes among the k completions."""
    return len({key for key in keys if key is not None})


def dc_at_k(keys: Keys, passes: Sequence[bool]) -> int:
    """Distinct and correct: how many different classes among the completions that pass."""
    return distinct_at_k([key for key, has_passed in zip(keys, passes, strict=True) if has_passed])


def utility_at_k(keys: Keys, passes: Sequence[bool]) -> float:
    """What a reader gets who looks at the next one with chance `PATIENCE`; 1 when all k are right and different.

    A completion of a class seen before earns nothing, nor does one that fails: (1-p)/(1-pᵏ) Σᵢ pⁱ⁻¹ newᵢ passᵢ.

    Source: NoveltyBench, arXiv:2504.05228, eq. 2; a test stands in for its judge of quality.
    """
    seen: set[Hashable] = set()
    total = 0.0
    for place, (key, has_passed) in enumerate(zip(keys, passes, strict=True)):
        if key is not None and key not in seen:
            seen.add(key)
            total += PATIENCE**place * has_passed
    return total * (1 - PATIENCE) / (1 - PATIENCE ** len(passes))


def pass_at_1(passes: Sequence[bool]) -> float:
    """Share of the completions that pass: the chance that one of them, picked blindly, does."""
    return _share(passes)


def pass_any(passes: Sequence[bool]) -> bool:
    """Whether one of the k passes: pass@k when exactly these k are shown."""
    return any(passes)


def pass_at_n(passes: Sequence[bool], n_attempts: int) -> float:
    """Chance that at least one of `n_attempts` drawn without replacement from these passes; the unbiased pass@k.

    Source: Chen et al. 2021, arXiv:2107.03374, eq. 1.

    Raises:
        ValueError: more attempts than completions.
    """
    if not 0 < n_attempts <= len(passes):
        raise ValueError(f"{n_attempts} attempts cannot be drawn from {len(passes)} completions")
    return 1 - comb(len(passes) - sum(passes), n_attempts) / comb(len(passes), n_attempts)


def diversity(texts: Sequence[str]) -> float | None:
    """Share of the pairs of completions whose texts differ, by exact identity; None when there is no pair.

    Source: SPA, arXiv:2411.06722, §5.1: 1 - duplicate pairs / pairs.
    """
    n_pairs = comb(len(texts), 2)
    if n_pairs == 0:
        return None
    n_equal = sum(comb(texts.count(text), 2) for text in set(texts))
    return 1 - n_equal / n_pairs


def average_kl(logprobs: NDArray[np.floating[Any]]) -> float | None:
    """Mean KL divergence between the adapters' next-token distributions; None for a single adapter.

    `logprobs` is `[K, T, V]`: of every adapter at each of the T places of one text (`lm/likelihood.py`). KL(Pᵢ‖Pⱼ) in
    nats per token is averaged over the places, then over both directions of all pairs of adapters. The paper names the
    average over pairs i < j and leaves text and direction open; its magnitudes (0.02) fit means per token.

    Source: SPA, arXiv:2411.06722, §5.1.
    """
    K, T = logprobs.shape[:2]
    if K < 2 or T == 0:
        return None
    probabilities = np.exp(logprobs)
    # Σᵥ Pᵢ log Pⱼ for all pairs at once; 0 · -inf, a token that both exclude, counts 0
    finite = np.maximum(logprobs, -1e30)
    cross = probabilities.reshape(K, -1) @ finite.reshape(K, -1).T / T
    kl = np.diag(cross)[:, None] - cross  # [K, K], zero on the diagonal
    return float(kl.sum() / (K * (K - 1)))


def stops_share(finishes: Sequence[Finish]) -> float:
    """Share of the completions that ended with their own stop token, not by a cut or the length."""
    return _share([finish == "stop" for finish in finishes])


def parse_share(keys: Keys) -> float:
    """Share of the completions that give a program that parses: that have an AST-normalised class."""
    return _share([key is not None for key in keys])


def _share(values: Sequence[bool]) -> float:
    if not values:
        raise ValueError("a share of no completions")
    return sum(values) / len(values)
