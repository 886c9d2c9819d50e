"""DataInf: influence in closed form from per-sample gradients, linear by linear. Pure."""

import torch
from torch import Tensor


def datainf(
    train_gradients: Tensor, query_gradients: Tensor, damping: float, *, curvature: Tensor | None = None
) -> Tensor:
    """Influence of each training sample on each query, `[N, Q]`; positive = training on it lowers the query's loss.

    Per linear l, with g_i the gradients that make the curvature, λ_l = damping * their mean squared element:

        I[n, q] = Σ_l 1/λ_l * gqᵀ (Id - 1/N Σ_i g_i g_iᵀ / (λ_l + |g_i|²)) g_n

    The columns are comparable: each query's gradient is scaled to length one first, since a query with a large loss
    would otherwise attract every sample.

    Args:
        train_gradients: projected per-sample gradients, `[N, L, P]`, L linears.
        query_gradients: the same projection of the query losses, `[Q, L, P]`.
        damping: 0.1 is the paper's constant.
        curvature: the gradients that make it, `[N, L, P]`; by default the training gradients.

    Raises:
        ValueError: the two differ in L or P.

    Source: Kwon et al. 2024, arXiv:2310.00902, eq. 5, sign turned.
    """
    if train_gradients.shape[1:] != query_gradients.shape[1:]:
        raise ValueError(f"gradients of shape {train_gradients.shape} and {query_gradients.shape} do not fit")
    queries = query_gradients / query_gradients.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None]
    influence = torch.zeros(len(train_gradients), len(queries))
    rows = train_gradients if curvature is None else curvature
    for n_linear in range(train_gradients.shape[1]):
        g = rows[:, n_linear].double()  # [N, P]
        damp = damping * g.pow(2).mean().clamp_min(1e-30)
        weights = 1 / (damp + g.pow(2).sum(1))  # [N]
        shrink = torch.eye(g.shape[1], dtype=g.dtype) - (g * weights[:, None]).T @ g / len(g)
        solved = shrink @ queries[:, n_linear].double().T / damp
        influence += (train_gradients[:, n_linear].double() @ solved).float()
    return influence
