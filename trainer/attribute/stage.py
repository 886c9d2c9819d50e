"""The stage that asks the base: samples and anchors in, influence out; gradients and embeddings are kept as rows.

A broken run goes on with the warm-up adapter it had and the rows it has already written.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sqlite_utils import Database
from torch import Tensor

from spa_lsp.errors import BadInput
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.load import LoadedBase, load_base
from spa_lsp.progress import progress
from trainer.attribute.anchors import Anchor, anchor_tasks
from trainer.attribute.cosine import cosine
from trainer.attribute.datainf import datainf
from trainer.attribute.embedding import embedding_influence, embeddings
from trainer.attribute.gradients import point_gradients, read_points, sample_gradients, warm_up, warm_up_steps
from trainer.attribute.less import less
from trainer.attribute.lissa import lissa
from trainer.attribute.vectors import Vector, load_vectors, write_vectors
from trainer.configs import AttributeConfig, ItemsConfig
from trainer.data.items import TokenItem, check_layouts, token_items
from trainer.data.samples import Sample, make_items
from trainer.partition.solutions import tasks_of, without_topic
from trainer.rows.build_set import run_folder
from trainer.rows.stages import AttributeRun

Compute = Callable[[Sequence[TokenItem]], Tensor]  # of at most a batch of items, `[B, L, P]`


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """Influence `[N, Q, items]`, NaN for a sample that has none, and how fast what this call computed was done."""

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
) -> Attribution:
    """Influence of every sample on every anchor item; NaN for a sample that has no item short enough.

    A sample is represented by its shortest item: the gradient of a few lines says what kind of code it is, and costs a
    third of the whole solution's. With `config.differences` what the solutions of one task have in common is taken from
    them, and what the items of one task have in common from the anchors; the curvature stays that of the samples.

    Raises:
        BadInput: no sample has an item; gradients are not finite; there are no differences to take.
    """
    groups = anchor_tasks(anchors) if config.differences else []  # it may fail, so before the work
    base = load_base(base_id, is_training=True)
    check_layouts(base, items_config)
    chosen = {sample.id: item for sample in samples if (item := _shortest_item(sample, items_config, run.seed, base))}
    if not any(item.n_tokens <= config.max_tokens for item in chosen.values()):
        raise BadInput(f"no sample has an item of at most {config.max_tokens} tokens; import other Python samples")
    asked = [(f"query:{item.item_id}", item) for anchor in anchors for item in anchor_items(anchor, base)]
    short = {sample_id: item for sample_id, item in chosen.items() if item.n_tokens <= config.max_tokens}
    computed = _vectors(db, base, dict(asked), short, _spread(list(chosen.values()), config), config, run)
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


def _shortest_item(sample: Sample, config: ItemsConfig, seed: int, base: LoadedBase) -> TokenItem | None:
    items = make_items(sample, config=config, seed=seed)
    fitting = token_items(items, base.prompt, stop_id=base.end_id, max_tokens=config.max_tokens)
    return min(fitting, key=lambda item: item.n_tokens, default=None)


def anchor_items(anchor: Anchor, base: LoadedBase) -> list[TokenItem]:
    """The items of an anchor, whole.

    Raises:
        BadInput: the base cannot read one as a whole.
    """
    limit = base.model.config.max_position_embeddings
    items = token_items(anchor.items, base.prompt, stop_id=base.end_id, max_tokens=limit)
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
    base: LoadedBase,
    queries: Mapping[str, TokenItem],
    samples: Mapping[str, TokenItem],
    spread: Sequence[TokenItem],
    config: AttributeConfig,
    run: AttributeRun,
) -> _Computed:
    """The vectors of all queries and samples: those that the run has, and the missing ones, written block by block."""
    found = load_vectors(db, run)
    if config.method != "embedding" and not _warm_up_path(run).exists():
        found = {}  # gradients under two warm-ups cannot be compared
    missing = [{key: item for key, item in own.items() if key not in found} for own in (queries, samples)]
    rates: tuple[float, ...] = ()
    if config.method == "embedding":
        of_query: Compute = lambda items: embeddings(base, items, config.layer)  # noqa: E731
        of_sample = of_query
    elif any(missing) or config.method == "less":
        bank = AdapterBank(base.model, device=base.device)
        _warm_up(base, bank, spread, config, run)
        of_query, of_sample, rates = _gradient_ways(base, bank, len(spread), config, run)
    else:
        return _Computed(vectors=found)
    found |= _new_vectors(db, missing[0], of_query, config, run, what="anchors")
    start = time.perf_counter()
    found |= _new_vectors(db, missing[1], of_sample, config, run, what="samples")
    rate = len(missing[1]) / (time.perf_counter() - start) if missing[1] else None
    return _Computed(vectors=found, rates=rates, samples_per_s=rate)


def _gradient_ways(
    base: LoadedBase, bank: AdapterBank, n_items: int, config: AttributeConfig, run: AttributeRun
) -> tuple[Compute, Compute, tuple[float, ...]]:
    """How the gradients of queries and of samples are made after the warm-up, and the learning rates of the points."""
    if config.method != "less":
        plain: Compute = lambda items: sample_gradients(base, bank, items, config, seed=run.seed)  # noqa: E731
        return plain, plain, ()
    points = read_points(_warm_up_path(run), warm_up_steps(n_items, config), config, device=base.device)

    def at_points(items: Sequence[TokenItem], *, are_updates: bool) -> Tensor:
        return point_gradients(base, bank, items, config, seed=run.seed, points=points, are_updates=are_updates)

    return (
        lambda items: at_points(items, are_updates=False),
        lambda items: at_points(items, are_updates=True),
        tuple(point.learning_rate for point in points),
    )


def _spread(items: Sequence[TokenItem], config: AttributeConfig) -> Sequence[TokenItem]:
    """The items of the warm-up, from all over the samples."""
    return items[:: max(1, len(items) // config.warmup_samples)][: config.warmup_samples]


def _warm_up(
    base: LoadedBase, bank: AdapterBank, items: Sequence[TokenItem], config: AttributeConfig, run: AttributeRun
) -> None:
    with progress("warm-up", warm_up_steps(len(items), config), "steps") as bar:
        warm_up(base, bank, items, config, seed=run.seed, checkpoint=_warm_up_path(run), on_step=bar.advance)


def _warm_up_path(run: AttributeRun) -> Path:
    return run_folder(run) / "warm-up.safetensors"


def _new_vectors(
    db: Database,
    items: Mapping[str, TokenItem],
    compute: Compute,
    config: AttributeConfig,
    run: AttributeRun,
    *,
    what: str,
) -> dict[str, Vector]:
    """Compute and write the vector of every item, shortest first so that little is padded."""
    keys = sorted(items, key=lambda key: items[key].n_tokens)
    found: dict[str, Vector] = {}
    with progress(f"{config.method} of {what}", len(keys), "items") as bar:
        for block in _blocks(keys, config.batch):
            vectors = compute([items[key] for key in block]).numpy()
            found |= write_vectors(db, run, dict(zip(block, vectors, strict=True)))
            bar.advance(len(block))
    return found


def _blocks(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))
