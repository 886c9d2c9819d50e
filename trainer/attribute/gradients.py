"""Per-sample gradients of LoRA weights, projected: a short warm-up adapter, then one backward pass per batch.

The bank gives them for nothing: with the same adapter in all B rows, row b's gradient is sample b's.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from spa_lsp.lm.bank import AdapterBank, adapted_linears
from spa_lsp.lm.load import LoadedBase
from trainer.attribute.projection import project
from trainer.configs import ALL_LINEARS, AttributeConfig, FinetuneConfig
from trainer.data.items import TokenItem
from trainer.train.loss import item_losses
from trainer.train.training import plan_steps, train


def warm_up(
    base: LoadedBase,
    bank: AdapterBank,
    items: Sequence[TokenItem],
    config: AttributeConfig,
    *,
    seed: int,
    checkpoint: Path | None = None,
    on_step: Callable[[], None] | None = None,
) -> None:
    """Train one adapter briefly on `items` and leave it in all `config.batch` rows of the bank.

    With a checkpoint file it is trained once only: gradients taken under two warm-ups could not be compared.

    Fresh LoRA weights say little (the gradient of A is zero); converged ones have lost what tells samples apart.
    Source: LESS, arXiv:2402.04333, §3.1.
    """
    names = adapted_linears(base.model, ALL_LINEARS)
    bank.create(names, n_adapters=config.batch, rank=config.warmup_rank, scaling=1.0, seeds=[seed] * config.batch)
    n_steps = max(1, len(items) // config.batch)
    tied = FinetuneConfig(learning_rate=config.learning_rate, steps=n_steps, accumulate=1, warmup_steps=1)
    items = [items[n % len(items)] for n in range(max(len(items), config.batch))]  # every row needs one
    # every row reads the same stream, each at its own place: a step sees `batch` different items
    shares = [items[row :: config.batch] for row in range(config.batch)]
    plan = plan_steps(shares, n_steps=n_steps, accumulate=1, seed=seed)
    train(
        base, bank, plan, tied, checkpoint=checkpoint, are_tied=True, on_step=lambda _: on_step() if on_step else None
    )


def sample_gradients(
    base: LoadedBase, bank: AdapterBank, items: Sequence[TokenItem], config: AttributeConfig, *, seed: int
) -> Tensor:
    """Projected gradients of at most `config.batch` items, `[B, L, 2 * R * columns]`, float32 on the CPU.

    L counts the adapted linears in order of name; A's part comes before B's.
    """
    assert 0 < len(items) <= config.batch
    filled = [
        *items,
        *[items[0]] * (config.batch - len(items)),
    ]  # rows without an item repeat one; their gradient is dropped
    for parameter in bank.parameters():
        parameter.grad = None
    item_losses(base, bank, filled, "completion").sum().backward()  # type: ignore[no-untyped-call]
    per_linear = [_linear_gradient(bank, name, config, seed) for name in sorted(bank.linears)]
    return torch.stack(per_linear, dim=1)[: len(items)].cpu()


def _linear_gradient(bank: AdapterBank, name: str, config: AttributeConfig, seed: int) -> Tensor:
    linear = bank.linears[name]
    assert linear.A is not None and linear.B is not None and linear.A.grad is not None and linear.B.grad is not None
    down = project(linear.A.grad.transpose(1, 2), f"{name}.A", n_columns=config.projected, seed=seed)  # [B, R, p]
    up = project(linear.B.grad, f"{name}.B", n_columns=config.projected, seed=seed)
    return torch.cat([down.flatten(1), up.flatten(1)], dim=1)
