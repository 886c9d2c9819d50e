"""Runs: the rows that say which stage ran on what, and its figures. A run's id is the digest of all that goes in.

That makes the table the cache. Not the work itself: a stage asks `begin_run`, skips when `is_finished`, and closes with
`finish_run`.
"""

import hashlib
import json
import math
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from sqlite_utils import Database

# raise it when a stage's rows change their meaning: older runs are then not found again
FORMAT_VERSION = 1
_PACKAGES = ("spa-lsp", "torch", "transformers", "peft", "bitsandbytes", "bm25s", "numpy", "sqlite-utils")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a stage. Times are ISO 8601 in UTC; `finished` is empty while it runs or after it broke."""

    id: str
    stage: str
    is_finished: bool
    config: dict[str, Any]
    inputs: tuple[str, ...]
    seed: int
    figures: dict[str, Any]
    versions: dict[str, str]
    git_commit: str | None
    started: str
    finished: str


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """A finished run, and whether it had been finished before."""

    run: Run
    was_done: bool


def content_id(value: object) -> str:
    """sha256 of the canonical JSON of a value; dataclasses count as their fields, tuples as lists."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def begin_run(
    db: Database, stage: str, config: object, *, inputs: Sequence[str], seed: int, is_of_arm: bool = False
) -> Run:
    """The run of this stage on exactly these inputs: found again (finished or broken) or begun now.

    `config` is a frozen dataclass or a mapping of several; `inputs` are digests of what the stage reads. One that an
    arm of an evaluation asks for, `is_of_arm`, does not become the one that was asked for last.
    """
    run_id = _run_id(stage, config, inputs, seed)
    row = {
        "id": run_id,
        "stage": stage,
        "config": _canonical(config),
        "inputs": _canonical(list(inputs)),
        "seed": seed,
        "versions": _canonical(_versions()),
        "git_commit": _git_commit(),
        "status": "running",
        "figures": "{}",
        "started": _now(),
        "is_of_arm": is_of_arm,
    }
    with db.atomic():
        db.table("runs").insert(row, ignore=True)
        if not is_of_arm:
            db.table("runs").update(run_id, {"called": _now(), "is_of_arm": False})
    return find_run(db, run_id)


def finished_run(db: Database, stage: str, config: object, *, inputs: Sequence[str], seed: int) -> Run | None:
    """The run that `begin_run` would find finished; None, and no row, when it would have work to do."""
    query = "SELECT * FROM runs WHERE id = ? AND status = 'finished'"
    return next(map(_to_run, db.query(query, [_run_id(stage, config, inputs, seed)])), None)


def finish_run(db: Database, run: Run, figures: dict[str, Any]) -> Run:
    """Mark the run finished with its figures; call it in the transaction that wrote the run's last rows.

    A figure that is no finite number is kept as null: hours of work are not lost for one.
    """
    changes = {"status": "finished", "figures": _canonical(_finite(figures)), "finished": _now()}
    with db.atomic():
        db.table("runs").update(run.id, changes)
    return find_run(db, run.id)


def find_run(db: Database, run_id: str) -> Run:
    """The run with this id.

    Raises:
        sqlite_utils.db.NotFoundError: there is none.
    """
    return _to_run(db.table("runs").get(run_id))


def latest_run(db: Database, stage: str) -> Run | None:
    """The finished run of a stage that was asked for last, and not only by an arm of an evaluation."""
    query = "SELECT * FROM runs WHERE stage = ? AND status = 'finished' AND NOT is_of_arm"
    return next(
        map(_to_run, db.query(f"{query} ORDER BY called DESC, finished DESC, rowid DESC LIMIT 1", [stage])), None
    )


def list_runs(db: Database) -> list[Run]:
    """All runs, oldest first."""
    return [_to_run(row) for row in db.table("runs").rows_where(order_by="started, rowid")]


def run_record(run: Run) -> dict[str, Any]:
    """The run as plain data for people and machines; `seconds` is None while it is not finished."""
    seconds = None
    if run.finished:
        seconds = (datetime.fromisoformat(run.finished) - datetime.fromisoformat(run.started)).total_seconds()
    return {**asdict(run), "seconds": seconds}


def _run_id(stage: str, config: object, inputs: Sequence[str], seed: int) -> str:
    return content_id(
        {"stage": stage, "format": FORMAT_VERSION, "config": config, "inputs": list(inputs), "seed": seed}
    )


def _to_run(row: dict[str, Any]) -> Run:
    return Run(
        id=row["id"],
        stage=row["stage"],
        is_finished=row["status"] == "finished",
        config=json.loads(row["config"]),
        inputs=tuple(json.loads(row["inputs"])),
        seed=row["seed"],
        figures=json.loads(row["figures"]),
        versions=json.loads(row["versions"]),
        git_commit=row["git_commit"],
        started=row["started"],
        finished=row["finished"] or "",
    )


def _canonical(value: object) -> str:
    return json.dumps(value, default=_jsonable, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    plain = _jsonable(value) if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def _jsonable(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        wanted = [field.name for field in fields(value) if field.metadata.get("is_in_key", True)]
        return {name: getattr(value, name) for name in wanted}
    if isinstance(value, Path):
        return str(value)
    item = getattr(value, "item", None)  # a numpy scalar
    if item is not None:
        return item()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


@cache
def _versions() -> dict[str, str]:
    return {name: version for name in _PACKAGES if (version := _version(name)) is not None}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@cache
def _git_commit() -> str | None:
    """The commit of the source tree this runs from; None when installed from a wheel."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
