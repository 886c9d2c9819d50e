"""The cosine of whole gradients: influence without a curvature, as gradient similarity has it. Pure."""

import torch
from torch import Tensor


def cosine(train_gradients: Tensor, query_gradients: Tensor) -> Tensor:
    """How much each training sample pulls the weights where each query does, `[N, Q]` in -1 … 1.

    Positive = training on it lowers the query's loss, to first order; its length does not count.

    Args:
        train_gradients: projected per-sample gradients, `[N, L, P]`.
        query_gradients: the same projection of the query losses, `[Q, L, P]`.

    Raises:
        ValueError: the two differ in L or P.
    """
    if train_gradients.shape[1:] != query_gradients.shape[1:]:
        raise ValueError(f"gradients of shape {train_gradients.shape} and {query_gradients.shape} do not fit")
    train, query = (
        torch.nn.functional.normalize(own.double().flatten(1)) for own in (train_gradients, query_gradients)
    )
    return (train @ query.T).float()
