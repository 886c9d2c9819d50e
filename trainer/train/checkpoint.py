"""What a training has so far, and the file that keeps it: weights, moments, losses, the best weights seen."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from spa_lsp.errors import BadInput, Damaged, NoSpace
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.storage.whole_files import written_whole

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # AdamW's own names
_LISTS = ("losses", "winners", "held_out")


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """After a step: its number and the mean loss of each adapter's items in it, in nats per token.

    `winners` are the adapters that won an item each (`mcl`), `held_out` is each adapter's held-out loss after the step,
    where it was measured.
    """

    step: int
    losses: tuple[float, ...]
    winners: tuple[int, ...] = ()
    held_out: tuple[float, ...] = ()


@dataclass(kw_only=True)
class Progress:
    """The steps that are done, and each adapter's weights at its best check; none before the first check."""

    done: list[TrainingState] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)


def save_checkpoint(
    path: Path, bank: AdapterBank, optimizer: torch.optim.Optimizer, progress: Progress, arithmetic: str
) -> None:
    """Write the whole state of a training; `arithmetic` is the precision and the device that it runs in.

    Raises:
        NoSpace: the disk is full.
    """
    tensors = {f"weight.{name}": tensor for name, tensor in bank.state().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in progress.best.items()}
    for n, parameter in enumerate(bank.parameters()):
        for name in _MOMENTS:
            tensors[f"moment.{n}.{name}"] = optimizer.state[parameter][name]
    lists = {name: [list(getattr(state, name)) for state in progress.done] for name in _LISTS}
    texts = {name: json.dumps(rows) for name, rows in lists.items()}
    save_tensors(path, tensors, {**texts, "arithmetic": arithmetic})


def read_checkpoint(path: Path, bank: AdapterBank, optimizer: torch.optim.Optimizer, arithmetic: str) -> Progress:
    """Put back what `save_checkpoint` wrote.

    Raises:
        Damaged: the file cannot be used. BadInput: it was begun in another precision or on another device.
    """
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
        began_with, losses = texts["arithmetic"], json.loads(texts["losses"])
        winners, held_out = (json.loads(texts.get(name, "[]")) or [[]] * len(losses) for name in _LISTS[1:])
        bank.restore(_named(tensors, "weight."))
        for n, parameter in enumerate(bank.parameters()):
            optimizer.state[parameter] = {
                name: tensors[f"moment.{n}.{name}"].to(parameter.device if name != "step" else "cpu")
                for name in _MOMENTS
            }
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise Damaged(f"the checkpoint {path} cannot be used ({error}); delete it to start the run anew") from error
    if began_with != arithmetic:
        raise BadInput(f"{path} was begun in {began_with}, this is {arithmetic}; go on there, or delete it")
    rows = enumerate(zip(losses, winners, held_out, strict=True))
    done = [
        TrainingState(step=step, losses=tuple(own), winners=tuple(won), held_out=tuple(held))
        for step, (own, won, held) in rows
    ]
    return Progress(done=done, best={name: t.to(bank.device) for name, t in _named(tensors, "best.").items()})


def read_extent(path: Path) -> tuple[int, str]:
    """How many steps a checkpoint has, and the precision and the device that it was begun in.

    Raises:
        Damaged: the file cannot be used.
    """
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata()
            return len(json.loads(texts["losses"])), texts["arithmetic"]
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise Damaged(f"the checkpoint {path} cannot be used ({error}); delete it to start the run anew") from error


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file.

    Raises:
        NoSpace: the disk is full; what was there before is as it was.
    """
    write_bytes(path, tensor_bytes(tensors, metadata))


def tensor_bytes(tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> bytes:
    """A safetensors file."""
    return save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata=metadata)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole.

    Raises:
        NoSpace: the disk is full; what was there before is as it was.
    """
    try:
        with written_whole(path) as unfinished:
            unfinished.write_bytes(data)
    except OSError as error:
        raise NoSpace(
            f"cannot write {path}, {len(data) / 1e6:.0f} MB ({error.strerror}); make room, the same call resumes"
        ) from error


def _named(tensors: Mapping[str, Tensor], start: str) -> dict[str, Tensor]:
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
