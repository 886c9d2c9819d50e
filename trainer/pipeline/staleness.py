"""What `trainer status` says beside the runs: of each stage, whether its newest run is still true, and what comes next.

Only reads. A run is stale when something that it was made of has changed since, and then so is all that was made of it.
"""

import json
import shlex
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from spa_lsp import paths
from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.errors import Damaged
from trainer.configs import as_options
from trainer.rows.build_set import has_adapter_files
from trainer.rows.runs import AnyRun, Stage, find_run, latest_run
from trainer.rows.stages import (
    ATTRIBUTE,
    FINETUNE,
    PARTITION,
    PUBLISH,
    AttributeRun,
    AttributeSettings,
    FinetuneRun,
    FinetuneSettings,
    PartitionSettings,
)

_Reasons = Callable[[Database, Any, dict[str, str]], list[str]]


@dataclass(frozen=True, kw_only=True)
class StageState:
    """The newest finished run of a stage ("" for none), and why it is stale; with no reason it is fresh.

    `options` are those with which the stage would do the same on what there is now.
    """

    stage: str
    run_id: str
    reasons: tuple[str, ...]
    options: tuple[str, ...] = ()


def stage_states(db: Database) -> list[StageState]:
    """All stages that a served set needs, in their order."""
    states: list[StageState] = []
    newest: dict[str, str] = {}
    for stage, reasons_of in _CHAIN:
        state = _state(db, stage, reasons_of, newest)
        if state.run_id and not state.reasons and states and states[-1].reasons:
            state = replace(state, reasons=(f"{states[-1].stage} is stale",))
        newest[stage.name] = state.run_id
        states.append(state)
    return states


def next_step(states: list[StageState], *, has_samples: bool) -> str | None:
    """The command that would do most now, as the stage was asked before; None when all is done."""
    if not has_samples:
        return "trainer import FILE"
    return next((_command(state.stage, state.options) for state in states if state.reasons), None)


def commands_again(db: Database, stages: Sequence[str], run_ids: Collection[str]) -> list[str]:
    """The command lines that do stages again, each as the one of these runs did it that was asked for last."""
    asked = "SELECT stage, id FROM runs WHERE id IN (SELECT value FROM json_each(?)) AND NOT is_of_arm"
    newest = dict(db.execute(f"{asked} ORDER BY called, rowid", [json.dumps(list(run_ids))]).fetchall())
    options: dict[str, list[str]] = {}
    for stage in (stage for stage, _ in _CHAIN if stage.name in newest):
        with suppress(Damaged):  # another version wrote it
            options[stage.name] = _options_of(find_run(db, stage, newest[stage.name]))
    return [_command(stage, options.get(stage, ())) for stage in stages]


def folder_bytes(folder: Path) -> int:
    """What the files of a folder take."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def run_bytes(run_id: str) -> int:
    """What a run keeps outside the store."""
    return folder_bytes(paths.cache_dir() / "runs" / run_id)


def _state(db: Database, stage: "Stage[Any, Any, Any]", reasons_of: _Reasons, newest: dict[str, str]) -> StageState:
    try:
        run = latest_run(db, stage)
    except Damaged as error:
        return StageState(stage=stage.name, run_id="", reasons=(str(error),))
    if run is None:
        return StageState(stage=stage.name, run_id="", reasons=("it has not run yet",))
    reasons, options = tuple(reasons_of(db, run, newest)), tuple(_options_of(run))
    return StageState(stage=stage.name, run_id=run.id, reasons=reasons, options=options)


def _command(stage: str, options: Sequence[str]) -> str:
    return shlex.join(["trainer", stage, *options])


def _options_of(run: AnyRun) -> list[str]:
    """What the run was asked for that is not the default."""
    settings = run.settings
    match settings:
        case AttributeSettings():
            language = run.figures.language if run.is_finished else "python"
            typed = [*as_options(settings.attribute), *as_options(settings.items)]
            typed += [] if language == "python" else ["--language", language]
        case PartitionSettings():
            typed = [*as_options(settings.partition), *_limit(settings.limit)]
        case FinetuneSettings():
            typed = [*as_options(settings.finetune), *as_options(settings.items), *_limit(settings.limit)]
            typed += [] if settings.base == DEFAULT_BASE else ["--base", settings.base]
        case _:
            typed = [*as_options(settings), *_limit(settings.limit)]
    return [*typed, *(["--seed", str(run.seed)] if run.seed else [])]


def _limit(limit: int | None) -> list[str]:
    return [] if limit is None else ["--limit", str(limit)]


def _attribute_reasons(db: Database, run: AttributeRun, newest: dict[str, str]) -> list[str]:
    query = (
        "SELECT datasets.name, count(*) AS n FROM datasets JOIN dataset_samples ON dataset_id = datasets.id "
        "JOIN samples ON samples.id = sample_id WHERE lang = :language "
        "AND imported > (SELECT max(started, called) FROM runs WHERE id = :run) "
        "AND sample_id NOT IN (SELECT sample_id FROM influence WHERE run_id = :run) "
        "GROUP BY datasets.id ORDER BY imported"
    )
    rows = db.query(query, {"language": run.figures.language, "run": run.id})
    return [f"{row['n']} samples were imported since ({row['name']})" for row in rows]


def _finetune_reasons(db: Database, run: FinetuneRun, newest: dict[str, str]) -> list[str]:
    lost = [] if has_adapter_files(run) else ["its adapters are no longer in the cache"]
    return [*_parent_reasons("partition", run.parents.partition_run, newest), *lost]


def _parent_reasons(stage: str, parent_id: str, newest: dict[str, str]) -> list[str]:
    return [] if newest.get(stage) == parent_id else [f"{stage} has another newest run since"]


_CHAIN: tuple[tuple["Stage[Any, Any, Any]", _Reasons], ...] = (
    (ATTRIBUTE, _attribute_reasons),
    (PARTITION, lambda _, run, newest: _parent_reasons("attribute", run.parents.attribute_run, newest)),
    (FINETUNE, _finetune_reasons),
    (PUBLISH, lambda _, run, newest: _parent_reasons("finetune", run.parents.finetune_run, newest)),
)
