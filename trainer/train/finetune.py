"""The finetune stage: one adapter for each part, all trained in one pass, then scored on samples that none has seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from sqlite_utils import Database
from torch import Tensor

from spa_lsp.errors import BadInput
from spa_lsp.lm.bank import AdapterBank, adapted_linears
from spa_lsp.lm.load import LoadedBase, load_base
from spa_lsp.progress import progress
from spa_lsp.storage.checked_files import hash_file
from trainer.configs import FinetuneConfig, ItemsConfig
from trainer.data.items import TokenItem, check_layouts, token_items
from trainer.data.samples import Sample, make_items, split_holdout
from trainer.rows.build_set import run_folder
from trainer.rows.stages import AdapterFigures, FinetuneFigures, FinetuneRun
from trainer.train.loss import adapter_losses, base_losses
from trainer.train.training import plan_steps, save_tensors, train


@dataclass(frozen=True, kw_only=True)
class PartItems:
    """The token items of one part: those trained on, and those of its held-out samples."""

    train: tuple[TokenItem, ...]
    held: tuple[TokenItem, ...]


def finetune(
    db: Database,
    parts: Mapping[int, Sequence[Sample]],
    config: FinetuneConfig,
    items: ItemsConfig,
    run: FinetuneRun,
    base_id: str,
    seed: int,
) -> FinetuneFigures:
    """Train and score.

    Every adapter gets the same number of items, whatever its part's size, so that small parts are not worse off.

    Raises:
        BadInput: a part has no item that fits.
    """
    base = load_base(base_id, is_training=True)
    check_layouts(base, items)
    data = [part_items(parts[part], base, items, n_held=items.holdout // len(parts), seed=seed) for part in parts]
    for part, own in zip(parts, data, strict=True):
        if not own.train:
            raise BadInput(f"part {part} has no item of at most {items.max_tokens} tokens; raise --max-tokens")
    folder = run_folder(run)
    bank = new_bank(base, config, n_adapters=len(parts), seed=seed)
    first, last = _train(base, bank, data, config, folder=folder, seed=seed)
    files = {part: f"part-{part}.safetensors" for part in parts}
    for index, name in enumerate(files.values()):
        save_tensors(folder / name, bank.export(index), {"format": "pt"})
    held = held_out_losses(base, bank, data, config)
    trained = (
        replace(own, train_loss_first=start, train_loss_last=end)
        for own, start, end in zip(held.adapters, first, last, strict=True)
    )
    return FinetuneFigures(
        files=files,
        sha256={part: hash_file(folder / name) for part, name in files.items()},
        adapters=dict(zip(parts, trained, strict=True)),
        held_out_base=held.base,
        held_out_matrix=held.matrix,
        n_items=tuple(len(own.train) for own in data),
        n_instruct_items=sum(item.prompt[0] != base.prompt.fim_prefix for own in data for item in own.train),
        n_held_out=sum(len(own.held) for own in data),
        items_per_adapter=config.steps * config.accumulate,
        quantization=base.quantization,
        device=base.device,
    )


def part_items(
    samples: Sequence[Sample], base: LoadedBase, config: ItemsConfig, *, n_held: int, seed: int
) -> PartItems:
    """The items of a part's samples, of which `n_held` samples (at most a fifth) are held out."""
    kept, held = split_holdout(samples, config=replace(config, holdout=n_held), seed=seed)

    def tokens_of(sample: Sample) -> list[TokenItem]:
        made = make_items(sample, config=config, seed=seed)
        return token_items(made, base.prompt, stop_id=base.end_id, max_tokens=config.max_tokens)

    return PartItems(
        train=tuple(item for sample in kept for item in tokens_of(sample)),
        held=tuple(item for sample in held for item in tokens_of(sample)[:1]),
    )


def new_bank(base: LoadedBase, config: FinetuneConfig, *, n_adapters: int, seed: int) -> AdapterBank:
    """A bank of fresh adapters, each started from a seed of its own, so that they start apart."""
    bank = AdapterBank(base.model, device=base.device)
    bank.create(
        adapted_linears(base.model, config.target_modules),
        n_adapters=n_adapters,
        rank=config.rank,
        scaling=config.alpha / config.rank,
        seeds=[seed * 1000 + index for index in range(n_adapters)],
    )
    return bank


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Losses on held-out items: the base's mean, `[adapter][part]`, and each adapter's own figures."""

    adapters: tuple[AdapterFigures, ...]
    base: float | None = None
    matrix: tuple[tuple[float | None, ...], ...] = ()


def held_out_losses(base: LoadedBase, bank: AdapterBank, data: Sequence[PartItems], config: FinetuneConfig) -> HeldOut:
    """Mean loss on held-out items, in nats per token: of the base, and of each adapter on its own and other parts."""
    items = [(part, item) for part, own in enumerate(data) for item in own.held]
    if not items:
        return HeldOut(adapters=tuple(AdapterFigures() for _ in data))
    rows, base_rows = [], []
    with progress("held-out loss", len(items), "items") as bar:
        for _, item in items:
            rows.append(adapter_losses(base, bank, item, config.activation))
            base_rows.append(base_losses(base, [item])[0])
            bar.advance()
    losses, base_loss = torch.stack(rows).cpu(), torch.stack(base_rows).cpu()  # [N, K], [N]
    of_part = torch.tensor([part for part, _ in items])
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


def _mean(values: Tensor) -> float | None:
    return float(values.mean()) if len(values) else None


def _train(
    base: LoadedBase,
    bank: AdapterBank,
    data: Sequence[PartItems],
    config: FinetuneConfig,
    *,
    folder: Path,
    seed: int,
) -> tuple[list[float], list[float]]:
    """Train to the end or from the last checkpoint on; each adapter's mean loss in the first and last quarter."""
    plan = plan_steps([own.train for own in data], n_steps=config.steps, accumulate=config.accumulate, seed=seed)
    checkpoint = folder / "checkpoint.safetensors"
    with progress(f"finetune {len(data)} adapters", config.steps, "steps") as bar:
        done = train(base, bank, plan, config, checkpoint=checkpoint, on_step=lambda _: bar.advance())
    losses = torch.tensor([step.losses for step in done])  # [steps, K]
    quarter = max(1, len(done) // 4)
    return losses[:quarter].mean(0).tolist(), losses[-quarter:].mean(0).tolist()
