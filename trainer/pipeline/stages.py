"""The stages in order: each reads rows, skips what its key finds finished, and writes rows. The work itself lies below.

import → samples → attribute → influence → partition → part_members → finetune → files → publish → adapter set
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from spa_lsp.adapters.manifest import check_temperature
from spa_lsp.adapters.writing import publish as publish_set
from spa_lsp.bases.catalog import DEFAULT_BASE, find_base, installed_base
from spa_lsp.errors import BadInput
from spa_lsp.progress import BYTES, note, progress
from spa_lsp.storage.store import apply_migrations, is_up_to_date, open_store
from trainer.attribute.anchors import Anchor, anchors_digest, load_anchors
from trainer.configs import (
    BASE_METHODS,
    AttributeConfig,
    FinetuneConfig,
    ItemsConfig,
    PartitionConfig,
    PublishConfig,
)
from trainer.data.accepted import write_accepted
from trainer.data.row_files import row_files
from trainer.data.samples import (
    ImportReport,
    Sample,
    import_file,
    weights_digest,
)
from trainer.executor.work import Executor
from trainer.partition.normalize import comparable_items
from trainer.partition.parts import balanced_kmeans, columns_of_parts, moved_share, part_sizes, partition
from trainer.partition.solutions import Tasks, choose_solutions, tasks_of, with_several
from trainer.pipeline.gate import advice, stabilities
from trainer.pipeline.stage_rows import (
    data_record,
    embedding_rows,
    finish_with_rows,
    load_influence,
    load_parts,
    problems_of,
    source_run,
    usable_samples,
)
from trainer.rows.build_set import build_set, has_adapter_files
from trainer.rows.records import content_id
from trainer.rows.runs import StageResult, begin_run, find_run, finish_run, unless_refused
from trainer.rows.stages import (
    ATTRIBUTE,
    FINETUNE,
    PARTITION,
    PUBLISH,
    AttributeFigures,
    AttributeParents,
    AttributeRun,
    AttributeSettings,
    FinetuneFigures,
    FinetuneParents,
    FinetuneSettings,
    PartitionFigures,
    PartitionParents,
    PartitionSettings,
    PublishFigures,
    PublishParents,
)
from trainer.rows.tables import MIGRATIONS
from trainer.train.starting import (
    check_ranks,
    lead_row,
    set_to_go_on_from,
    starts_of_parts,
    taken_over,
)

logger = logging.getLogger(__name__)

Attributed = StageResult[AttributeSettings, AttributeParents, AttributeFigures]
Partitioned = StageResult[PartitionSettings, PartitionParents, PartitionFigures]
Trained = StageResult[FinetuneSettings, FinetuneParents, FinetuneFigures]
Published = StageResult[PublishConfig, PublishParents, PublishFigures]


@contextmanager
def open_trainer() -> Iterator[Database]:
    """The store for writing, with the trainer's tables; one trainer at a time."""
    with closing(open_store(write=True)) as db:
        apply_migrations(db, MIGRATIONS)
        yield db


@contextmanager
def read_trainer() -> Iterator[Database]:
    """The store as it is, also beside a trainer at work; one of an older version is brought up to date first."""
    with closing(open_store()) as db:
        if is_up_to_date(db, MIGRATIONS):
            yield db
            return
    with open_trainer() as db:
        yield db


def run_import(db: Database, path: Path, *, limit: int | None = None) -> ImportReport:
    """Read samples from a file; fails only when not one line can be used."""
    n_bytes = sum(file.stat().st_size for file in row_files(path))
    with progress(f"import {path.name}", n_bytes, BYTES) as shown:
        report = import_file(db, path, limit=limit, on_bytes=shown.advance)
    if report.n_new + report.n_known == 0:
        first = f"line {report.bad[0].line}: {report.bad[0].reason}" if report.bad else "it has only blank lines"
        raise BadInput(
            f"{path} has no line that can be used ({first}); give JSONL with lang, problem and solution in each object"
        )
    return report


