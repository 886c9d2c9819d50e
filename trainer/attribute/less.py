"""LESS: how far one Adam step on a sample goes where each query pulls, at several points of the warm-up.

Source: Xia et al. 2024, arXiv:2402.04333, eq. 3 and 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from trainer.attribute.cosine import cosine

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of torch's AdamW, which trains the warm-up adapter
MAX_NORM = 1.0  # of a gradient in training


@dataclass(frozen=True, kw_only=True)
class Point:
    """The warm-up adapter after a step, with the moments that Adam had then; each tensor has one row."""

    step: int
    learning_rate: float  # its mean since the point before
    weights: dict[str, Tensor]
    moments: tuple[tuple[Tensor, Tensor], ...]  # in the order of `bank.parameters()`; of other methods none

    def on(self, device: str) -> "Point":
        """It on a device, of its worker."""
        moments = tuple((mean.to(device), square.to(device)) for mean, square in self.moments)
        return replace(self, weights={name: own.to(device) for name, own in self.weights.items()}, moments=moments)


def read_point(path: Path, *, step: int, learning_rate: float, has_moments: bool = True) -> Point:
    """A point from a checkpoint of `training.train`, of whose equal rows one is kept."""
    wanted = (".exp_avg", ".exp_avg_sq") if has_moments else ()
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith("weight.") or name.endswith(wanted)]  # noqa: SIM118
        rows = {name: file.get_slice(name)[:1] for name in names}
    n_parameters = sum(name.endswith(".exp_avg") for name in rows)
    return Point(
        step=step,
        learning_rate=learning_rate,
        weights={name.removeprefix("weight."): rows[name] for name in rows if name.startswith("weight.")},
        moments=tuple((rows[f"moment.{n}.exp_avg"], rows[f"moment.{n}.exp_avg_sq"]) for n in range(n_parameters)),
    )


def adam_updates(gradients: Sequence[Tensor], point: Point) -> list[Tensor]:
    """Which way the next step of Adam would go on each sample alone, `[B, ...]` for each parameter's gradients."""
    norms = torch.stack([own.flatten(1).pow(2).sum(1) for own in gradients]).sum(0).sqrt()  # [B]
    clip = (MAX_NORM / norms.clamp_min(1e-12)).clamp_max(1.0)[:, None, None]
    (first, second), n_steps = BETAS, point.step + 1
    updates = []
    for own, (mean, square) in zip(gradients, point.moments, strict=True):
        clipped = own * clip
        moved = (first * mean + (1 - first) * clipped) / (1 - first**n_steps)
        spread = (second * square + (1 - second) * clipped.pow(2)) / (1 - second**n_steps)
        updates.append(moved / (spread.sqrt() + EPSILON))
    return updates


def less(train_updates: Tensor, query_gradients: Tensor, learning_rates: Sequence[float]) -> Tensor:
    """Influence of each training sample on each query, `[N, Q]`; positive = training on it lowers the query's loss.

    The cosine of update and gradient at each of C points, weighted by the learning rates there.

    Args:
        train_updates: projected updates, `[N, C, L, P]`.
        query_gradients: the same projection of the query losses' gradients, `[Q, C, L, P]`.
        learning_rates: of the points.

    Raises:
        ValueError: the two differ in C, L or P.
    """
    whole = sum(learning_rates)
    found = torch.zeros(len(train_updates), len(query_gradients))
    for n, rate in enumerate(learning_rates):
        found += rate / whole * cosine(train_updates[:, n], query_gradients[:, n])
    return found
