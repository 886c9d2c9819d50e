"""Per-sample gradients of LoRA weights, projected: a short warm-up adapter, then one backward pass per batch.

The bank gives them for nothing: with the same adapter in all B rows, row b's gradient is sample b's, and two batched
products for each adapted linear make them all.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import copyfile

import torch
from torch import Tensor

from spa_lsp.lm.bank import AdapterBank, adapted_linears
from spa_lsp.lm.load import LoadedBase
from spa_lsp.storage.whole_files import written_whole
from trainer.attribute.less import Point, adam_updates, read_point
from trainer.attribute.projection import project
from trainer.configs import ALL_LINEARS, AttributeConfig, FinetuneConfig
from trainer.data.items import TokenItem
from trainer.train.checkpoint import TrainingState, read_extent
from trainer.train.loss import item_losses
from trainer.train.training import plan_steps, schedule, train

WARMUP_STEPS = 1  # of the warm-up's learning rate
Update = Callable[[Sequence[Tensor]], Sequence[Tensor]]


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

    With a checkpoint file it is trained once only: gradients taken under two warm-ups could not be compared. For `less`
    a copy of it stays at every point.

    Fresh LoRA weights say little (the gradient of A is zero); converged ones have lost what tells samples apart.
    Source: LESS, arXiv:2402.04333, §3.1.
    """
    begin(base, bank, config, seed=seed)
    n_steps = warm_up_steps(len(items), config)
    points = point_steps(n_steps, config) if checkpoint and config.method == "less" else []
    if checkpoint and not checkpoint.exists():
        for step in points:  # of a warm-up that is gone
            _point_path(checkpoint, step).unlink(missing_ok=True)
    tied = FinetuneConfig(
        learning_rate=config.learning_rate,
        steps=n_steps,
        accumulate=1,
        warmup_steps=WARMUP_STEPS,
        checkpoint_every=1 if points else FinetuneConfig.checkpoint_every,
    )
    items = [items[n % len(items)] for n in range(max(len(items), config.batch))]  # every row needs one
    # every row reads the same stream, each at its own place: a step sees `batch` different items
    shares = [items[row :: config.batch] for row in range(config.batch)]
    plan = plan_steps(shares, n_steps=n_steps, accumulate=1, seed=seed)

    def keep(state: TrainingState) -> None:
        if checkpoint and state.step + 1 in points and not _point_path(checkpoint, state.step + 1).exists():
            with written_whole(_point_path(checkpoint, state.step + 1)) as unfinished:
                copyfile(checkpoint, unfinished)
        if on_step:
            on_step()

    train(base, bank, plan, tied, checkpoint=checkpoint, are_tied=True, on_step=keep)


def begin(base: LoadedBase, bank: AdapterBank, config: AttributeConfig, *, seed: int) -> None:
    """One fresh adapter in all rows of the bank."""
    names = adapted_linears(base.model, ALL_LINEARS)
    bank.create(names, n_adapters=config.batch, rank=config.warmup_rank, scaling=1.0, seeds=[seed] * config.batch)


def warm_up_steps(n_items: int, config: AttributeConfig) -> int:
    """How many steps the warm-up takes: every item is seen about once."""
    return max(1, n_items // config.batch)


def point_steps(n_steps: int, config: AttributeConfig) -> list[int]:
    """The steps after which `less` takes gradients, evenly spread; the last one is the end."""
    n = min(config.checkpoints, n_steps)
    return [math.ceil(n_steps * (own + 1) / n) for own in range(n)]


def read_points(checkpoint: Path, n_steps: int, config: AttributeConfig) -> list[Point]:
    """Where gradients are taken of the warm-up that left this checkpoint: at its end, or at the points of `less`."""
    if config.method != "less":
        return [read_point(checkpoint, step=n_steps, learning_rate=config.learning_rate, has_moments=False)]
    rates = [config.learning_rate * schedule(step, n_steps, WARMUP_STEPS) for step in range(n_steps)]
    ends = point_steps(n_steps, config)
    spans = [rates[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return [
        read_point(_point_path(checkpoint, end), step=end, learning_rate=sum(own) / len(own))
        for end, own in zip(ends, spans, strict=True)
    ]


def warm_up_arithmetic(checkpoint: Path, n_steps: int, config: AttributeConfig) -> str | None:
    """The precision and the device of a warm-up that has ended; None: it has not, or a file of it is gone."""
    ends = point_steps(n_steps, config) if config.method == "less" else []
    if not all(path.exists() for path in (checkpoint, *(_point_path(checkpoint, end) for end in ends))):
        return None
    n_done, arithmetic = read_extent(checkpoint)
    return arithmetic if n_done == n_steps else None


def _point_path(checkpoint: Path, step: int) -> Path:
    return checkpoint.with_stem(f"{checkpoint.stem}-{step}")


def point_gradients(
    base: LoadedBase,
    bank: AdapterBank,
    items: Sequence[TokenItem],
    config: AttributeConfig,
    *,
    seed: int,
    points: Sequence[Point],
    are_updates: bool,
) -> Tensor:
    """Projected gradients, or Adam's updates, of a batch at each of C points, `[B, C * L, 2 * R * columns]`."""
    found = []
    for point in points:
        bank.restore(point.weights)
        update: Update | None = (lambda own, at=point: adam_updates(own, at)) if are_updates else None
        found.append(sample_gradients(base, bank, items, config, seed=seed, update=update))
    return torch.cat(found, dim=1)


def sample_gradients(
    base: LoadedBase,
    bank: AdapterBank,
    items: Sequence[TokenItem],
    config: AttributeConfig,
    *,
    seed: int,
    update: Update | None = None,
) -> Tensor:
    """Projected gradients of at most `config.batch` items, `[B, L, 2 * R * columns]`, float32 on the CPU.

    L counts the adapted linears in order of name; A's part comes before B's. `update` turns gradients, of all
    parameters, into what is projected in their place.
    """
    assert 0 < len(items) <= config.batch
    filled = [
        *items,
        *[items[0]] * (config.batch - len(items)),
    ]  # rows without an item repeat one; their gradient is dropped
    parameters = bank.parameters()
    for parameter in parameters:
        parameter.grad = None
    item_losses(base, bank, filled, "completion").sum().backward()  # type: ignore[no-untyped-call]
    gradients: Sequence[Tensor] = [parameter.grad for parameter in parameters if parameter.grad is not None]
    assert len(gradients) == len(parameters)
    kept = update(gradients) if update else gradients
    names = sorted(bank.linears)
    per_linear = [
        _projected(name, down, up, config, seed) for name, down, up in zip(names, kept[::2], kept[1::2], strict=True)
    ]
    return torch.stack(per_linear, dim=1)[: len(items)].cpu()


def _projected(name: str, down: Tensor, up: Tensor, config: AttributeConfig, seed: int) -> Tensor:
    down = project(down.transpose(1, 2), f"{name}.A", n_columns=config.projected, seed=seed)  # [B, R, p]
    up = project(up, f"{name}.B", n_columns=config.projected, seed=seed)
    return torch.cat([down.flatten(1), up.flatten(1)], dim=1)
