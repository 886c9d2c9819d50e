"""Runs: the rows that say which stage ran on what, and its figures. A run's id is the digest of all that goes in.

That makes the table the cache. Not the work itself: a stage asks `begin_run`, skips when `is_finished`, and closes with
`finish_run`. What the runs of each stage say is written in `stages.py`.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqlite_utils import Database

from spa_lsp.errors import BadInput
from trainer.rows.records import canonical, content_id, plain, read_record

# raise it when a stage's rows change their meaning: older runs are then not found again
FORMAT_VERSION = 1
_PACKAGES = (
    "spa-lsp",
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "bitsandbytes",
    "bm25s",
    "numpy",
    "sqlite-utils",
)

Settings = TypeVar("Settings")
Parents = TypeVar("Parents")
Figures = TypeVar("Figures")


@dataclass(frozen=True)
class Stage(Generic[Settings, Parents, Figures]):
    """A stage's name, and the records that its runs consist of."""

    name: str
    settings: type[Settings]
    parents: type[Parents]
    figures: type[Figures]


@dataclass(frozen=True, kw_only=True)
class Run(Generic[Settings, Parents, Figures]):
    """One run of a stage; `record` is the same as plain data, as the store has it."""

    id: str
    stage: Stage[Settings, Parents, Figures]
    seed: int
    is_finished: bool
    settings: Settings
    parents: Parents
    found: Figures | None  # None while it runs or after it broke
    versions: dict[str, str]
    git_commit: str | None
    record: dict[str, Any]

    @property
    def figures(self) -> Figures:
        """What a finished run has found."""
        assert self.found is not None, f"{self.stage.name} run {self.id} is not finished"
        return self.found


AnyRun = Run[Any, Any, Any]


@dataclass(frozen=True, kw_only=True)
class StageResult(Generic[Settings, Parents, Figures]):
    """A finished run, and whether it had been finished before."""

    run: Run[Settings, Parents, Figures]
    was_done: bool


def begin_run(
    db: Database,
    stage: Stage[Settings, Parents, Figures],
    settings: Settings,
    *,
    parents: Parents,
    seed: int,
    is_of_arm: bool = False,
) -> Run[Settings, Parents, Figures]:
    """The run of this stage on exactly these parents: found again (finished or broken) or begun now.

    One that an arm of an evaluation asks for, `is_of_arm`, does not become the one that was asked for last.
    """
    run_id = _run_id(stage, settings, parents, seed)
    row = {
        "id": run_id,
        "stage": stage.name,
        "config": canonical(settings),
        "inputs": canonical(parents),
        "seed": seed,
        "versions": canonical(_versions()),
        "git_commit": _git_commit(),
        "status": "running",
        "figures": "{}",
        "started": _now(),
        "is_of_arm": is_of_arm,
    }
    with db.atomic():
        db.table("runs").insert(row, ignore=True)
        # what it had made of samples that were forgotten since is gone, so it is begun anew
        db.execute("UPDATE runs SET status = 'running', forgotten = '' WHERE id = ? AND forgotten != ''", [run_id])
        if not is_of_arm:
            db.table("runs").update(run_id, {"called": _now(), "is_of_arm": False})
    return find_run(db, stage, run_id)


@contextmanager
def unless_refused(db: Database, run: AnyRun) -> Iterator[None]:
    """A run whose settings do not suit its data leaves no row: no later call of it could go on."""
    try:
        yield
    except BadInput:
        with db.atomic():
            db.table("runs").delete(run.id)
        raise


def finished_run(
    db: Database, stage: Stage[Settings, Parents, Figures], settings: Settings, *, parents: Parents, seed: int
) -> Run[Settings, Parents, Figures] | None:
    """The run that `begin_run` would find finished; None, and no row, when it would have work to do."""
    query = "SELECT * FROM runs WHERE id = ? AND status = 'finished' AND forgotten = ''"
    rows = db.query(query, [_run_id(stage, settings, parents, seed)])
    return next((_to_run(stage, row) for row in rows), None)


