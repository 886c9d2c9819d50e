"""Seeded random projection of LoRA gradients: what is kept of them so that inner products survive.

Each gradient matrix is multiplied on its long side by a Gaussian matrix; the short side, the rank, stays. The expected
inner product of two projected matrices is the inner product of the matrices (Johnson-Lindenstrauss).
"""

import hashlib

import torch
from torch import Tensor


def project(gradient: Tensor, name: str, *, n_columns: int, seed: int) -> Tensor:
    """A stack of gradients `[B, R, D]` as `[B, R, n_columns]`, by the matrix that belongs to `name` and `seed`."""
    matrix = projection_matrix(gradient.shape[-1], name, n_columns=n_columns, seed=seed)
    projected: Tensor = gradient.float() @ matrix.to(gradient.device)
    return projected


def projection_matrix(width: int, name: str, *, n_columns: int, seed: int) -> Tensor:
    """Gaussian `[width, n_columns]` with variance 1 / n_columns, the same for the same name and seed everywhere."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    gaussian = torch.randn(width, n_columns, generator=generator)
    scaled: Tensor = gaussian / n_columns**0.5
    return scaled
