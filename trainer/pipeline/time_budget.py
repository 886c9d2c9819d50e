"""For `trainer run --budget TIME`: every stage in the size that lets the whole end in time, see `sizes.py`.

The sizes are a run of their own in the store: the same call after a break finds them and goes on with the same work.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils import Database

from spa_lsp.bases.catalog import find_base
from spa_lsp.progress import format_seconds, note
from spa_lsp.workspace.git import run_git
from trainer.attribute.anchors import load_anchors
from trainer.configs import SourcesConfig
from trainer.data.samples import Sample, load_samples, make_items
from trainer.pipeline.choice import choose_ways, method_without_gradients
from trainer.pipeline.sizes import Sizes, fit
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


class Fitted:
    """The clock of one call, and the sizes that it leaves room for; made when the call begins."""

    def __init__(
        self,
        db: Database,
        asked: SizesSettings,
        *,
        language: str,
        limit: int | None,
        anchors_path: Path | None,
        seed: int,
        clock: Clock | None = None,
        measure: Callable[[Sequence[Sample], SizesSettings], "Costs"] | None = None,
    ) -> None:
        self._db = db
        self._asked = asked
        self._language, self._limit, self._seed = language, limit, seed
        self._anchors = load_anchors(anchors_path)
        self._clock = clock or Clock(asked.budget_s)
        self._measure = measure or self._measure_here
        known = load_samples(db, language=language, limit=limit)
        self.is_resumed = bool(known) and self._is_broken(known)
        give_way()
        note(f"{self._left()}; next: {'going on' if self.is_resumed else 'samples'}")

    def are_samples_over(self) -> bool:
        """Whether making samples has had its share of the time."""
        return self._clock.spent_s > SYNTHESIS_SHARE * self._asked.budget_s

    def sizes(self) -> Sizes:
        """Of all samples that there are now; those that the same call had when it broke.

        Raises:
            BadInput: there are no samples, or too little time is left, or too few for the set that is gone on from.
        """
        samples = usable_samples(self._db, self._asked.items, self._language, self._limit, self._seed)
        run = begin_run(self._db, SIZES, self._asked, parents=self._parents(samples), seed=self._seed)
        asked = self._asked
        if asked.may_choose:
            (attribute, divide), why = choose_ways(samples, asked.attribute, asked.partition)
            asked = replace(asked, attribute=attribute, partition=divide)
            note(why)
        if not run.is_finished:
            costs = self._measure(samples, asked)
            found = fit(
                costs,
                self._clock.left_s,
                n_samples=len(samples),
                n_anchor_items=sum(len(anchor.items) for anchor in self._anchors),
                asked=asked,
                instead=method_without_gradients(samples),
            )
            run = finish_run(self._db, run, _to_figures(found))
        found = _to_sizes(run.figures, asked)
        made = f"attribute {found.n_samples} samples by {found.attribute.method}, partition into {found.divide.k}"
        then = f"finetune {found.finetune.steps} steps, publish: about {format_seconds(found.expected_s)}"
        note(f"{self._left()}; next: {made}, {then}")
        return found

    def place_of(self, sizes: Sizes) -> int:
        """How many samples there are up to the last one that fits, those without code included: what stages count."""
        usable = usable_samples(self._db, self._asked.items, self._language, self._limit, self._seed)
        last = usable[sizes.n_samples - 1].id
        ids = [sample.id for sample in load_samples(self._db, language=self._language, limit=self._limit)]
        return ids.index(last) + 1

    def _is_broken(self, samples: Sequence[Sample]) -> bool:
        """Whether the same call has cut its sizes for these samples and then not published."""
        usable = [sample for sample in samples if make_items(sample, config=self._asked.items, seed=self._seed)]
        run = finished_run(self._db, SIZES, self._asked, parents=self._parents(usable), seed=self._seed)
        query = "SELECT 1 FROM runs WHERE stage = 'publish' AND called > (SELECT called FROM runs WHERE id = ?)"
        return run is not None and not list(self._db.query(query, [run.id]))

    def _parents(self, samples: Sequence[Sample]) -> SizesParents:
        digest = content_id([sample.id for sample in samples])
        return SizesParents(samples=digest, base=find_base(self._asked.base).sha256)

    def _measure_here(self, samples: Sequence[Sample], asked: SizesSettings) -> "Costs":
        from trainer.pipeline.costs import measure_costs  # torch

        return measure_costs(
            samples,
            self._anchors,
            asked.attribute,
            asked.finetune,
            asked.items,
            k=asked.partition.k,
            base_id=asked.base,
            seed=self._seed,
        )

    def _left(self) -> str:
        left, all_of_it = max(self._clock.left_s, 0.0), self._asked.budget_s
        return f"budget: {format_seconds(left)} of {format_seconds(all_of_it)} left"


def _to_figures(sizes: Sizes) -> SizesFigures:
    return SizesFigures(
        method=sizes.attribute.method,
        n_samples=sizes.n_samples,
        k=sizes.divide.k,
        steps=sizes.finetune.steps,
        warmup_steps=sizes.finetune.warmup_steps,
        holdout=sizes.items.holdout,
        expected_s=sizes.expected_s,
    )


def _to_sizes(found: SizesFigures, asked: SizesSettings) -> Sizes:
    return Sizes(
        attribute=replace(asked.attribute, method=found.method),
        divide=replace(asked.partition, k=found.k),
        finetune=replace(asked.finetune, steps=found.steps, warmup_steps=found.warmup_steps),
        items=replace(asked.items, holdout=found.holdout),
        n_samples=found.n_samples,
        expected_s=found.expected_s,
    )


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
