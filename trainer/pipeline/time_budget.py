"""For `trainer run --budget TIME`: every stage in the size that lets the whole end in time, see `sizes.py`.

The sizes are a run of their own in the store: the same call after a break finds them and goes on with the same work.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils import Database

from spa_lsp.bases.catalog import find_base
from spa_lsp.errors import BadInput
from spa_lsp.progress import format_seconds, note
from spa_lsp.workspace.git import run_git
from trainer.attribute.anchors import Anchor
from trainer.configs import SourcesConfig
from trainer.data.samples import Sample
from trainer.pipeline.choice import choose_ways, method_without_gradients
from trainer.pipeline.request import RunRequest
from trainer.pipeline.sizes import fit, n_parts
from trainer.pipeline.stage_rows import usable_samples
from trainer.rows.records import content_id
from trainer.rows.runs import begin_run, finish_run, finished_run
from trainer.rows.stages import SIZES, SizesFigures, SizesParents, SizesSettings

if TYPE_CHECKING:
    from trainer.pipeline.costs import Costs

SYNTHESIS_SHARE = 0.45  # of the time, where samples are made: a set is no better than what it learns from


class Clock:
    """How much of the budget is left."""

    def __init__(self, budget_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self.budget_s = budget_s
        self._now = now
        self._started = now()

    @property
    def spent_s(self) -> float:
        """Seconds since the start."""
        return self._now() - self._started

    @property
    def left_s(self) -> float:
        """Seconds until the end; negative when it is over."""
        return self.budget_s - self.spent_s


Measure = Callable[[Sequence[Sample], Sequence[Anchor], RunRequest], "Costs"]


def measure_here(samples: Sequence[Sample], anchors: Sequence[Anchor], request: RunRequest) -> "Costs":
    """As `measure_costs`."""
    from trainer.pipeline.costs import measure_costs  # torch

    return measure_costs(samples, anchors, request)


@dataclass(frozen=True, kw_only=True)
class TimeBudget:
    """One call with a budget, from its beginning on."""

    request: RunRequest
    asked: SizesSettings  # of the beginning: commits may come while samples are made
    clock: Clock
    measure: Measure = measure_here

    def left(self) -> str:
        """For people."""
        left_s = max(self.clock.left_s, 0.0)
        return f"budget: {format_seconds(left_s)} of {format_seconds(self.clock.budget_s)} left"

    def are_samples_over(self, block_s: float) -> bool:
        """Whether making samples is nearer to its share of the time now than after another block of so many seconds."""
        return self.clock.spent_s + block_s / 2 > SYNTHESIS_SHARE * self.clock.budget_s

    def is_broken(self, db: Database) -> bool:
        """Whether the same call has cut its sizes for the samples that there are, and then not published."""
        try:
            samples = self._samples(db)
        except BadInput:
            return False  # without samples nothing is cut to size
        run = finished_run(db, SIZES, self.asked, parents=self._parents(samples), seed=self.request.seed)
        query = "SELECT 1 FROM runs WHERE stage = 'publish' AND called > (SELECT called FROM runs WHERE id = ?)"
        return run is not None and not list(db.query(query, [run.id]))

    def cut_to_size(self, db: Database, anchors: Sequence[Anchor]) -> RunRequest:
        """The request in sizes for all samples that there are now; in those that the same call had when it broke.

        Raises:
            BadInput: there are no samples, or too little time is left, or too few for the set that is gone on from.
        """
        request = self.request
        samples = self._samples(db)
        run = begin_run(db, SIZES, self.asked, parents=self._parents(samples), seed=request.seed)
        if request.may_choose:
            request, why = choose_ways(samples, request)
            note(why)
        if not run.is_finished:
            run = finish_run(db, run, self._fit(samples, anchors, request))
        sizes = run.figures
        made = f"attribute {sizes.n_samples} samples by {sizes.method}, partition into {sizes.k}"
        then = f"finetune {sizes.steps} steps, publish: about {format_seconds(sizes.expected_s)}"
        note(f"{self.left()}; next: {made}, {then}")
        return _in_size(request, sizes, limit=_place_of(samples[sizes.n_samples - 1], db, request))

    def _samples(self, db: Database) -> list[Sample]:
        request = self.request
        return usable_samples(db, request.items, request.language, request.limit, request.seed)

    def _fit(self, samples: Sequence[Sample], anchors: Sequence[Anchor], request: RunRequest) -> SizesFigures:
        k = n_parts(request, len(samples))  # as many adapters are measured
        request = replace(request, partition=replace(request.partition, k=k))
        costs = self.measure(samples, anchors, request)
        return fit(
            costs,
            self.clock.left_s,
            n_samples=len(samples),
            n_anchor_items=sum(len(anchor.items) for anchor in anchors),
            request=request,
            instead=method_without_gradients(samples),
        )

    def _parents(self, samples: Sequence[Sample]) -> SizesParents:
        digest = content_id([sample.id for sample in samples])
        return SizesParents(samples=digest, base=find_base(self.request.base_id).sha256)


def begin_budget(request: RunRequest) -> TimeBudget | None:
    """The budget of a call that begins now; None where it has none."""
    if request.budget_s is None:
        return None
    asked = SizesSettings(
        budget_s=request.budget_s,
        base=request.base_id,
        attribute=request.attribute,
        partition=request.partition,
        finetune=request.finetune,
        items=request.items,
        most_steps=request.most_steps,
        may_choose=request.may_choose,
        sources=source_states(request.sources),
        synthesize=request.synthesize,
        n_seeds=request.n_seeds,
    )
    return TimeBudget(request=request, asked=asked, clock=Clock(request.budget_s))


def _in_size(request: RunRequest, sizes: SizesFigures, *, limit: int) -> RunRequest:
    return replace(
        request,
        attribute=replace(request.attribute, method=sizes.method),
        partition=replace(request.partition, k=sizes.k),
        finetune=replace(request.finetune, steps=sizes.steps, warmup_steps=sizes.warmup_steps),
        items=replace(request.items, holdout=sizes.holdout),
        limit=limit,
    )


def _place_of(last: Sample, db: Database, request: RunRequest) -> int:
    """How many samples there are up to this one, those without code included: what stages count."""
    up_to_it = "lang = ? AND n <= (SELECT n FROM samples WHERE id = ?)"
    return db.table("samples").count_where(up_to_it, [request.language, last.id])


def source_states(sources: SourcesConfig) -> tuple[str, ...]:
    """Each source as it is now, a folder with its commit, a package with its version; none where nothing is known.

    What is not committed does not count: the same call goes on though a file has been saved since.
    """
    folders = [f"{folder.absolute()} {_commit_of(folder)}" for folder in sources.folders]
    return (*folders, *(f"{name} {_version_of(name)}" for name in sources.packages))


def _commit_of(folder: Path) -> str:
    return (run_git(os.fsencode(folder), "rev-parse", "--verify", "-q", "HEAD") or b"").decode().strip()


def _version_of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""  # it is refused when it is read


def give_way() -> None:
    """Run only while nobody else wants the processor: an editor's engine answers as if nothing ran beside it."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):  # another system, or not allowed
        os.nice(19)