def run_import_accepted(db: Database, *, limit: int | None = None) -> ImportReport:
    """Read samples from what was accepted in editors."""
    with TemporaryDirectory(prefix="accepted-") as folder:
        path = Path(folder) / "accepted.jsonl"
        write_accepted(path)
        return run_import(db, path, limit=limit)


def run_attribute(
    db: Database,
    config: AttributeConfig,
    items: ItemsConfig,
    *,
    base_id: str = DEFAULT_BASE,
    language: str = "python",
    limit: int | None = None,
    anchors_path: Path | None = None,
    seed: int = 0,
    is_of_arm: bool = False,
    executor: Executor | None = None,
) -> Attributed:
    """Influence of every sample on every anchor, one row per sample; the base is asked by `executor`, or here."""
    anchors = load_anchors(anchors_path)
    samples = usable_samples(db, items, language, limit, seed)
    parents = AttributeParents(
        samples=content_id([sample.id for sample in samples]),
        anchors=anchors_digest(anchors, has_tasks=config.differences),
        base=find_base(base_id).sha256 if config.method in BASE_METHODS else None,
    )
    of_influence = replace(items, holdout=ItemsConfig.holdout)  # what is held out later changes no gradient
    settings = AttributeSettings(attribute=config, items=of_influence)
    run = begin_run(db, ATTRIBUTE, settings, parents=parents, seed=seed, is_of_arm=is_of_arm)
    if run.is_finished:
        return StageResult(run=run, was_done=True)
    influence, samples_per_s = _influence(
        db, samples, anchors, config, items, run=run, base_id=base_id, executor=executor
    )
    known = np.flatnonzero(np.isfinite(influence).all(axis=(1, 2)))
    if not known.size:
        raise BadInput("no sample has a finite influence; choose a lower --learning-rate or --method bm25")
    figures = AttributeFigures(
        method=config.method,
        language=language,
        n_samples=len(known),
        n_skipped=len(samples) - len(known),
        anchors=tuple(anchor.name for anchor in anchors),
        labels=tuple(anchor.label for anchor in anchors),
        n_items=influence.shape[2],
        correlation=_column_correlation(influence[known].mean(axis=2)),
        samples_per_s=samples_per_s,
    )
    rows = [(samples[n].id, influence[n].tobytes()) for n in known]
    return StageResult(run=finish_with_rows(db, run, figures, "influence", "data", rows), was_done=False)


def run_partition(
    db: Database,
    config: PartitionConfig,
    *,
    run_id: str | None = None,
    within: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    is_of_arm: bool = False,
) -> Partitioned:
    """Divide the samples of an attribute run (the newest, or the one whose id begins so) into k parts.

    With `within`, the id of another attribute run, only the samples that this one has too: methods that can use more
    samples than others are then compared on the same ones.
    """
    source = source_run(db, ATTRIBUTE, run_id)
    parents = PartitionParents(attribute_run=source.id, within_run=within if within != source.id else None)
    settings = PartitionSettings(partition=config, limit=limit)
    run = begin_run(db, PARTITION, settings, parents=parents, seed=seed, is_of_arm=is_of_arm)
    if run.is_finished:
        return StageResult(run=run, was_done=True)
    with unless_refused(db, run):
        figures, rows = _divide(db, source, settings, within=within, seed=seed)
    return StageResult(run=finish_with_rows(db, run, figures, "part_members", "part", rows), was_done=False)


