"""The stage before all others: samples from a person's repositories or from packages. The work itself lies below."""

from pathlib import Path

from sqlite_utils import Database

from spa_lsp.bases.catalog import DEFAULT_BASE, find_base, installed_base
from spa_lsp.errors import NotFound
from spa_lsp.progress import progress
from trainer.configs import SourcesConfig, SynthesizeConfig
from trainer.evaluate.sandbox import require_sandbox
from trainer.executor.work import Executor
from trainer.rows.runs import StageResult, begin_run, finish_run
from trainer.rows.stages import SYNTHESIZE, SynthesizeFigures, SynthesizeParents, SynthesizeSettings
from trainer.synthesize.generation import BatchCompleter
from trainer.synthesize.making import Load
from trainer.synthesize.stage import IsOver, collect, missing_seeds, never_over, synthesize

Synthesized = StageResult[SynthesizeSettings, SynthesizeParents, SynthesizeFigures]


def run_synthesize(
    db: Database,
    config: SynthesizeConfig,
    sources: SourcesConfig,
    *,
    base_id: str = DEFAULT_BASE,
    quantization: str = "auto",
    data: Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    unsafe_no_sandbox: bool = False,
    load: Load | None = None,
    is_over: IsOver = never_over,
    executor: Executor | None = None,
) -> Synthesized:
    """Make samples of the first `limit` seeds, or of all; those that the run has done are not done again.

    All sources under the same settings are one run: a new one, or a new commit, only adds its new seeds. `load` gives
    the completer of a base and quantization, in the worker. Seeds are left for another call when `is_over`.

    Raises:
        NotFound, BadInput: a source, or the folder of benchmarks, cannot be used. Unavailable: no sandbox works.
    """
    if data is not None and not data.is_dir():
        raise NotFound(
            f"there is no folder of benchmarks {data} to keep samples clear of; correct --data or leave it out"
        )
    base = find_base(base_id)
    found = collect(sources, config.recipe_names, seed=seed)
    settings = SynthesizeSettings(synthesize=config, base=base_id, quantization=quantization)
    run = begin_run(db, SYNTHESIZE, settings, parents=SynthesizeParents(base=base.sha256), seed=seed)
    missing = missing_seeds(db, run, found, limit)
    if run.is_finished and not missing and (data is None or not run.figures.benchmarks_missing):
        return StageResult(run=run, was_done=True)
    require_sandbox(may_be_none=unsafe_no_sandbox)  # before the base is loaded
    installed_base(base)
    with progress("synthesize", len(missing), "seeds") as shown:
        figures = synthesize(
            db,
            run,
            found,
            load or _load,
            data_dir=data,
            limit=limit,
            on_seeds=shown.advance,
            is_over=is_over,
            executor=executor,
            may_be_unsafe=unsafe_no_sandbox,
        )
    return StageResult(run=finish_run(db, run, figures), was_done=False)


def _load(base_id: str, quantization: str) -> BatchCompleter:
    from spa_lsp.lm.completer import LocalCompleter  # torch

    return LocalCompleter.load(base_id, adapter_set="", quantization=quantization)
