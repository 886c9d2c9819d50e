"""The synthesize stage: sources → seeds → blocks → rows. A broken run goes on with the seeds that have no row yet."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from sqlite_utils import Database

from spa_lsp.errors import BadInput
from spa_lsp.progress import progress
from trainer.configs import Recipe, SourcesConfig
from trainer.evaluate.sandbox import require_sandbox
from trainer.executor.work import Executor, Local
from trainer.rows.records import content_id
from trainer.rows.stages import SynthesizeFigures, SynthesizeRun
from trainer.synthesize.contamination import BENCHMARKS, read_benchmarks
from trainer.synthesize.duplicates import Seen
from trainer.synthesize.filters import Filters, filter_task
from trainer.synthesize.making import Load, MadeBlock, Making, blocks_of
from trainer.synthesize.rows import (
    begin_dataset,
    counts_of,
    done_seeds,
    drop_contaminated,
    kept_tasks,
    known_texts,
    write_block,
)
from trainer.synthesize.seeds import Seed, find_seeds
from trainer.synthesize.sources import read_sources

BLOCK_SEEDS = 4  # with ten answers each most of a batch; what a break costs, and how finely a budget can be kept

logger = logging.getLogger(__name__)

OnSeeds = Callable[[int], object]
IsOver = Callable[[float], bool]  # whether to end, where another block is expected to take so many seconds


def never_over(_: float) -> bool:
    """Until all seeds are done."""
    return False


@dataclass(frozen=True, kw_only=True)
class Found:
    """The seeds of all sources, in the order in which they are tried, and what was left out of the files."""

    seeds: tuple[Seed, ...]
    left_out: dict[str, int]


def collect(sources: SourcesConfig, recipes: Sequence[Recipe], *, seed: int) -> Found:
    """All different seeds that a recipe can use: functions first, as they give most, else in an order drawn by `seed`.

    Raises:
        NotFound, BadInput: see `sources.read_sources`; or there is no seed.
    """
    left_out: Counter[str] = Counter()
    found: dict[str, Seed] = {}
    kinds = {"snippet" if recipe == "oss-instruct" else "function" for recipe in recipes}
    n_files = 0
    for file in read_sources(sources.folders, sources.packages, left_out):
        own = find_seeds(file, seed=seed)
        left_out["another Python's syntax"] += own is None
        n_files += 1
        for each in own or []:
            left_out["the same code again"] += each.id in found
            if each.kind in kinds:
                found.setdefault(each.id, each)
    counts = {reason: n for reason, n in sorted(left_out.items()) if n}
    if not found:
        why = ", ".join(f"{reason} {n}" for reason, n in counts.items()) or "nothing"
        raise BadInput(f"nothing to make samples of in {n_files} files (left out: {why}); name other folders")
    ordered = sorted(found.values(), key=lambda each: (each.kind != "function", content_id([seed, each.id])))
    return Found(seeds=tuple(ordered), left_out=counts)


def missing_seeds(db: Database, run: SynthesizeRun, found: Found, limit: int | None) -> list[Seed]:
    """The first `limit` seeds without those that the run has done."""
    done = done_seeds(db, run)
    return [seed for seed in found.seeds[:limit] if seed.id not in done]


def synthesize(
    db: Database,
    run: SynthesizeRun,
    found: Found,
    load: Load,
    *,
    data_dir: Path | None,
    limit: int | None,
    on_seeds: OnSeeds = lambda _: None,
    is_over: IsOver = never_over,
    executor: Executor | None = None,
    may_be_unsafe: bool = False,
) -> SynthesizeFigures:
    """Make tasks of all seeds that are missing, block by block until `is_over`; the figures of the run come back.

    What was made before is compared with the benchmarks that are known now, too.

    Raises:
        Unavailable: there is no working sandbox; known before anything is asked.
    """
    sandbox = require_sandbox(may_be_none=may_be_unsafe)
    with progress("benchmarks to keep clear of", len(BENCHMARKS)) as shown:
        known = read_benchmarks(data_dir, on_benchmark=shown.advance)
    if known.missing:
        logger.warning("not compared with benchmarks that are not here: %s; pass --data", ", ".join(known.missing))
    begin_dataset(db, run)
    drop_contaminated(db, run, known)
    filters = Filters(known=known, seen=Seen(known_texts(db)), kept=kept_tasks(db))
    work = Making(
        base_id=run.settings.base,
        quantization=run.settings.quantization,
        load=load,
        config=run.settings.synthesize,
        seed=run.seed,
        known=known,
        may_be_unsafe=may_be_unsafe,
    )

    seconds: list[float] = []

    def write(made: MadeBlock) -> None:
        _write(db, run, made, filters)
        on_seeds(len(made.block.seeds))
        seconds.append(made.spent.seconds)
        if is_over(fmean(seconds)):
            raise _Over

    blocks = blocks_of(missing_seeds(db, run, found, limit), BLOCK_SEEDS)
    with suppress(_Over):
        if not is_over(0.0):
            (executor or Local()).run(work, blocks, _InTurn(write).take)
    drop_contaminated(db, run, known)  # solutions of other runs, which the tasks had already
    return SynthesizeFigures(
        n_seeds_found=len(found.seeds),
        left_out=found.left_out,
        decontaminated=known.benchmarks,
        benchmarks_missing=known.missing,
        sandbox=sandbox,
        **counts_of(db, run),
    )


class _Over(Exception):
    """The time is over; what is left is for another call."""


class _InTurn:
    """Hands blocks on in their order, in whatever order they come: what is a near-duplicate depends on it."""

    def __init__(self, write: Callable[[MadeBlock], None]) -> None:
        self._write = write
        self._waiting: dict[int, MadeBlock] = {}
        self._next = 0

    def take(self, rows: Sequence[MadeBlock]) -> None:
        self._waiting.update({made.block.number: made for made in rows})
        while made := self._waiting.pop(self._next, None):
            self._next += 1
            self._write(made)


def _write(db: Database, run: SynthesizeRun, found: MadeBlock, filters: Filters) -> None:
    made, masked = dict(found.made), Counter(found.masked)
    for seed_id, each in found.made.items():
        counts: Counter[str] = Counter()
        made[seed_id] = filter_task(each, filters, counts)
        masked[seed_id] += counts.total()
    block = found.block.seeds
    write_block(db, run, [replace(made[seed.id], seed=seed) for seed in block], masked, found.spent)
