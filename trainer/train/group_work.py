"""The work of the finetune stage: some of the adapters in, trained and scored out. Knows no store.

An adapter comes out with the same weights in whatever group it is trained, unless an option couples adapters.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load

from spa_lsp.adapters.check import check_adapter, expected_shapes
from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.reading import read_adapter
from spa_lsp.errors import BadInput
from spa_lsp.lm.bank import AdapterBank, adapted_linears, linear_shape
from spa_lsp.lm.load import LoadedBase
from spa_lsp.progress import progress
from trainer.configs import FinetuneConfig
from trainer.data.items import PartItems, TokenItem, with_equal_budget
from trainer.executor.held_base import HeldBase
from trainer.executor.travelling import TravellingSet
from trainer.executor.work import Do, Give, use_threads
from trainer.train.checkpoint import TrainingState, tensor_bytes
from trainer.train.held_out import held_out_base, held_out_losses, held_out_now
from trainer.train.memory import adapters_at_once
from trainer.train.starting import check_ranks
from trainer.train.training import Plan, copy_core, plan_steps, train

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Start:
    """A set to go on from, and which of its adapters each part gets."""

    adapter_set: AdapterSet
    names: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Adapters that are trained together, by their places among all."""

    first: int
    n_adapters: int


@dataclass(frozen=True, kw_only=True)
class Trained:
    """How the training of a group went, each tuple in the order of its adapters."""

    group: Group
    losses: tuple[tuple[float, ...], ...]  # of each step
    winners: tuple[tuple[int, ...], ...]
    looks: tuple[tuple[float, ...], ...]  # held-out losses after each step, mostly empty
    held_out: tuple[tuple[float, ...], ...]  # of each held-out item
    held_out_base: tuple[float, ...]
    quantization: str
    device: str
    at_once: int

    @property
    def states(self) -> list[TrainingState]:
        """The steps."""
        steps = enumerate(zip(self.losses, self.winners, self.looks, strict=True))
        return [
            TrainingState(step=step, losses=losses, winners=winners, held_out=held)
            for step, (losses, winners, held) in steps
        ]


@dataclass(frozen=True, kw_only=True)
class Training:
    """All parts and what is asked; with `folder`, which has room for the checkpoint of one group, it can be resumed."""

    base: HeldBase
    data: Sequence[PartItems]
    config: FinetuneConfig
    seed: int
    start_set: TravellingSet | None
    start_names: Sequence[str]
    folder: Path | None
    is_base_measured: bool = True  # on the held-out items, beside the adapters

    @property
    def base_id(self) -> str:
        """As `Work.base_id`."""
        return self.base.base_id

    def start(self, n_threads: int | None) -> Do[Group, tuple[Trained, Sequence[bytes]]]:
        """As `Work.start`; what is given are also the adapters' files."""
        use_threads(n_threads)
        return self._train_group

    def _train_group(self, group: Group, give: Give[tuple[Trained, Sequence[bytes]]]) -> None:
        base, config = self.base.get(), self.config
        bank = new_bank(base, config, n_adapters=len(self.data), seed=self.seed)
        if self.start_set:
            begin_with(bank, Start(adapter_set=self.start_set.adapter_set, names=self.start_names), config)
        plan = plan_items(self.data, config, seed=self.seed)
        rows = slice(group.first, group.first + group.n_adapters)
        at_once = config.at_once or adapters_at_once(base, bank, _widest(plan), config.activation)
        done = self._train(base, bank, plan, rows, min(at_once, group.n_adapters))
        held = held_out_losses(base, bank, self.data, config.activation, rows)
        is_base_asked = self.is_base_measured and group.first == 0
        trained = Trained(
            group=group,
            losses=tuple(state.losses for state in done),
            winners=tuple(state.winners for state in done),
            looks=tuple(state.held_out for state in done),
            held_out=tuple(map(tuple, held.tolist())),
            held_out_base=tuple(held_out_base(base, self.data).tolist()) if is_base_asked else (),
            quantization=base.quantization,
            device=base.device,
            at_once=min(at_once, group.n_adapters),
        )
        files = [tensor_bytes(bank.export(k), {"format": "pt"}) for k in range(rows.start, rows.stop)]
        give((trained, files))

    def _train(self, base: LoadedBase, bank: AdapterBank, plan: Plan, rows: slice, at_once: int) -> list[TrainingState]:
        """Train to the end or from the last checkpoint on."""
        data, config = self.data, self.config
        if config.patience and not any(own.held for own in data):
            logger.warning("no sample is held out (a part needs five), so training goes on to its last step")
        n_own = rows.stop - rows.start
        in_groups = "" if at_once >= n_own else f", {at_once} at once"
        with progress(f"finetune {n_own} adapters{in_groups}", config.steps, "steps") as bar:
            return train(
                base,
                bank,
                plan,
                config,
                checkpoint=self.folder / "checkpoint.safetensors" if self.folder else None,
                at_once=at_once,
                only=None if n_own == len(data) else rows,
                held_out=lambda: held_out_now(base, bank, data, config, rows),
                on_step=lambda _: bar.advance(),
            )


def new_bank(base: LoadedBase, config: FinetuneConfig, *, n_adapters: int, seed: int) -> AdapterBank:
    """A bank of fresh adapters, each started from a seed of its own, so that they start apart.

    Raises:
        BadInput: as `check_ranks`.
    """
    check_ranks(config)
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


def _widest(plan: Plan) -> Sequence[TokenItem]:
    """The micro-step that takes the most memory."""
    return max((items for step in plan for items in step), key=lambda items: max(item.n_tokens for item in items))
