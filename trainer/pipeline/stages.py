"""The stages in order: each reads rows, skips what its key finds finished, and writes rows. The work itself lies below.

import → samples → attribute → influence → partition → part_members → finetune → files → publish → adapter set
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from spa_lsp.adapters.manifest import check_name, check_scaling, check_temperature
from spa_lsp.adapters.writing import publish
from spa_lsp.bases.catalog import DEFAULT_BASE, find_base, installed_base
from spa_lsp.errors import BadInput
from spa_lsp.progress import BYTES, progress
from spa_lsp.storage.store import apply_migrations, open_store
from trainer.attribute.anchors import Anchor, anchors_digest, load_anchors
from trainer.configs import SERVED_TEMPERATURE, AttributeConfig, FinetuneConfig, ItemsConfig, PartitionConfig
from trainer.data.accepted import write_accepted
from trainer.data.samples import (
    ImportReport,
    Sample,
    check_file,
    import_file,
    load_samples,
    make_items,
)
from trainer.partition import (
    N_BOOTSTRAPS,
    chance_stability,
    choose_columns,
    comparable_items,
    describe,
    partition,
    stability,
)
from trainer.pipeline.stage_rows import data_record, finish_with_rows, load_influence, load_parts, source_run
from trainer.rows.build_set import build_set, has_adapter_files
from trainer.rows.runs import Run, StageResult, begin_run, content_id, find_run, finish_run
from trainer.rows.tables import MIGRATIONS

logger = logging.getLogger(__name__)

_LEAST_SIGNAL = 0.1  # stability above chance; below, most of the division is an accident of the query items


@contextmanager
def open_trainer() -> Iterator[Database]:
    """The store for writing, with the trainer's tables; one trainer at a time."""
    with closing(open_store(write=True)) as db:
        apply_migrations(db, MIGRATIONS)
        yield db


def run_import(db: Database, path: Path, *, limit: int | None = None) -> ImportReport:
    """Read samples from a file; fails only when not one line can be used."""
    with progress(f"import {path.name}", check_file(path), BYTES) as shown:
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
) -> StageResult:
    """Influence of every sample on every anchor, one row per sample."""
    anchors = load_anchors(anchors_path)
    samples = _usable(db, items, language, limit, seed)
    inputs = [content_id([sample.id for sample in samples]), anchors_digest(anchors)]
    if config.method == "datainf":
        inputs.append(find_base(base_id).sha256)
    run = begin_run(
        db, "attribute", {"attribute": config, "items": items}, inputs=inputs, seed=seed, is_of_arm=is_of_arm
    )
    if run.is_finished:
        return StageResult(run=run, was_done=True)
    influence = _influence(db, samples, anchors, config, items, run=run, base_id=base_id)
    known = np.flatnonzero(np.isfinite(influence).all(axis=(1, 2)))
    if not known.size:
        raise BadInput("no sample has a finite influence; choose a lower --learning-rate or --method bm25")
    figures = {
        "method": config.method,
        "language": language,
        "n_samples": len(known),
        "n_skipped": len(samples) - len(known),
        "anchors": [anchor.name for anchor in anchors],
        "labels": [anchor.label for anchor in anchors],
        "n_items": influence.shape[2],
        "correlation": _column_correlation(influence[known].mean(axis=2)),
    }
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
) -> StageResult:
    """Divide the samples of an attribute run (the newest, or the one whose id begins so) into k parts.

    With `within`, the id of another attribute run, only the samples that this one has too: methods that can use more
    samples than others are then compared on the same ones.
    """
    source = source_run(db, "attribute", run_id)
    others = [within] if within and within != source.id else []
    run = begin_run(
        db,
        "partition",
        {"partition": config, "limit": limit},
        inputs=[source.id, *others],
        seed=seed,
        is_of_arm=is_of_arm,
    )
    if run.is_finished:
        return StageResult(run=run, was_done=True)
    sample_ids, influence = load_influence(db, source, limit, within)
    columns = _columns(influence, config)
    chosen = comparable_items(influence[:, columns], config.normalize)
    assignment = partition(chosen.mean(axis=2), config)
    names, labels = _part_names(source, columns, config)
    figures = {
        **describe(assignment, chosen.mean(axis=2), names, config),
        **_stabilities(chosen, config, seed),
        "names": names,
        "labels": labels,
        "attribute_method": source.figures["method"],
    }
    _warn_if_unstable(figures, source)
    rows = list(zip(sample_ids, assignment.tolist(), strict=True))
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
) -> StageResult:
    """Train one adapter for each part of a partition run; with `limit`, on that many samples of each part."""
    check_scaling(config.rank, config.alpha)  # publishing would refuse it after the work
    source = source_run(db, "partition", run_id)
    parts = load_parts(db, source, limit)
    settings = {"finetune": config, "items": items, "base": base_id, "limit": limit}
    run = begin_run(
        db, "finetune", settings, inputs=[source.id, find_base(base_id).sha256], seed=seed, is_of_arm=is_of_arm
    )
    if run.is_finished and has_adapter_files(run):
        return StageResult(run=run, was_done=True)
    from trainer.train.finetune import finetune  # torch

    figures = finetune(db, parts, config, items, run, base_id, seed)
    return StageResult(run=finish_run(db, run, figures), was_done=False)


