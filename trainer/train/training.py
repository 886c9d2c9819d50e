"""The training loop: all adapters of a bank at once, one item of each adapter's own data per micro-step.

Nothing couples the adapters, but where an option asks for it: each has its own gradient norm, moments and data order,
so adapter i comes out as if it had been trained alone, in whatever groups the passes are made. A broken run goes on at
its last checkpoint and ends with the same weights, bit for bit.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn

from spa_lsp.errors import BadInput
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.load import LoadedBase
from trainer.configs import FinetuneConfig
from trainer.data.items import TokenItem
from trainer.train.checkpoint import Progress, TrainingState, read_checkpoint, save_checkpoint
from trainer.train.loss import item_losses
from trainer.train.objective import choose_winner, learning_shares
from trainer.train.stopping import best_check

_MAX_NORM = 1.0  # of one adapter's gradient
_BLOCK = 8  # steps whose items are sorted by length together

Plan = Sequence[Sequence[Sequence[TokenItem]]]  # [steps][accumulate][K]


def plan_steps(
    items: Sequence[Sequence[TokenItem]], *, n_steps: int, accumulate: int, seed: int
) -> list[list[list[TokenItem]]]:
    """`[steps][accumulate][K]` items; each adapter goes through its own items in a new order each time round.

    Neighbours in a micro-step are of like length, because padding is computed for nothing: within blocks of steps every
    adapter's items are sorted by length, then the micro-steps are shuffled, all adapters alike.
    """
    n_micro = n_steps * accumulate
    streams = [_cycle(own, n_micro, Random(f"{seed}:{k}")) for k, own in enumerate(items)]
    rng = Random(seed)
    micro: list[list[TokenItem]] = []
    for start in range(0, n_micro, _BLOCK * accumulate):
        block = slice(start, start + _BLOCK * accumulate)
        ordered = [sorted(stream[block], key=lambda item: item.n_tokens) for stream in streams]
        rows = [list(row) for row in zip(*ordered, strict=True)]
        rng.shuffle(rows)
        micro += rows
    return [micro[n : n + accumulate] for n in range(0, n_micro, accumulate)]


def train(
    base: LoadedBase,
    bank: AdapterBank,
    plan: Plan,
    config: FinetuneConfig,
    *,
    checkpoint: Path | None = None,
    are_tied: bool = False,
    at_once: int | None = None,
    only: slice | None = None,
    held_out: Callable[[], Tensor] | None = None,
    on_step: Callable[[TrainingState], None] | None = None,
) -> list[TrainingState]:
    """Train the adapters that `bank.create` made; every step's losses come back, those before a resume included.

    With patience each adapter ends with the weights of its best check, and training ends when none waits for a better
    one.

    Args:
        base: the frozen base.
        bank: holds the adapters; row i is trained on `plan[...][...][i]`.
        plan: from `plan_steps`.
        config: learning rate, schedule, activation, objective, checks.
        checkpoint: file to resume from and to write every `checkpoint_every` steps; None keeps nothing.
        are_tied: all rows are one adapter that sees K items at once.
        at_once: adapters in one pass; None: all. Changes no weight.
        only: the adapters that learn here, with the weights that they would have beside all others, whose weights then
            mean nothing; losses are of these alone. None: all, as it must be where an option couples them.
        held_out: the held-out loss of each that learns, now; asked at every check.
        on_step: told after every step, and at once of those that the checkpoint already has.

    Raises:
        Damaged: the checkpoint cannot be used.
        BadInput: the loss is no longer finite, or the checkpoint was made in another precision or on another device.
        NoSpace: a checkpoint cannot be written.
    """
    optimizer = torch.optim.AdamW(bank.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    arithmetic = f"{base.quantization} on {base.device}"
    is_resumed = checkpoint is not None and checkpoint.exists()
    found = read_checkpoint(checkpoint, bank, optimizer, arithmetic) if checkpoint and is_resumed else Progress()
    if on_step:
        for state in found.done:
            on_step(state)
    step_of = _Step(base, bank, optimizer, config, passes(bank.n_adapters, at_once, only), are_tied)
    while len(found.done) < len(plan) and not _is_over(found.done, config):
        step = len(found.done)
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * schedule(step, len(plan), config.warmup_steps)
        losses, winners = step_of.run(plan[step], _load(found.done, bank.n_adapters))
        _check_finite(losses, step, first=only.start if only else 0)
        is_check = held_out is not None and config.has_checks and _is_check(step + 1, len(plan), config)
        held = tuple(held_out().tolist()) if held_out and is_check else ()
        found.done.append(TrainingState(step=step, losses=tuple(losses.tolist()), winners=winners, held_out=held))
        if held and config.patience:
            _keep_best(found, bank, config)
        is_last = step + 1 == len(plan) or _is_over(found.done, config)
        if checkpoint and ((step + 1) % config.checkpoint_every == 0 or is_last):
            save_checkpoint(checkpoint, bank, optimizer, found, arithmetic)
        if on_step:
            on_step(found.done[-1])
    if found.best:
        bank.restore(found.best)
    return found.done


def schedule(step: int, n_steps: int, warmup_steps: int) -> float:
    """Factor of the learning rate: linear warm-up, then a cosine down to a tenth."""
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    done = (step - warmup_steps) / max(1, n_steps - warmup_steps)
    return 0.55 + 0.45 * math.cos(math.pi * done)


def passes(n_adapters: int, at_once: int | None, only: slice | None = None) -> list[slice]:
    """The adapters of each pass over a micro-step."""
    size, own = at_once or n_adapters, range(n_adapters)[only or slice(None)]
    return [slice(start, min(start + size, own.stop)) for start in range(own.start, own.stop, size)]


def best_steps(done: Sequence[TrainingState], config: FinetuneConfig) -> list[int]:
    """How many steps each adapter's kept weights have seen."""
    checks = [state for state in done if state.held_out]
    if not config.patience or not checks:
        return [len(done)] * len(done[0].losses)
    return [checks[best_check(own, config.patience)[0]].step + 1 for own in _by_adapter(checks)]


