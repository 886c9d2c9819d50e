"""The stage that asks the base: samples and anchors in, influence out; gradients and embeddings are kept as rows.

A broken run goes on with the warm-up adapter it had and the rows it has already written.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sqlite_utils import Database
from torch import Tensor

from spa_lsp.errors import BadInput
from spa_lsp.lm.load import BaseTokens, load_tokens
from spa_lsp.progress import progress
from spa_lsp.storage.whole_files import written_whole
from trainer.attribute.anchors import Anchor, anchor_tasks
from trainer.attribute.cosine import cosine
from trainer.attribute.datainf import datainf
from trainer.attribute.embedding import embedding_influence
from trainer.attribute.gradients import read_points, warm_up_arithmetic, warm_up_steps
from trainer.attribute.less import less
from trainer.attribute.lissa import lissa
from trainer.attribute.vector_work import WARM_UP, Batch, BatchVectors, Vectors, WarmUp
from trainer.attribute.vectors import Vector, load_vectors, write_vectors
from trainer.configs import AttributeConfig, ItemsConfig
from trainer.data.items import TokenItem, check_layouts, token_items
from trainer.data.samples import Sample, make_items, spread
from trainer.executor.held_base import HeldBase
from trainer.executor.work import Executor, Local, blocks
from trainer.partition.solutions import tasks_of, with_several, without_topic
from trainer.rows.build_set import run_folder
from trainer.rows.stages import AttributeRun

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """Influence `[N, Q, items]`, NaN for a sample that has none, and how fast a worker was."""

    influence: NDArray[np.float32]
    samples_per_s: float | None = None  # None: all had been done before


def base_stage(
    db: Database,
    samples: Sequence[Sample],
    anchors: Sequence[Anchor],
    config: AttributeConfig,
    items_config: ItemsConfig,
    run: AttributeRun,
    base_id: str,
    executor: Executor | None = None,
) -> Attribution:
    """Influence of every sample on every anchor item; NaN for a sample that has no item short enough.

    A sample is represented by its shortest item: the gradient of a few lines says what kind of code it is, and costs a
    third of the whole solution's. With `config.differences` what the solutions of one task have in common is taken from
    them, and what the items of one task have in common from the anchors; the curvature stays that of the samples.

    Raises:
        BadInput: no sample has an item; gradients are not finite; there are no differences to take.
    """
    groups = anchor_tasks(anchors) if config.differences else []  # it may fail, so before the work
    tokens = load_tokens(base_id)
    check_layouts(tokens, items_config)
    chosen = {sample.id: item for sample in samples if (item := _shortest_item(sample, items_config, run.seed, tokens))}
    if not any(item.n_tokens <= config.max_tokens for item in chosen.values()):
        raise BadInput(f"no item has at most {config.max_tokens} tokens; raise --gradient-tokens or pass --method bm25")
    asked = [(f"query:{item.item_id}", item) for anchor in anchors for item in anchor_items(anchor, tokens)]
    short = {sample_id: item for sample_id, item in chosen.items() if item.n_tokens <= config.max_tokens}
    if config.differences:
        _check_differences([sample for sample in samples if sample.id in short])
    warm = spread(list(short.values()), config.warmup_samples)  # of what has rows, for `forget`
    computed = _vectors(db, HeldBase(base_id), dict(asked), short, warm, config, run, executor or Local())
    found = computed.vectors
    is_known = [sample.id in short and bool(np.isfinite(found[sample.id]).all()) for sample in samples]
    known = [sample for sample, is_one in zip(samples, is_known, strict=True) if is_one]
    query = np.stack([found[key] for key, _ in asked])
    if not known or not np.isfinite(query).all():
        raise BadInput("gradients are not finite; choose a lower --learning-rate for the warm-up")
    train = curvature = np.stack([found[sample.id] for sample in known])
    if config.differences:
        train = without_topic(train, tasks_of([sample.problem for sample in known]))
        query = without_topic(query, groups)
    train_vectors, query_vectors, of_samples = (torch.from_numpy(own) for own in (train, query, curvature))
    scores = _scores(train_vectors, query_vectors, of_samples, config, run.seed, computed.rates)
    influence = np.full((len(samples), len(anchors), len(asked) // len(anchors)), np.nan, dtype=np.float32)
    influence[is_known] = scores.numpy().reshape(len(known), *influence.shape[1:])
    return Attribution(influence=influence, samples_per_s=computed.samples_per_s)


def _check_differences(samples: Sequence[Sample]) -> None:
    """Refuse samples of which none differs from another one of its task: all would be 0."""
    tasks = tasks_of([sample.problem for sample in samples])
    n_alone = len(tasks) - len(with_several(tasks))
    if n_alone == len(tasks):
        raise BadInput(
            f"--differences needs tasks with several solutions, none of {len(tasks)} has two that are short enough; "
            "run: trainer synthesize --from DIR, or leave out --differences"
        )
    if n_alone:
        logger.warning("%d of %d tasks have one solution, of which no difference is left", n_alone, len(tasks))


def _scores(
    train: Tensor, query: Tensor, curvature: Tensor, config: AttributeConfig, seed: int, rates: Sequence[float]
) -> Tensor:
    match config.method:
        case "embedding":
            return embedding_influence(train, query)
        case "cosine":
            return cosine(train, query)
        case "less":
            by_point = (len(rates), -1, train.shape[2])
            return less(train.reshape(len(train), *by_point), query.reshape(len(query), *by_point), rates)
        case "lissa":
            return lissa(train, query, curvature=curvature, seed=seed)
    return datainf(train, query, config.damping, curvature=curvature)


def _shortest_item(sample: Sample, config: ItemsConfig, seed: int, tokens: BaseTokens) -> TokenItem | None:
    items = make_items(sample, config=config, seed=seed)
    fitting = token_items(items, tokens.prompt, stop_id=tokens.end_id, max_tokens=config.max_tokens)
    return min(fitting, key=lambda item: item.n_tokens, default=None)


def anchor_items(anchor: Anchor, tokens: BaseTokens) -> list[TokenItem]:
    """The items of an anchor, whole.

    Raises:
        BadInput: the base cannot infill and one asks for it, or it cannot read one as a whole.
    """
    if tokens.prompt.fim_middle is None and any(item.layout == "infill" for item in anchor.items):
        raise BadInput(
            f"{tokens.base_id} cannot infill, as anchor {anchor.name!r} asks it to; pass --method bm25 or approach, or "
            "--anchors with instructions only"
        )
    limit = tokens.context_tokens
    items = token_items(anchor.items, tokens.prompt, stop_id=tokens.end_id, max_tokens=limit)
    if len(items) < len(anchor.items):
        raise BadInput(f"an item of anchor {anchor.name!r} is longer than the base's {limit} tokens; shorten it")
    return items


@dataclass(frozen=True, kw_only=True)
class _Computed:
    """Vectors by key, the learning rates of their points (`less`), and the speed of what this call computed."""

    vectors: dict[str, Vector]
    rates: tuple[float, ...] = ()
    samples_per_s: float | None = None


def _vectors(
    db: Database,
    base: HeldBase,
    queries: Mapping[str, TokenItem],
    samples: Mapping[str, TokenItem],
    spread: Sequence[TokenItem],
    config: AttributeConfig,
    run: AttributeRun,
    executor: Executor,
) -> _Computed:
    """The vectors of all queries and samples: those that the run has, and the missing ones, written batch by batch."""
    found = load_vectors(db, run)
    if config.method != "embedding" and not _warm_up_path(run).exists():
        found = {}  # gradients under two warm-ups cannot be compared
    batches = _batches(queries, samples, config.batch)
    batches = [batch for batch in batches if not found.keys() >= batch.items.keys()]
    work = Vectors(base=base, config=config, seed=run.seed)
    if config.method != "embedding" and (batches or config.method == "less"):
        work = _after_warm_up(work, spread, run, executor)
    seconds, n_samples = 0.0, 0
    n_missing = sum(len(batch.items) for batch in batches)
    with progress(f"{config.method} of samples and anchors", n_missing, "items") if batches else nullcontext() as bar:

        def take(rows: Sequence[BatchVectors]) -> None:
            nonlocal seconds, n_samples
            for made in rows:
                found.update(write_vectors(db, run, made.vectors))
                if not made.are_queries:
                    seconds, n_samples = seconds + made.seconds, n_samples + len(made.vectors)
                if bar:
                    bar.advance(len(made.vectors))

        executor.run(work, batches, take)
    rates = tuple(point.learning_rate for point in work.points) if config.method == "less" else ()
    return _Computed(vectors=found, rates=rates, samples_per_s=n_samples / seconds if n_samples else None)


def _after_warm_up(work: Vectors, spread: Sequence[TokenItem], run: AttributeRun, executor: Executor) -> Vectors:
    """The same work with the warm-up adapter, which is trained if it is not there."""
    path, n_steps = _warm_up_path(run), warm_up_steps(len(spread), work.config)
    if warm_up_arithmetic(path, n_steps, work.config) is None:
        folder = path.parent if executor.is_here else None
        training = WarmUp(base=work.base, config=work.config, seed=work.seed, folder=folder)
        executor.run(training, [spread], lambda rows: _write_files(path, rows[0]))
    arithmetic = warm_up_arithmetic(path, n_steps, work.config)
    assert arithmetic is not None, "the warm-up ended without its files"
    return replace(work, points=read_points(path, n_steps, work.config), arithmetic=arithmetic)


def _write_files(path: Path, files: Mapping[str, bytes]) -> None:
    """Write what a warm-up elsewhere left, `path` itself last: where it is, all of it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: name == path.name):
        with written_whole(path.parent / name) as unfinished:
            unfinished.write_bytes(files[name])


def _warm_up_path(run: AttributeRun) -> Path:
    return run_folder(run) / WARM_UP


def _batches(queries: Mapping[str, TokenItem], samples: Mapping[str, TokenItem], size: int) -> list[Batch]:
    """All items, shortest first so that little is padded.

    They are cut before what is known is left out: a vector depends on its neighbours by some last bits, and must be the
    same after a break.
    """
    found = []
    for own in (queries, samples):
        keys = sorted(own, key=lambda key: own[key].n_tokens)
        cut = blocks(keys, size)
        found += [Batch(items={key: own[key] for key in block}, are_queries=own is queries) for block in cut]
    return found