def run_finetune(
    db: Database,
    config: FinetuneConfig,
    items: ItemsConfig,
    *,
    base_id: str = DEFAULT_BASE,
    run_id: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    is_of_arm: bool = False,
    executor: Executor | None = None,
) -> Trained:
    """Train one adapter for each part of a partition run; with `limit`, on that many samples of each part."""
    init_set = set_to_go_on_from(config, base_id)
    if init_set:
        config = taken_over(config, init_set)
    check_ranks(config)
    source = source_run(db, PARTITION, run_id)
    starts = starts_of_parts(init_set, source.figures.names) if init_set else []
    if init_set and (row := lead_row(init_set)):
        note(f"{row!r} of {init_set.name} was made to lead and has learned no part; no adapter begins as it")
    parts = load_parts(db, source, limit)
    settings = FinetuneSettings(finetune=config, items=items, base=base_id, limit=limit)
    parents = FinetuneParents(
        partition_run=source.id,
        base=find_base(base_id).sha256,
        init_set=init_set.set_id if init_set else None,
        init_run=init_set.run_id if init_set else None,
        weights=weights_digest(sample for own in parts.values() for sample in own),
    )
    run = begin_run(db, FINETUNE, settings, parents=parents, seed=seed, is_of_arm=is_of_arm)
    if run.is_finished and has_adapter_files(run):
        return StageResult(run=run, was_done=True)
    from spa_lsp.lm.load import load_tokens  # torch
    from trainer.train.finetune import finetune, items_of_parts
    from trainer.train.group_work import Start

    tokens = load_tokens(base_id)
    with unless_refused(db, run):
        data = items_of_parts(parts, tokens, items, seed)
    start = Start(adapter_set=init_set, names=starts) if init_set else None
    figures = finetune(data, tokens, config, run, seed, start, executor)
    return StageResult(run=finish_run(db, run, figures), was_done=False)


def run_publish(db: Database, config: PublishConfig, *, run_id: str | None = None, seed: int = 0) -> Published:
    """Make the adapters of a finetune run the published set of the store; again is allowed and makes it the newest."""
    check_temperature(config.temperature)
    source = source_run(db, FINETUNE, run_id)
    partitioned = find_run(db, PARTITION, source.parents.partition_run)
    divided = partitioned.settings.partition.method
    made_of = divided if divided == "whole" else partitioned.figures.attribute_method
    name = config.name if config.name is not None else f"{made_of}-{source.id[:8]}"
    base = installed_base(find_base(source.settings.base))
    data = data_record(db, partitioned, source.settings.limit)
    adapter_set, files = build_set(
        source, partitioned, name=name, base=base, data=data, temperature=config.temperature, limit=config.limit
    )
    run = begin_run(db, PUBLISH, replace(config, name=name), parents=PublishParents(finetune_run=source.id), seed=seed)
    set_id = publish_set(db, adapter_set, files)
    with db.atomic():  # trained anew, it may have come out the same
        db.execute("DELETE FROM forgotten_sets WHERE set_id = ?", [set_id])
    figures = PublishFigures(set_id=set_id, name=name, base=base.id, n_bytes=sum(map(len, files.values())))
    return StageResult(run=finish_run(db, run, figures), was_done=run.is_finished)


def _influence(
    db: Database,
    samples: Sequence[Sample],
    anchors: Sequence[Anchor],
    config: AttributeConfig,
    items: ItemsConfig,
    *,
    run: AttributeRun,
    base_id: str,
    executor: Executor | None,
) -> tuple[NDArray[np.float32], float | None]:
    """`[N, Q, items]`, rows of NaN for samples that have nothing to attribute; and samples/s of what asks the base."""
    if config.method in BASE_METHODS:
        from trainer.attribute.stage import base_stage  # torch

        found = base_stage(db, samples, anchors, config, items, run, base_id, executor)
        return found.influence, found.samples_per_s
    if config.method == "bm25":
        from trainer.attribute.lexical import lexical_influence

        return lexical_influence(samples, anchors), None
    if config.method == "approach":
        from trainer.attribute.approach import approach_influence

        return approach_influence(samples, anchors), None
    shape = (len(samples), len(anchors), len(anchors[0].items))
    return np.random.default_rng(run.seed).standard_normal(shape, dtype=np.float32), None


def _column_correlation(influence: NDArray[np.float32]) -> float:
    """Mean correlation between anchors: near 1 they say the same, and the parts will hardly differ."""
    Q = influence.shape[1]
    if len(influence) < 2 or Q < 2 or not influence.std(axis=0).all():
        return 1.0
    return float((np.corrcoef(influence.T).sum() - Q) / (Q * (Q - 1)))