@dataclass(frozen=True)
class _Step:
    """One update of all adapters."""

    base: LoadedBase
    bank: AdapterBank
    optimizer: torch.optim.Optimizer
    config: FinetuneConfig
    groups: Sequence[slice]
    are_tied: bool

    def run(self, micro_steps: Sequence[Sequence[TokenItem]], won: list[int]) -> tuple[Tensor, tuple[int, ...]]:
        """The mean loss of each row, `[K]`, and who won each item; `won` counts those before."""
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros(self.groups[-1].stop - self.groups[0].start)
        winners: list[int] = []
        for items in micro_steps:
            losses, winner = self._learn(items, won, scale=1 / len(micro_steps))
            total += losses / len(micro_steps)
            if winner is not None:
                won[winner] += 1
                winners.append(winner)
        parameters = self.bank.parameters()
        if self.are_tied:
            _tie_gradients(parameters)
        _clip_each_row(parameters)
        _average_core([_gradient(parameter) for parameter in parameters], self.config.shared_rank)
        self.optimizer.step()
        copy_core(parameters, self.config.shared_rank)
        return total, tuple(winners)

    def _learn(self, items: Sequence[TokenItem], won: Sequence[int], scale: float) -> tuple[Tensor, int | None]:
        """Add the gradients of one micro-step; the losses `[K]`, and who won."""
        whole = self._losses(items, self.groups[0]) if len(self.groups) == 1 else None
        winner, shares = None, torch.ones(len(items))
        if self.config.objective == "mcl":
            seen = self._seen(items) if whole is None else whole.detach()
            winner = choose_winner(seen.tolist(), won, self.config.mcl_load)
            shares = learning_shares(winner, len(items), self.config.mcl_epsilon)
        factors = (torch.tensor([item.weight for item in items]) * shares * scale).to(self.base.device)
        found = []
        for group in self.groups:
            losses = self._losses(items, group) if whole is None else whole
            (losses * factors[group]).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            found.append(losses.detach().cpu())
        return torch.cat(found), winner

    def _losses(self, items: Sequence[TokenItem], group: slice) -> Tensor:
        return item_losses(self.base, self.bank, items[group], self.config.activation, among=items, rows=group)

    def _seen(self, items: Sequence[TokenItem]) -> Tensor:
        with torch.no_grad():
            return torch.cat([self._losses(items, group) for group in self.groups])


