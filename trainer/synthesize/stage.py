"""The synthesize stage: sources → seeds → blocks → rows. A broken run goes on with the seeds that have no row yet."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlite_utils import Database

from spa_lsp.errors import BadInput
from spa_lsp.progress import progress
from trainer.configs import Recipe, SourcesConfig, SynthesizeConfig
from trainer.evaluate.sandbox import require_sandbox
from trainer.rows.records import content_id
from trainer.rows.stages import SynthesizeFigures, SynthesizeRun
from trainer.synthesize.contamination import BENCHMARKS, read_benchmarks
from trainer.synthesize.duplicates import Seen
from trainer.synthesize.filters import Filters, clean_seed, filter_task
from trainer.synthesize.generation import Asker, BatchCompleter
from trainer.synthesize.recipes import Made, make_tasks
from trainer.synthesize.rows import Spent, begin_dataset, counts_of, done_seeds, known_texts, write_block
from trainer.synthesize.seeds import Seed, find_seeds
from trainer.synthesize.sources import read_sources

BLOCK_SEEDS = 12  # with 8 answers each a batch and a half; what a break costs

logger = logging.getLogger(__name__)

OnSeeds = Callable[[int], object]


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
    completer: BatchCompleter,
    config: SynthesizeConfig,
    *,
    data_dir: Path | None,
    limit: int | None,
    on_seeds: OnSeeds = lambda _: None,
    is_over: Callable[[], bool] = lambda: False,
) -> SynthesizeFigures:
    """Make tasks of all seeds that are missing, block by block until `is_over`; the figures of the run come back.

    Raises:
        Unavailable: there is no working sandbox; known before anything is asked.
    """
    sandbox = require_sandbox()
    with progress("benchmarks to keep clear of", len(BENCHMARKS)) as shown:
        known = read_benchmarks(data_dir, on_benchmark=shown.advance)
    if known.missing:
        logger.warning("not compared with benchmarks that are not here: %s; pass --data", ", ".join(known.missing))
    filters = Filters(known=known, seen=Seen(known_texts(db)))
    begin_dataset(db, run)
    asker = Asker(completer, seed=run.seed)
    for block in _blocks(missing_seeds(db, run, found, limit)):
        if is_over():
            break
        _do_block(db, run, block, asker, config, filters)
        on_seeds(len(block))
    return SynthesizeFigures(
        n_seeds_found=len(found.seeds),
        left_out=found.left_out,
        decontaminated=known.benchmarks,
        benchmarks_missing=known.missing,
        sandbox=sandbox,
        **counts_of(db, run),
    )


def _do_block(
    db: Database, run: SynthesizeRun, block: Sequence[Seed], asker: Asker, config: SynthesizeConfig, filters: Filters
) -> None:
    started, tokens_before, seconds_before = time.perf_counter(), asker.n_tokens, asker.seconds
    made: dict[str, Made] = {}
    masked: dict[str, int] = {}
    fit: list[Seed] = []
    for seed in block:
        counts: Counter[str] = Counter()
        cleaned, reason = clean_seed(seed, filters, counts)
        masked[seed.id] = counts.total()
        if cleaned is None:
            made[seed.id] = Made(seed=seed, reason=reason)
        else:
            fit.append(cleaned)
    answered = make_tasks(
        fit,
        asker,
        recipes=config.recipe_names,
        responses=config.responses,
        temperature=config.temperature,
        rng_seed=run.seed,
    )
    for each in answered:
        counts = Counter()
        made[each.seed.id] = filter_task(each, filters, counts)
        masked[each.seed.id] += counts.total()
    spent = Spent(
        n_tokens=asker.n_tokens - tokens_before,
        seconds=time.perf_counter() - started,
        ask_s=asker.seconds - seconds_before,
    )
    write_block(db, run, [replace(made[seed.id], seed=seed) for seed in block], masked, spent)


def _blocks(seeds: Sequence[Seed]) -> Iterator[Sequence[Seed]]:
    return (seeds[start : start + BLOCK_SEEDS] for start in range(0, len(seeds), BLOCK_SEEDS))