def _divide(
    db: Database, source: AttributeRun, settings: PartitionSettings, *, within: str | None, seed: int
) -> tuple[PartitionFigures, list[tuple[str, int]]]:
    """The figures of a partition, and the part of every sample."""
    config = settings.partition
    sample_ids, influence = load_influence(db, source, settings.limit, within)
    columns = columns_of_parts(influence, config)
    chosen = comparable_items(influence[:, columns], config.normalize)
    is_embedded = config.method == "kmeans" and source.figures.method == "embedding"
    tasks = _tasks(problems_of(db, sample_ids)) if config.method == "solutions" else []
    embeddings = embedding_rows(db, source, sample_ids) if is_embedded else None
    members = _members(chosen.mean(axis=2), config, tasks, embeddings)
    names, labels = _part_names(source, columns, config)
    sizes = part_sizes(members[:, 1], names, config)
    own, by_chance = (None, None) if is_embedded else stabilities(chosen, config, seed, tasks)  # no item is asked
    figures = PartitionFigures(
        sizes=sizes,
        smallest_share=min(sizes.values()) / len(sample_ids),
        largest_share=max(sizes.values()) / len(sample_ids),
        moved_share=moved_share(members[:, 1], chosen.mean(axis=2), config),
        stability=own,
        stability_by_chance=by_chance,
        names=names,
        labels=labels,
        attribute_method=source.figures.method,
        n_tasks=len(tasks) or None,
        n_tasks_of_two=len(with_several(tasks)) or None,
    )
    if warning := advice(figures, influence[:, columns], source, settings, seed, tasks):
        logger.warning("%s", warning)
        figures = replace(figures, advice=warning)
    return figures, [(sample_ids[n], part) for n, part in members.tolist()]


def _tasks(problems: Sequence[str]) -> list[list[int]]:
    """The samples of each task, by number."""
    tasks = tasks_of(problems)
    if all(len(task) == 1 for task in tasks):
        raise BadInput(
            f"none of the {len(tasks)} tasks has two solutions to choose from; run: trainer synthesize --from DIR, or "
            "trainer partition --method balanced"
        )
    return tasks


def _members(
    influence: NDArray[np.float32], config: PartitionConfig, tasks: Tasks, embeddings: NDArray[np.float32] | None
) -> NDArray[np.int64]:
    """Sample, by number, and part of every membership, `[members, 2]`; k-means is of embeddings where there are any."""
    if embeddings is not None:
        return np.stack([np.arange(len(influence)), balanced_kmeans(embeddings, config.k)], axis=1)
    if config.method != "solutions":
        return np.stack([np.arange(len(influence)), partition(influence, config)], axis=1)
    choices = choose_solutions(influence, tasks, config.normalize)  # [tasks, K]
    return np.stack([choices.ravel(), np.tile(np.arange(choices.shape[1]), len(choices))], axis=1)


def _part_names(
    source: AttributeRun, columns: Sequence[int], config: PartitionConfig
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and labels of the parts; those without anchors must not promise a style."""
    if config.method == "whole" and config.k == 1:
        return ("single",), ("all samples",)
    if config.method == "whole":
        return _numbered(config.k, "seed", "all samples, seed")
    if config.method == "kmeans":
        return _numbered(config.k, "kmeans", "k-means part")
    if source.figures.method == "random":
        return _numbered(len(columns), "random", "random part")
    names, labels = source.figures.anchors, source.figures.labels
    again = [columns[:n].count(column) + 1 for n, column in enumerate(columns)]  # the how manieth part of its anchor
    return (
        tuple(names[column] + (f"-{n}" if n > 1 else "") for column, n in zip(columns, again, strict=True)),
        tuple(labels[column] + (f" {n}" if n > 1 else "") for column, n in zip(columns, again, strict=True)),
    )


def _numbered(n_parts: int, name: str, label: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    numbers = range(1, n_parts + 1)
    return tuple(f"{name}-{n}" for n in numbers), tuple(f"{label} {n}" for n in numbers)