def finish_run(db: Database, run: Run[Settings, Parents, Figures], figures: Figures) -> Run[Settings, Parents, Figures]:
    """Mark the run finished with its figures; call it in the transaction that wrote the run's last rows.

    A figure that is no finite number is kept as null: hours of work are not lost for one.
    """
    changes = {"status": "finished", "figures": canonical(plain(figures)), "finished": _now()}
    with db.atomic():
        db.table("runs").update(run.id, changes)
    return find_run(db, run.stage, run.id)


def find_run(db: Database, stage: Stage[Settings, Parents, Figures], run_id: str) -> Run[Settings, Parents, Figures]:
    """The run with this id.

    Raises:
        sqlite_utils.db.NotFoundError: there is none.
        Damaged: another version wrote it, and it cannot be read.
    """
    return _to_run(stage, db.table("runs").get(run_id))


def latest_run(db: Database, stage: Stage[Settings, Parents, Figures]) -> Run[Settings, Parents, Figures] | None:
    """The finished run of a stage that was asked for last, and not only by an arm of an evaluation."""
    query = "SELECT * FROM runs WHERE stage = ? AND status = 'finished' AND forgotten = '' AND NOT is_of_arm"
    rows = db.query(f"{query} ORDER BY called DESC, finished DESC, rowid DESC LIMIT 1", [stage.name])
    return next((_to_run(stage, row) for row in rows), None)


def list_records(db: Database) -> Iterator[dict[str, Any]]:
    """All runs as plain data, oldest first, whatever version wrote them."""
    return map(_record, db.table("runs").rows_where(order_by=_BY_AGE))


_BY_AGE = "started, rowid"


def _run_id(stage: Stage[Any, Any, Any], settings: object, parents: Any, seed: int) -> str:
    # the parents had no names once: the digest has only their values, so that older runs are found again
    inputs = [value for each in fields(parents) for value in _values(getattr(parents, each.name))]
    key = {"stage": stage.name, "format": FORMAT_VERSION, "config": settings, "inputs": inputs, "seed": seed}
    return content_id(key)


def _values(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _to_run(stage: Stage[Settings, Parents, Figures], row: dict[str, Any]) -> Run[Settings, Parents, Figures]:
    record = _record(row)
    is_finished, what = record["is_finished"], f"{stage.name} run {row['id'][:12]}"
    return Run(
        id=row["id"],
        stage=stage,
        seed=row["seed"],
        is_finished=is_finished,
        settings=read_record(stage.settings, record["config"], of=what),
        parents=read_record(stage.parents, _named(stage.parents, record["parents"]), of=what),
        found=read_record(stage.figures, record["figures"], of=what) if is_finished else None,
        versions=record["versions"],
        git_commit=row["git_commit"],
        record=record,
    )


def _named(kind: type, parents: dict[str, Any] | list[str]) -> dict[str, Any]:
    """Parents by name; older rows list them in the order of the fields."""
    if isinstance(parents, dict):
        return parents
    names = [each.name for each in fields(kind)]
    takes_all = len(names) == 1 and isinstance(fields(kind)[0].default, tuple)
    return {names[0]: parents} if takes_all else dict(zip(names, parents, strict=False))


def _record(row: dict[str, Any]) -> dict[str, Any]:
    """The row as plain data for people and machines; `seconds` is None while it is not finished."""
    started, finished = row["started"], row["finished"] or ""
    seconds = (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds() if finished else None
    return {
        "id": row["id"],
        "stage": row["stage"],
        "is_finished": row["status"] == "finished",
        "config": json.loads(row["config"]),
        "parents": json.loads(row["inputs"]),
        "seed": row["seed"],
        "figures": json.loads(row["figures"]),
        "versions": json.loads(row["versions"]),
        "git_commit": row["git_commit"],
        "started": started,
        "finished": finished,
        "seconds": seconds,
    }


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
