"""LiSSA: influence through the damped Gauss-Newton inverse, by a stochastic Neumann series. Pure.

It is the paper's method, on projected LoRA gradients: the curvature is that of the samples' own gradients.
"""

import math

import torch
from torch import Tensor

DAMPING = 0.001  # the paper's, added to the diagonal
REPEATS = 4
BATCH = 8  # samples of one step of the series


def lissa(
    train_gradients: Tensor,
    query_gradients: Tensor,
    *,
    curvature: Tensor | None = None,
    damping: float = DAMPING,
    depth: int | None = None,
    repeats: int = REPEATS,
    batch: int = BATCH,
    seed: int = 0,
) -> Tensor:
    """Influence of each training sample on each query, `[N, Q]`; positive = training on it lowers the query's loss.

    g_qᵀ (CᵀC/N + λI)⁻¹ g_n, with the inverse as the mean of `repeats` series of `depth` steps, each on a new draw of C.
    Queries have length one first, as in `datainf`.

    Args:
        train_gradients: projected per-sample gradients, `[N, ...]`.
        query_gradients: the same projection of the query losses, `[Q, ...]`.
        curvature: Gauss-Newton factors, a row per sample `[N, ...]`; by default the training gradients.
        damping: λ.
        depth: by default so many that depth x repeats is about N.
        repeats: series that are averaged.
        batch: samples per step.
        seed: of the draws.

    Raises:
        ValueError: the two do not have the same shape but for N and Q.

    Source: Agarwal et al. 2017, arXiv:1602.03943; Wen & Chaudhuri 2024, arXiv:2411.06722, §5.1.
    """
    if train_gradients.shape[1:] != query_gradients.shape[1:]:
        raise ValueError(f"gradients of shape {train_gradients.shape} and {query_gradients.shape} do not fit")
    train, query = (own.double().flatten(1) for own in (train_gradients, query_gradients))
    rows = train if curvature is None else curvature.double().flatten(1)
    query = torch.nn.functional.normalize(query)
    steps = depth or math.ceil(len(rows) / repeats)
    # beyond this the series diverges on the longest row
    scale = 1 / (float(rows.pow(2).sum(1).max()) + damping)
    generator = torch.Generator().manual_seed(seed)
    solved = torch.zeros_like(query.T)  # [P, Q]
    for _ in range(repeats):
        solved += _series(rows, query.T, damping, scale, steps, min(batch, len(rows)), generator) / repeats
    return (train @ solved).float()


def _series(
    rows: Tensor, target: Tensor, damping: float, scale: float, steps: int, batch: int, generator: torch.Generator
) -> Tensor:
    """About (CᵀC/N + λI)⁻¹ `target`: x ← b + (I - sH)x tends to (sH)⁻¹ b."""
    found = target
    for _ in range(steps):
        drawn = rows[torch.randperm(len(rows), generator=generator)[:batch]]
        found = target + found - scale * (drawn.T @ (drawn @ found) / batch + damping * found)
    return scale * found
