"""`trainer run`: every stage on what the one before it made."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlite_utils import Database

from spa_lsp.adapters.manifest import check_name
from spa_lsp.bases.catalog import find_base, installed_base
from spa_lsp.progress import note
from trainer.attribute.anchors import Anchor, load_anchors
from trainer.configs import BASE_METHODS, PartitionConfig, SourcesConfig
from trainer.data.samples import ImportReport, count_samples, load_samples
from trainer.partition.parts import check_k
from trainer.pipeline.choice import choose_ways
from trainer.pipeline.request import RunRequest
from trainer.pipeline.stages import (
    Attributed,
    Partitioned,
    Published,
    Trained,
    run_attribute,
    run_finetune,
    run_import,
    run_import_accepted,
    run_partition,
    run_publish,
)
from trainer.pipeline.synthesis import Synthesized, run_synthesize
from trainer.pipeline.time_budget import TimeBudget, begin_budget, give_way
from trainer.synthesize.stage import never_over
from trainer.train.starting import check_n_parts, check_ranks, part_names, set_to_go_on_from, taken_over


def run_all(
    db: Database, request: RunRequest
) -> Iterator[ImportReport | Synthesized | Attributed | Partitioned | Trained | Published]:
    """The results of all stages; a stage runs when its result is asked for.

    Where the adapters go on from a set, there are as many as it has. With a budget the whole ends in time, at the
    lowest priority: samples, parts and steps are then as many as fit, at most as many as asked for.
    """
    anchors = load_anchors(request.anchors_path)
    request = _checked(request, anchors)
    budget = begin_budget(request)
    is_resumed = budget is not None and budget.is_broken(db)
    if budget:
        give_way()
        note(f"{budget.left()}; next: {'going on' if is_resumed else 'samples'}")
    if request.path is not None:
        yield run_import(db, request.path, limit=request.limit)
    if request.from_outcomes:
        yield run_import_accepted(db)
    if request.sources != SourcesConfig() and not is_resumed:
        yield _synthesize(db, request, budget)
    request = budget.cut_to_size(db, anchors) if budget else _with_ways(db, request)
    n_samples = count_samples(db, language=request.language, limit=request.limit)
    if n_samples:  # that there are none is said below
        check_k(request.partition, n_anchors=len(anchors), n_samples=n_samples)
    attributed = run_attribute(
        db,
        request.attribute,
        request.items,
        base_id=request.base_id,
        language=request.language,
        limit=request.limit,
        anchors_path=request.anchors_path,
        seed=request.seed,
    )
    yield attributed
    partitioned = run_partition(db, request.partition, run_id=attributed.run.id, seed=request.seed)
    yield partitioned
    trained = run_finetune(
        db, request.finetune, request.items, base_id=request.base_id, run_id=partitioned.run.id, seed=request.seed
    )
    yield trained
    yield run_publish(db, request.publish, run_id=trained.run.id)


def _checked(request: RunRequest, anchors: Sequence[Anchor]) -> RunRequest:
    """The request with what is the set's that is gone on from; what is wrong with it is said before hours of work."""
    installed_base(find_base(request.base_id))
    if init_set := set_to_go_on_from(request.finetune, request.base_id):
        k = request.partition.k if request.partition.k != PartitionConfig.k else len(part_names(init_set))
        check_n_parts(init_set, k)
        finetune = taken_over(request.finetune, init_set)
        request = replace(request, finetune=finetune, partition=replace(request.partition, k=k))
    if not request.may_choose:
        check_k(request.partition, n_anchors=len(anchors), n_samples=request.partition.k)  # nothing is known of samples
    check_ranks(request.finetune)
    if request.publish.name is not None:
        check_name(request.publish.name, what="set")
    if find_base(request.base_id).infill is None:
        _check_layouts(request, anchors)
    return request


def _check_layouts(request: RunRequest, anchors: Sequence[Anchor]) -> None:
    """Refuse items and anchors that a base without infill cannot read."""
    from spa_lsp.lm.load import load_tokens  # torch
    from trainer.attribute.stage import anchor_items
    from trainer.data.items import check_layouts

    tokens = load_tokens(request.base_id)
    check_layouts(tokens, request.items)
    if request.attribute.method in BASE_METHODS and not request.may_choose:
        for anchor in anchors:
            anchor_items(anchor, tokens)


def _synthesize(db: Database, request: RunRequest, budget: TimeBudget | None) -> Synthesized:
    return run_synthesize(
        db,
        request.synthesize,
        request.sources,
        base_id=request.base_id,
        data=request.data,
        limit=request.n_seeds,
        seed=request.seed,
        is_over=budget.are_samples_over if budget else never_over,
    )


def _with_ways(db: Database, request: RunRequest) -> RunRequest:
    """The request with the methods that suit the samples, where it leaves the choice."""
    samples = load_samples(db, language=request.language, limit=request.limit) if request.may_choose else []
    if not samples:
        return request
    request, why = choose_ways(samples, request)
    note(why)
    return request
