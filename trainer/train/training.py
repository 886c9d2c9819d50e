"""The training loop: all adapters of a bank at once, one item of each adapter's own data per micro-step.

Nothing couples the adapters: each has its own gradient norm, moments and data order, so adapter i comes out as if it
had been trained alone. A broken run goes on at its last checkpoint and ends with the same weights, bit for bit.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from spa_lsp.errors import BadInput, Damaged, NoSpace
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.load import LoadedBase
from spa_lsp.storage.whole_files import written_whole
from trainer.configs import FinetuneConfig
from trainer.data.items import TokenItem
from trainer.train.loss import item_losses

_MAX_NORM = 1.0  # of one adapter's gradient
_BLOCK = 8  # steps whose items are sorted by length together


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """After a step: its number and the mean loss of each adapter's items in it, in nats per token."""

    step: int
    losses: tuple[float, ...]


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
    plan: Sequence[Sequence[Sequence[TokenItem]]],
    config: FinetuneConfig,
    *,
    checkpoint: Path | None = None,
    are_tied: bool = False,
    on_step: Callable[[TrainingState], None] | None = None,
) -> list[TrainingState]:
    """Train the adapters that `bank.create` made; every step's losses come back, those before a resume included.

    Args:
        base: the frozen base.
        bank: holds the adapters; row i is trained on `plan[...][...][i]`.
        plan: from `plan_steps`.
        config: learning rate, schedule, activation.
        checkpoint: file to resume from and to write every `checkpoint_every` steps; None keeps nothing.
        are_tied: all rows are one adapter that sees K items at once.
        on_step: told after every step, and at once of those that the checkpoint already has.

    Raises:
        Damaged: the checkpoint cannot be used.
        BadInput: the loss is no longer finite, or the checkpoint was made in another precision or on another device.
        NoSpace: a checkpoint cannot be written.
    """
    parameters = bank.parameters()
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    arithmetic = f"{base.quantization} on {base.device}"
    done = _resume(checkpoint, bank, optimizer, arithmetic) if checkpoint and checkpoint.exists() else []
    if on_step:
        for progress in done:
            on_step(progress)
    for step in range(len(done), len(plan)):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * schedule(step, len(plan), config.warmup_steps)
        losses = _step(base, bank, plan[step], optimizer, config, are_tied=are_tied)
        if not bool(losses.isfinite().all()):
            rows = ", ".join(str(row) for row, loss in enumerate(losses.tolist()) if not math.isfinite(loss))
            raise BadInput(f"training diverged at step {step + 1} in part {rows}; choose a lower --learning-rate")
        done.append(TrainingState(step=step, losses=tuple(losses.tolist())))
        if checkpoint and ((step + 1) % config.checkpoint_every == 0 or step + 1 == len(plan)):
            _save(checkpoint, bank, optimizer, done, arithmetic)
        if on_step:
            on_step(done[-1])
    return done


def schedule(step: int, n_steps: int, warmup_steps: int) -> float:
    """Factor of the learning rate: linear warm-up, then a cosine down to a tenth."""
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    done = (step - warmup_steps) / max(1, n_steps - warmup_steps)
    return 0.55 + 0.45 * math.cos(math.pi * done)


def _step(
    base: LoadedBase,
    bank: AdapterBank,
    micro_steps: Sequence[Sequence[TokenItem]],
    optimizer: torch.optim.Optimizer,
    config: FinetuneConfig,
    *,
    are_tied: bool,
) -> Tensor:
    """One update; the mean loss of each row, `[K]`."""
    optimizer.zero_grad(set_to_none=True)
    total = torch.zeros(bank.n_adapters)
    for items in micro_steps:
        losses = item_losses(base, bank, items, config.activation)
        (losses.sum() / len(micro_steps)).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        total += losses.detach().cpu() / len(micro_steps)
    parameters = bank.parameters()
    if are_tied:
        _tie_gradients(parameters)
    _clip_each_row(parameters)
    optimizer.step()
    return total


def _cycle(items: Sequence[TokenItem], n: int, rng: Random) -> list[TokenItem]:
    assert items, "an adapter without items"
    chosen: list[TokenItem] = []
    while len(chosen) < n:
        chosen += rng.sample(list(items), len(items))
    return chosen[:n]


def _tie_gradients(parameters: Sequence[nn.Parameter]) -> None:
    for parameter in parameters:
        assert parameter.grad is not None
        parameter.grad.copy_(parameter.grad.mean(0, keepdim=True).expand_as(parameter.grad))


def _clip_each_row(parameters: Sequence[nn.Parameter]) -> None:
    """Scale each adapter's gradient to at most `_MAX_NORM`; the others' play no part in it."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    squares = torch.stack([gradient.flatten(1).pow(2).sum(1) for gradient in gradients]).sum(0)  # [K]
    factors = (_MAX_NORM / squares.sqrt().clamp_min(1e-12)).clamp_max(1.0)
    for gradient in gradients:
        gradient.mul_(factors[:, None, None])


def _save(
    path: Path, bank: AdapterBank, optimizer: torch.optim.Optimizer, done: Sequence[TrainingState], arithmetic: str
) -> None:
    """Weights, moments and losses in one safetensors file, written beside and renamed."""
    tensors = {f"weight.{name}": tensor for name, tensor in bank.state().items()}
    for n, parameter in enumerate(bank.parameters()):
        for name in ("step", "exp_avg", "exp_avg_sq"):
            tensors[f"moment.{n}.{name}"] = optimizer.state[parameter][name]
    losses = json.dumps([list(progress.losses) for progress in done])
    save_tensors(path, tensors, {"losses": losses, "arithmetic": arithmetic})


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file.

    Raises:
        NoSpace: the disk is full; what was there before is as it was.
    """
    data = save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata=metadata)
    try:
        with written_whole(path) as unfinished:
            unfinished.write_bytes(data)
    except OSError as error:
        raise NoSpace(
            f"cannot write {path}, {len(data) / 1e6:.0f} MB ({error.strerror}); make room, the same call resumes"
        ) from error


def _resume(path: Path, bank: AdapterBank, optimizer: torch.optim.Optimizer, arithmetic: str) -> list[TrainingState]:
    try:
        with safe_open(path, framework="pt") as file:
            losses, began_with = json.loads(file.metadata()["losses"]), file.metadata()["arithmetic"]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
        bank.restore({name.removeprefix("weight."): t for name, t in tensors.items() if name.startswith("weight.")})
        for n, parameter in enumerate(bank.parameters()):
            optimizer.state[parameter] = {
                name: tensors[f"moment.{n}.{name}"].to(parameter.device if name != "step" else "cpu")
                for name in ("step", "exp_avg", "exp_avg_sq")
            }
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise Damaged(f"the checkpoint {path} cannot be used ({error}); delete it to start the run anew") from error
    if began_with != arithmetic:
        raise BadInput(f"{path} was begun in {began_with}, this is {arithmetic}; go on there, or delete it")
    return [TrainingState(step=step, losses=tuple(row)) for step, row in enumerate(losses)]