def run_publish(
    db: Database,
    *,
    name: str | None = None,
    run_id: str | None = None,
    temperature: float = SERVED_TEMPERATURE,
    limit: int | None = None,
    seed: int = 0,
) -> StageResult:
    """Make the adapters of a finetune run the published set of the store; again is allowed and makes it the newest.

    They are served at this temperature. With `limit`, only that many adapters, the first ones.
    """
    check_temperature(temperature)
    source = source_run(db, "finetune", run_id)
    divided = find_run(db, source.inputs[0])
    name = name or f"{divided.figures['attribute_method']}-{source.id[:8]}"
    base = installed_base(find_base(source.config["base"]))
    data = data_record(db, divided)
    adapter_set, files = build_set(
        source, divided, name=name, base=base, data=data, temperature=temperature, limit=limit
    )
    config = {"name": name, "limit": limit, "temperature": temperature}
    run = begin_run(db, "publish", config, inputs=[source.id], seed=seed)
    set_id = publish(db, adapter_set, files)
    figures = {"set_id": set_id, "name": name, "base": base.id, "n_bytes": sum(map(len, files.values()))}
    return StageResult(run=finish_run(db, run, figures), was_done=run.is_finished)


def run_all(
    db: Database,
    path: Path,
    *,
    attribute: AttributeConfig,
    divide: PartitionConfig,
    finetune: FinetuneConfig,
    items: ItemsConfig,
    base_id: str = DEFAULT_BASE,
    language: str = "python",
    anchors_path: Path | None = None,
    name: str | None = None,
    temperature: float = SERVED_TEMPERATURE,
    limit: int | None = None,
    seed: int = 0,
) -> Iterator[ImportReport | StageResult]:
    """Every stage on what the one before it made; a stage runs when its result is asked for."""
    find_base(base_id)  # what is wrong is said before hours of work
    check_scaling(finetune.rank, finetune.alpha)
    if name is not None:
        check_name(name, what="set")
    yield run_import(db, path, limit=limit)
    attributed = run_attribute(
        db,
        attribute,
        items,
        base_id=base_id,
        language=language,
        limit=limit,
        anchors_path=anchors_path,
        seed=seed,
    )
    yield attributed
    divided = run_partition(db, divide, run_id=attributed.run.id, seed=seed)
    yield divided
    trained = run_finetune(db, finetune, items, base_id=base_id, run_id=divided.run.id, seed=seed)
    yield trained
    yield run_publish(db, name=name, run_id=trained.run.id, temperature=temperature)


