"""`trainer partition check`: whether a partition gives more than chance, seen after a short training.

Its parts and random ones of the same sizes are trained alike on the same samples; then the same held-out samples are
asked of all adapters. Every partition so has the same budget and the same seeds, and only differs in who learns what.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from spa_lsp.bases.catalog import DEFAULT_BASE, find_base
from spa_lsp.errors import BadInput
from trainer.configs import CheckConfig, FinetuneConfig, ItemsConfig
from trainer.data.samples import Sample, split_holdout, weights_digest
from trainer.evaluate.figures.bootstrap import Estimate, estimate
from trainer.partition.advantage import (
    Membership,
    is_more_than_chance,
    item_advantages,
    of_parts,
    of_tasks,
    random_by_sample,
    random_by_solution,
    share_of_chance,
)
from trainer.partition.parts import columns_of_parts
from trainer.partition.solutions import Tasks, most_have_several, tasks_of
from trainer.pipeline.gate import better_way, by_solution
from trainer.pipeline.stage_rows import load_influence, load_parts, problems_of, source_run
from trainer.rows.build_set import run_folder
from trainer.rows.runs import StageResult, begin_run, find_run, finish_run
from trainer.rows.stages import (
    ATTRIBUTE,
    CHECK,
    PARTITION,
    CheckFigures,
    CheckParents,
    CheckRun,
    CheckSettings,
    PartitionRun,
)
from trainer.train.starting import check_ranks

if TYPE_CHECKING:
    from trainer.train.group_work import Trained

_FEW_TASKS = 12  # held out; with fewer also a good partition may pass for chance

Checked = StageResult[CheckSettings, CheckParents, CheckFigures]


def run_check(
    db: Database,
    config: CheckConfig,
    finetune: FinetuneConfig,
    items: ItemsConfig,
    *,
    base_id: str = DEFAULT_BASE,
    run_id: str | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Checked:
    """Train the parts of a partition run for a short time, and random ones; with `limit`, that many samples of each.

    Raises:
        BadInput: there is no partition, or there are too few samples.
    """
    check_ranks(finetune)
    source = source_run(db, PARTITION, run_id)
    if source.settings.partition.method == "whole" or len(source.figures.names) < 2:
        raise BadInput("this run divided nothing: all adapters learn the same; run: trainer partition --k 8")
    parts = load_parts(db, source, limit)
    short = _short(finetune, config.steps)
    settings = CheckSettings(check=config, finetune=short, items=items, base=base_id, limit=limit)
    parents = CheckParents(
        partition_run=source.id,
        base=find_base(base_id).sha256,
        weights=weights_digest(sample for own in parts.values() for sample in own),
    )
    run = begin_run(db, CHECK, settings, parents=parents, seed=seed)
    if run.is_finished:
        return StageResult(run=run, was_done=True)
    figures = _check(db, run, source, parts, short)
    finished = finish_run(db, run, figures)
    shutil.rmtree(run_folder(run), ignore_errors=True)  # what was trained is no adapter to be used
    return StageResult(run=finished, was_done=False)


def _short(finetune: FinetuneConfig, steps: int) -> FinetuneConfig:
    """The config of so few steps, of which not all may be warm-up."""
    return replace(finetune, steps=steps, warmup_steps=min(finetune.warmup_steps, steps // 4))


def _check(
    db: Database,
    run: CheckRun,
    source: PartitionRun,
    parts: Mapping[int, Sequence[Sample]],
    finetune: FinetuneConfig,  # the run's has not what changes no figure, as `at_once`
) -> CheckFigures:
    from trainer.train.trial import trial_items, try_partitions  # torch

    settings, config = run.settings, run.settings.check
    all_samples = list({sample.id: sample for own in parts.values() for sample in own}.values())
    items = trial_items(all_samples, settings.items, settings.base, run.seed)
    samples = [sample for sample in all_samples if sample.id in items]
    if not samples:
        raise BadInput(f"no sample has an item of at most {settings.items.max_tokens} tokens; raise --max-tokens")
    membership = _membership(samples, list(parts.values()))
    is_held = _held_out(samples, membership, config, run.seed)
    tasks = tasks_of(problems_of(db, [sample.id for sample in samples]))
    deal = _deal(source, np.random.default_rng(run.seed))
    memberships = [membership, *(deal(membership, is_held, tasks) for _ in range(config.n_random))]
    trained = try_partitions(
        [_ids(samples, own & ~is_held[:, None]) for own in memberships],
        [sample.id for sample, held in zip(samples, is_held, strict=True) if held],
        items,
        finetune,
        base_id=settings.base,
        folder=run_folder(run),
        seed=run.seed,
    )
    numbers = {n: place for place, n in enumerate(np.flatnonzero(is_held).tolist())}
    held_tasks = [own for task in tasks if (own := [numbers[n] for n in task if n in numbers])]
    return _figures(db, run, source, trained, [own[is_held] for own in memberships], held_tasks)


def _deal(
    source: PartitionRun, rng: np.random.Generator
) -> Callable[[Membership, NDArray[np.bool_], Tasks], Membership]:
    """What makes a random partition of the same sizes of one."""
    is_by_solution = source.settings.partition.method == "solutions"

    def deal(membership: Membership, is_held: NDArray[np.bool_], tasks: Tasks) -> Membership:
        if is_by_solution:
            return random_by_solution(membership, tasks, rng)
        return random_by_sample(membership, is_held, rng)

    return deal


def _membership(samples: Sequence[Sample], parts: Sequence[Sequence[Sample]]) -> Membership:
    """Which sample is in which part, `[N, K]`."""
    members = [{sample.id for sample in own} for own in parts]
    return np.array([[sample.id in own for own in members] for sample in samples], dtype=np.bool_).reshape(
        len(samples), len(parts)
    )


def _held_out(samples: Sequence[Sample], membership: Membership, config: CheckConfig, seed: int) -> NDArray[np.bool_]:
    """Whole tasks that none is trained on, of those whose solutions are not in all parts, `[N]`."""
    telling = [sample for sample, own in zip(samples, membership, strict=True) if not own.all()]
    _, held = split_holdout(telling, config=ItemsConfig(holdout=config.held_out), seed=seed)
    if len({sample.problem for sample in held}) < 2:
        raise BadInput(
            f"there are too few samples to hold some out ({len(telling)} that are not in every part; a fifth is held "
            "out, whole tasks only); import or synthesize more"
        )
    ids = {sample.id for sample in held}
    return np.array([sample.id in ids for sample in samples], dtype=np.bool_)


def _ids(samples: Sequence[Sample], membership: Membership) -> list[list[str]]:
    return [[sample.id for sample, own in zip(samples, part, strict=True) if own] for part in membership.T]


def _figures(
    db: Database,
    run: CheckRun,
    source: PartitionRun,
    trained: "Sequence[Trained]",
    owns: Sequence[Membership],
    tasks: Tasks,
) -> CheckFigures:
    losses = [np.array(each.held_out, dtype=np.float64) for each in trained]
    values = [item_advantages(each, own) for each, own in zip(losses, owns, strict=True)]
    found = estimate(of_tasks(values[0], tasks), seed=run.seed)
    random = tuple(float(each.mean()) for each in values[1:])
    deal, all_held = _deal(source, np.random.default_rng(run.seed)), np.ones(len(owns[0]), dtype=np.bool_)
    chance = share_of_chance(losses[0], owns[0], lambda own: deal(own, all_held, tasks))
    is_more = is_more_than_chance(found.mean, found.low, random, chance)
    config = run.settings.finetune
    return CheckFigures(
        advantage=found.mean,
        low=found.low,
        high=found.high,
        parts=dict(zip(source.figures.names, of_parts(values[0], owns[0]), strict=True)),
        random=random,
        chance=chance,
        is_more_than_chance=is_more,
        verdict=_verdict(found, random, chance, n_tasks=len(tasks), proposal="" if is_more else _proposal(db, source)),
        n_held_out=len(owns[0]),
        n_tasks=len(tasks),
        items_per_adapter=config.steps * config.accumulate,
        held_out_base=float(np.mean(trained[0].held_out_base)),
        held_out_mean=float(losses[0].mean()),
        quantization=trained[0].quantization,
        device=trained[0].device,
    )


def _verdict(found: Estimate, random: Sequence[float], chance: float, *, n_tasks: int, proposal: str) -> str:
    """The sentence; with a proposal where the partition gives no more than chance."""
    own = f"{found.mean:+.4f} nats/token ({found.low:+.4f} to {found.high:+.4f}, p = {chance:.3f})"
    of_random = ", ".join(f"{each:+.4f}" for each in random)
    how = "no more than chance" if proposal else "more than chance"
    few = f", as far as {n_tasks} held-out tasks tell" if n_tasks < _FEW_TASKS else ""
    said = f"the partition gives {how}{few}: own-part advantage {own}, random partitions {of_random}"
    return f"{said}; {proposal}" if proposal else said


def _proposal(db: Database, source: PartitionRun) -> str:
    """What is better than a partition that gives no more than chance."""
    settings, config = source.settings, source.settings.partition
    attributed = find_run(db, ATTRIBUTE, source.parents.attribute_run)
    sample_ids, influence = load_influence(db, attributed, settings.limit, source.parents.within_run)
    tasks = tasks_of(problems_of(db, sample_ids))
    if config.method != "solutions" and most_have_several(tasks):
        return by_solution(attributed, settings, source.seed)
    columns = columns_of_parts(influence, config)
    within = tasks if config.method == "solutions" else []
    return better_way(influence[:, columns], attributed, settings, source.seed, within)
