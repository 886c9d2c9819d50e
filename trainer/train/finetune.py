"""The finetune stage: one adapter for each part, all trained in one pass, then scored on samples that none has seen."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from spa_lsp.errors import BadInput
from spa_lsp.lm.load import BaseTokens
from spa_lsp.progress import progress
from spa_lsp.storage.checked_files import hash_file
from trainer.configs import FinetuneConfig, ItemsConfig
from trainer.data.items import PartItems, check_layouts, part_items
from trainer.data.samples import Sample
from trainer.executor.held_base import HeldBase
from trainer.executor.travelling import TravellingSet
from trainer.executor.work import Executor, Local
from trainer.rows.build_set import run_folder
from trainer.rows.records import plain, read_record
from trainer.rows.stages import CurvePoint, FinetuneFigures, FinetuneRun
from trainer.train.checkpoint import TrainingState, write_bytes
from trainer.train.group_work import Group, Start, Trained, Training
from trainer.train.held_out import held_out_figures
from trainer.train.training import best_steps


def items_of_parts(
    parts: Mapping[int, Sequence[Sample]], tokens: BaseTokens, config: ItemsConfig, seed: int
) -> dict[int, PartItems]:
    """What each part's adapter learns from, and what it is scored on.

    Raises:
        BadInput: a part has no item that fits, or the base cannot read the items' layout.
    """
    check_layouts(tokens, config)
    n_held = config.holdout // len(parts)
    found = {part: part_items(samples, tokens, config, n_held=n_held, seed=seed) for part, samples in parts.items()}
    for part, own in found.items():
        if not own.train:
            raise BadInput(f"part {part} has no item of at most {config.max_tokens} tokens; raise --max-tokens")
    return found


def finetune(
    parts: Mapping[int, PartItems],
    tokens: BaseTokens,
    config: FinetuneConfig,
    run: FinetuneRun,
    seed: int,
    start: Start | None = None,
    executor: Executor | None = None,
) -> FinetuneFigures:
    """Train and score.

    Every adapter gets the same number of items, whatever its part's size, so that small parts are not worse off.
    """
    data = list(parts.values())
    executor = executor or Local()
    folder = run_folder(run)
    work = Training(
        base=HeldBase(tokens.base_id),
        data=data,
        config=config,
        seed=seed,
        start_set=TravellingSet(start.adapter_set) if start else None,
        start_names=start.names if start else (),
        folder=folder if executor.is_here else None,
    )
    files = {part: f"part-{part}.safetensors" for part in parts}
    trained = _train_all(work, folder, list(files.values()), executor)
    done = _merged(trained)
    held = held_out_figures(data, _columns(trained), torch.tensor(trained[0].held_out_base))
    first, last = _ends(done)
    adapters = (
        replace(own, train_loss_first=start, train_loss_last=end)
        for own, start, end in zip(held.adapters, first, last, strict=True)
    )
    winners = [winner for state in done for winner in state.winners]
    return FinetuneFigures(
        files=files,
        sha256={part: hash_file(folder / name) for part, name in files.items()},
        adapters=dict(zip(parts, adapters, strict=True)),
        held_out_base=held.base,
        held_out_matrix=held.matrix,
        n_items=tuple(len(own.train) for own in data),
        n_instruct_items=sum(item.prompt[0] != tokens.prompt.fim_prefix for own in data for item in own.train),
        n_held_out=sum(len(own.held) for own in data),
        items_per_adapter=len(done) * config.accumulate,
        quantization=trained[0].quantization,
        device=trained[0].device,
        at_once=max(own.at_once for own in trained),
        curve=curve(done, config),
        best_steps=tuple(best_steps(done, config)),
        n_won=tuple(winners.count(k) for k in range(len(parts))) if winners else (),
    )


def groups_of(n_adapters: int, config: FinetuneConfig, *, is_here: bool) -> list[Group]:
    """The adapters that are trained together: here all, elsewhere `--at-once`, or one alone.

    With a common objective or core, or where all wait for the last one's best check, there is no dividing them.
    """
    is_coupled = config.objective == "mcl" or config.shared_rank > 0 or config.patience > 0
    size = n_adapters if is_here or is_coupled else config.at_once or 1
    return [Group(first=n, n_adapters=min(size, n_adapters - n)) for n in range(0, n_adapters, size)]


def _train_all(work: Training, folder: Path, names: Sequence[str], executor: Executor) -> list[Trained]:
    """All groups; those that a broken run has finished elsewhere are found beside their adapters."""
    groups = groups_of(len(work.data), work.config, is_here=executor.is_here)
    found = {group: None if executor.is_here else _read_group(folder, group, names) for group in groups}
    missing = [group for group in groups if found[group] is None]
    n_missing = sum(group.n_adapters for group in missing)
    with nullcontext() if executor.is_here else progress("finetune", n_missing, "adapters") as bar:

        def take(rows: Sequence[tuple[Trained, Sequence[bytes]]]) -> None:
            for trained, files in rows:
                _write_group(folder, trained, dict(zip(_names_of(trained.group, names), files, strict=True)))
                found[trained.group] = trained
                if bar:
                    bar.advance(trained.group.n_adapters)

        executor.run(work, missing, take)
    return [own for own in found.values() if own is not None]


def _names_of(group: Group, names: Sequence[str]) -> Sequence[str]:
    return names[group.first : group.first + group.n_adapters]


def _group_path(folder: Path, group: Group) -> Path:
    return folder / f"group-{group.first}-{group.n_adapters}.json"


def _write_group(folder: Path, trained: Trained, files: Mapping[str, bytes]) -> None:
    """The adapters of a group, and last what is known of it: without that it is not done."""
    for name, data in files.items():
        write_bytes(folder / name, data)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    record = {"trained": plain(trained), "sha256": digests}
    write_bytes(_group_path(folder, trained.group), json.dumps(record).encode())


def _read_group(folder: Path, group: Group, names: Sequence[str]) -> Trained | None:
    """None where it is not done, or a file is no longer as it was written."""
    path = _group_path(folder, group)
    if not path.exists():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    files = [(folder / name, record.get("sha256", {}).get(name)) for name in _names_of(group, names)]
    if not all(file.exists() and hash_file(file) == digest for file, digest in files):
        return None
    return read_record(Trained, record["trained"], of=str(path))


def _merged(trained: Sequence[Trained]) -> list[TrainingState]:
    """The steps of all adapters, as if one training had made them."""
    return [
        replace(
            steps[0],
            losses=tuple(loss for state in steps for loss in state.losses),
            held_out=tuple(loss for state in steps for loss in state.held_out),
        )
        for steps in zip(*(own.states for own in trained), strict=True)
    ]


def _columns(trained: Sequence[Trained]) -> Tensor:
    """Held-out losses of all adapters, `[N, K]`."""
    return torch.cat([torch.tensor(own.held_out).reshape(-1, own.group.n_adapters) for own in trained], dim=1)


def curve(done: Sequence[TrainingState], config: FinetuneConfig) -> tuple[CurvePoint, ...]:
    """The mean loss of each adapter since the point before, and its held-out loss where it was measured."""
    found, since = [], 0
    for n, state in enumerate(done, start=1):
        if state.held_out or n % config.check_every == 0 or n == len(done):
            mean = torch.tensor([own.losses for own in done[since:n]]).mean(0)
            found.append(CurvePoint(step=n, train=tuple(mean.tolist()), held_out=state.held_out))
            since = n
    return tuple(found)


def _ends(done: Sequence[TrainingState]) -> tuple[list[float], list[float]]:
    """Each adapter's mean loss in the first and last quarter."""
    losses = torch.tensor([step.losses for step in done])  # [steps, K]
    quarter = max(1, len(done) // 4)
    return losses[:quarter].mean(0).tolist(), losses[-quarter:].mean(0).tolist()