def _cycle(items: Sequence[TokenItem], n: int, rng: Random) -> list[TokenItem]:
    assert items, "an adapter without items"
    chosen: list[TokenItem] = []
    while len(chosen) < n:
        chosen += rng.sample(list(items), len(items))
    return chosen[:n]


def _check_finite(losses: Tensor, step: int, *, first: int) -> None:
    if not bool(losses.isfinite().all()):
        rows = ", ".join(str(row) for row, loss in enumerate(losses.tolist(), first) if not math.isfinite(loss))
        raise BadInput(f"training diverged at step {step + 1} in part {rows}; choose a lower --learning-rate")


def _load(done: Sequence[TrainingState], n_adapters: int) -> list[int]:
    """How many items each adapter has won so far."""
    won = Counter(winner for state in done for winner in state.winners)
    return [won[k] for k in range(n_adapters)]


def _is_check(n_done: int, n_steps: int, config: FinetuneConfig) -> bool:
    return n_done % config.check_every == 0 or n_done == n_steps


def _is_over(done: Sequence[TrainingState], config: FinetuneConfig) -> bool:
    """Whether every adapter has waited long enough for a better check."""
    checks = [state for state in done if state.held_out]
    return bool(config.patience and checks) and all(best_check(own, config.patience)[1] for own in _by_adapter(checks))


def _by_adapter(checks: Sequence[TrainingState]) -> list[tuple[float, ...]]:
    return list(zip(*(state.held_out for state in checks), strict=True))


def _keep_best(found: Progress, bank: AdapterBank, config: FinetuneConfig) -> None:
    """Take over the rows of the adapters whose last check is their best."""
    checks = [state for state in found.done if state.held_out]
    last = len(checks) - 1
    rows = [k for k, own in enumerate(_by_adapter(checks)) if best_check(own, config.patience)[0] == last]
    now = bank.state()
    if not found.best:
        found.best = {name: tensor.clone() for name, tensor in now.items()}
    for name, tensor in now.items():
        found.best[name][rows] = tensor[rows]


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _tie_gradients(parameters: Sequence[nn.Parameter]) -> None:
    for gradient in map(_gradient, parameters):
        gradient.copy_(gradient.mean(0, keepdim=True).expand_as(gradient))


def _clip_each_row(parameters: Sequence[nn.Parameter]) -> None:
    """Scale each adapter's gradient to at most `_MAX_NORM`; the others' play no part in it."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    squares = torch.stack([gradient.flatten(1).pow(2).sum(1) for gradient in gradients]).sum(0)  # [K]
    factors = (_MAX_NORM / squares.sqrt().clamp_min(1e-12)).clamp_max(1.0)
    for gradient in gradients:
        gradient.mul_(factors[:, None, None])


def _average_core(gradients: Sequence[Tensor], shared_rank: int) -> None:
    """The core learns from all adapters alike."""
    for core in _cores(gradients, shared_rank):
        core.copy_(core.mean(0, keepdim=True).expand_as(core))


def copy_core(parameters: Sequence[Tensor], shared_rank: int) -> None:
    """Let all adapters have the core of the first one, bit for bit."""
    with torch.no_grad():
        for core in _cores(parameters, shared_rank):
            core[1:] = core[:1]


def _cores(tensors: Sequence[Tensor], shared_rank: int) -> list[Tensor]:
    """The shared ranks of the tensors of a bank, A `[K, D, R]` and B `[K, R, N]` in turn."""
    if not shared_rank:
        return []
    return [t[:, :, :shared_rank] if n % 2 == 0 else t[:, :shared_rank] for n, t in enumerate(tensors)]
