"""Losses on items that were never trained on, in nats per token: the whole matrix, and what early stopping looks at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.load import LoadedBase
from spa_lsp.progress import progress
from trainer.configs import Activation, FinetuneConfig
from trainer.data.items import PartItems, TokenItem
from trainer.rows.stages import AdapterFigures
from trainer.train.loss import adapter_losses, base_losses


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Losses on held-out items: the base's mean, `[adapter][part]`, and each adapter's own figures."""

    adapters: tuple[AdapterFigures, ...]
    base: float | None = None
    matrix: tuple[tuple[float | None, ...], ...] = ()


def held_out_figures(data: Sequence[PartItems], losses: Tensor, base_loss: Tensor) -> HeldOut:
    """Mean loss on held-out items, in nats per token: of the base, and of each adapter on its own and other parts.

    Args:
        data: the parts.
        losses: from `held_out_losses`, of all adapters `[N, K]`.
        base_loss: from `held_out_base`, `[N]`.
    """
    items, of_part = _held(data)
    if not items:
        return HeldOut(adapters=tuple(AdapterFigures() for _ in data))
    K = len(data)
    matrix = tuple(tuple(_mean(losses[of_part == part, k]) for part in range(K)) for k in range(K))
    adapters = tuple(
        AdapterFigures(
            held_out_own=matrix[k][k],
            held_out_others=_mean(losses[of_part != k, k]),
            held_out_base_own=_mean(base_loss[of_part == k]),
            held_out_all=_mean(losses[:, k]),
        )
        for k in range(K)
    )
    return HeldOut(adapters=adapters, base=_mean(base_loss), matrix=matrix)


def held_out_losses(
    base: LoadedBase, bank: AdapterBank, data: Sequence[PartItems], activation: Activation, rows: slice | None = None
) -> Tensor:
    """Of each held-out item under each adapter, or those of `rows`: `[N, K]`, on the CPU."""
    found = [adapter_losses(base, bank, item, activation, rows) for item in _with_progress(data, "held-out loss")]
    return torch.stack(found).cpu() if found else torch.empty(0, bank.n_adapters)


def held_out_base(base: LoadedBase, data: Sequence[PartItems]) -> Tensor:
    """Of each held-out item under the base, `[N]`, on the CPU."""
    items = _with_progress(data, "held-out loss of the base")
    return torch.tensor([float(base_losses(base, [item])[0]) for item in items])


def held_out_now(
    base: LoadedBase, bank: AdapterBank, data: Sequence[PartItems], config: FinetuneConfig, rows: slice | None = None
) -> Tensor:
    """What each adapter's training should lower, `[K]` or of `rows`, NaN where nothing is held out.

    Of a part's adapter the mean loss on its own part; with `mcl`, where all learn all, the mean of the lowest losses.
    """
    items, of_part = _held(data)
    wanted = range(len(data))[rows or slice(None)]
    if not items:
        return torch.full((len(wanted),), torch.nan)
    losses = held_out_losses(base, bank, data, config.activation, rows)
    if config.objective == "mcl":
        return losses.min(1).values.mean().expand(len(wanted))
    return torch.stack([losses[of_part == k, n].mean() for n, k in enumerate(wanted)])


def _with_progress(data: Sequence[PartItems], what: str) -> Iterator[TokenItem]:
    items, _ = _held(data)
    with progress(what, len(items), "items") as bar:
        for item in items:
            yield item
            bar.advance()


def _held(data: Sequence[PartItems]) -> tuple[list[TokenItem], Tensor]:
    items = [(part, item) for part, own in enumerate(data) for item in own.held]
    return [item for _, item in items], torch.tensor([part for part, _ in items])


def _mean(values: Tensor) -> float | None:
    return float(values.mean()) if len(values) else None
