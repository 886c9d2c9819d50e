"""The finetune stage: one adapter for each part, all trained in one pass, then scored on samples that none has seen."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from safetensors.torch import load

from spa_lsp.adapters.check import check_adapter, expected_shapes
from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.reading import read_adapter
from spa_lsp.errors import BadInput
from spa_lsp.lm.bank import AdapterBank, adapted_linears, linear_shape
from spa_lsp.lm.load import LoadedBase, load_base
from spa_lsp.progress import progress
from spa_lsp.storage.checked_files import hash_file
from trainer.configs import FinetuneConfig, ItemsConfig
from trainer.data.items import PartItems, TokenItem, check_layouts, part_items, with_equal_budget
from trainer.data.samples import Sample
from trainer.rows.build_set import run_folder
from trainer.rows.stages import CurvePoint, FinetuneFigures, FinetuneRun
from trainer.train.checkpoint import TrainingState, save_tensors
from trainer.train.held_out import held_out_losses, held_out_now
from trainer.train.memory import adapters_at_once
from trainer.train.training import Plan, best_steps, copy_core, plan_steps, train

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Start:
    """A set to go on from, and which of its adapters each part gets."""

    adapter_set: AdapterSet
    names: Sequence[str]


def finetune(
    parts: Mapping[int, Sequence[Sample]],
    config: FinetuneConfig,
    items: ItemsConfig,
    run: FinetuneRun,
    base_id: str,
    seed: int,
    start: Start | None = None,
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
    if start:
        begin_with(bank, start, config)
    plan = plan_items(data, config, seed=seed)
    at_once = config.at_once or adapters_at_once(base, bank, _widest(plan), config.activation)
    done = _train(run, base, bank, data, plan, config, at_once=at_once)
    files = {part: f"part-{part}.safetensors" for part in parts}
    for index, name in enumerate(files.values()):
        save_tensors(folder / name, bank.export(index), {"format": "pt"})
    held = held_out_losses(base, bank, data, config.activation)
    first, last = _ends(done)
    trained = (
        replace(own, train_loss_first=start, train_loss_last=end)
        for own, start, end in zip(held.adapters, first, last, strict=True)
    )
    winners = [winner for state in done for winner in state.winners]
    return FinetuneFigures(
        files=files,
        sha256={part: hash_file(folder / name) for part, name in files.items()},
        adapters=dict(zip(parts, trained, strict=True)),
        held_out_base=held.base,
        held_out_matrix=held.matrix,
        n_items=tuple(len(own.train) for own in data),
        n_instruct_items=sum(item.prompt[0] != base.prompt.fim_prefix for own in data for item in own.train),
        n_held_out=sum(len(own.held) for own in data),
        items_per_adapter=len(done) * config.accumulate,
        quantization=base.quantization,
        device=base.device,
        at_once=at_once,
        curve=curve(done, config),
        best_steps=tuple(best_steps(done, config)),
        n_won=tuple(winners.count(k) for k in range(len(parts))) if winners else (),
    )


def new_bank(base: LoadedBase, config: FinetuneConfig, *, n_adapters: int, seed: int) -> AdapterBank:
    """A bank of fresh adapters, each started from a seed of its own, so that they start apart.

    Raises:
        BadInput: nothing of the rank would be the adapters' own.
    """
    if config.shared_rank >= config.rank:
        raise BadInput(f"--shared-rank {config.shared_rank} leaves nothing of rank {config.rank} to the adapters")
    bank = AdapterBank(base.model, device=base.device)
    bank.create(
        adapted_linears(base.model, config.target_modules),
        n_adapters=n_adapters,
        rank=config.rank,
        scaling=config.alpha / config.rank,
        seeds=[seed * 1000 + index for index in range(n_adapters)],
    )
    copy_core(bank.parameters(), config.shared_rank)
    return bank


def begin_with(bank: AdapterBank, start: Start, config: FinetuneConfig) -> None:
    """Let the adapters of a bank begin as those of a set.

    Raises:
        BadInput, Damaged, AdapterMismatch: a file of the set cannot be used.
        BadInput: the adapters shall share a core, and those of the set do not.
    """
    shapes = expected_shapes(start.adapter_set, {name: linear_shape(own.base) for name, own in bank.linears.items()})
    for index, name in enumerate(start.names):
        data = read_adapter(start.adapter_set, name)
        check_adapter(data, start.adapter_set, shapes)
        bank.begin(index, load(data))
    before = [parameter.clone() for parameter in bank.parameters()]
    copy_core(bank.parameters(), config.shared_rank)
    if not all(map(torch.equal, before, bank.parameters())):
        raise BadInput(f"the adapters of {start.adapter_set.name!r} share no core of rank {config.shared_rank}")


def plan_items(data: Sequence[PartItems], config: FinetuneConfig, *, seed: int) -> Plan:
    """What is learned when: of each adapter its own part's items, with `mcl` of all adapters the same items of all."""
    is_of_parts = config.objective == "parts"
    streams = [own.train for own in data] if is_of_parts else [[item for own in data for item in own.train]]
    plan = plan_steps(
        [with_equal_budget(items) for items in streams], n_steps=config.steps, accumulate=config.accumulate, seed=seed
    )
    return plan if is_of_parts else [[items * len(data) for items in step] for step in plan]


def curve(done: Sequence[TrainingState], config: FinetuneConfig) -> tuple[CurvePoint, ...]:
    """The mean loss of each adapter since the point before, and its held-out loss where it was looked at."""
    found, since = [], 0
    for n, state in enumerate(done, start=1):
        if state.held_out or n % config.look_every == 0 or n == len(done):
            mean = torch.tensor([own.losses for own in done[since:n]]).mean(0)
            found.append(CurvePoint(step=n, train=tuple(mean.tolist()), held_out=state.held_out))
            since = n
    return tuple(found)


def _train(
    run: FinetuneRun,
    base: LoadedBase,
    bank: AdapterBank,
    data: Sequence[PartItems],
    plan: Plan,
    config: FinetuneConfig,
    *,
    at_once: int,
) -> list[TrainingState]:
    """Train to the end or from the last checkpoint on."""
    if config.patience and not any(own.held for own in data):
        logger.warning("no sample is held out (a part needs five), so training goes on to its last step")
    in_groups = "" if at_once >= len(data) else f", {at_once} at once"
    with progress(f"finetune {len(data)} adapters{in_groups}", config.steps, "steps") as bar:
        return train(
            base,
            bank,
            plan,
            config,
            checkpoint=run_folder(run) / "checkpoint.safetensors",
            at_once=at_once,
            held_out=lambda: held_out_now(base, bank, data, config),
            on_step=lambda _: bar.advance(),
        )


def _widest(plan: Plan) -> Sequence[TokenItem]:
    """The micro-step that takes the most memory."""
    return max((items for step in plan for items in step), key=lambda items: max(item.n_tokens for item in items))


def _ends(done: Sequence[TrainingState]) -> tuple[list[float], list[float]]:
    """Each adapter's mean loss in the first and last quarter."""
    losses = torch.tensor([step.losses for step in done])  # [steps, K]
    quarter = max(1, len(done) // 4)
    return losses[:quarter].mean(0).tolist(), losses[-quarter:].mean(0).tolist()