def _usable(db: Database, items: ItemsConfig, language: str, limit: int | None, seed: int) -> list[Sample]:
    samples = load_samples(db, language=language, limit=limit)
    if not samples:
        raise BadInput(f"the store has no samples in {language}; run: trainer import FILE")
    usable = []
    with progress("find code", len(samples), "samples") as shown:
        for sample in samples:
            usable += [sample] if make_items(sample, config=items, seed=seed) else []
            shown.advance()
    if not usable:
        raise BadInput(f"none of the {len(samples)} samples in {language} has code to learn from; import others")
    return usable


def _influence(
    db: Database,
    samples: Sequence[Sample],
    anchors: Sequence[Anchor],
    config: AttributeConfig,
    items: ItemsConfig,
    *,
    run: Run,
    base_id: str,
) -> NDArray[np.float32]:
    """`[N, Q, items]`; rows of NaN for samples that have nothing to attribute."""
    if config.method == "datainf":
        from trainer.attribute.stage import datainf_stage  # torch

        return datainf_stage(db, samples, anchors, config, items, run, base_id)
    if config.method == "bm25":
        from trainer.attribute.lexical import lexical_influence

        return lexical_influence(samples, anchors)
    shape = (len(samples), len(anchors), len(anchors[0].items))
    return np.random.default_rng(run.seed).standard_normal(shape, dtype=np.float32)


def _column_correlation(influence: NDArray[np.float32]) -> float:
    """Mean correlation between anchors: near 1 they say the same, and the parts will hardly differ."""
    Q = influence.shape[1]
    if len(influence) < 2 or Q < 2 or not influence.std(axis=0).all():
        return 1.0
    return float((np.corrcoef(influence.T).sum() - Q) / (Q * (Q - 1)))


def _stabilities(influence: NDArray[np.float32], config: PartitionConfig, seed: int) -> dict[str, float | None]:
    with progress("bootstraps", 2 * N_BOOTSTRAPS) as shown:
        own = stability(influence, config, seed=seed, on_draw=shown.advance)
        by_chance = chance_stability(influence, config, seed=seed, on_draw=shown.advance)
    return {"stability": own, "stability_by_chance": by_chance}


def _columns(influence: NDArray[np.float32], config: PartitionConfig) -> list[int]:
    """The anchors that the parts are made for; all of them where parts are not named after anchors."""
    N, Q = influence.shape[:2]
    if config.method == "whole":
        return list(range(Q))
    if config.method == "kmeans":
        if not 1 <= config.k <= N:
            raise BadInput(f"k is {config.k}, but there are only {N} samples; import more or choose a smaller k")
        return list(range(Q))
    return choose_columns(influence.mean(axis=2), config.k)


def _part_names(source: Run, columns: Sequence[int], config: PartitionConfig) -> tuple[list[str], list[str]]:
    """Names and labels of the parts; those without anchors must not promise a style."""
    if config.method == "whole":
        if config.k == 1:
            return ["single"], ["all samples"]
        numbers = range(1, config.k + 1)
        return [f"seed-{n}" for n in numbers], [f"all samples, seed {n}" for n in numbers]
    if config.method == "kmeans":
        numbers = range(1, config.k + 1)
        return [f"kmeans-{n}" for n in numbers], [f"k-means part {n}" for n in numbers]
    if source.figures["method"] == "random":
        numbers = range(1, len(columns) + 1)
        return [f"random-{n}" for n in numbers], [f"random part {n}" for n in numbers]
    names, labels = source.figures["anchors"], source.figures["labels"]
    return [names[column] for column in columns], [labels[column] for column in columns]


def _warn_if_unstable(figures: dict[str, Any], source: Run) -> None:
    value, chance = figures["stability"], figures["stability_by_chance"]
    if value is not None and value < chance + _LEAST_SIGNAL and source.figures["method"] != "random":
        logger.warning(
            "the parts are hardly more stable (%.2f) than by chance (%.2f): other query items would give others",
            value,
            chance,
        )
