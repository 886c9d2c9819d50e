"""Forgetting a repository or a file: its samples go, with all that was made of them, and no freed page keeps them.

Adapters cannot be cut out of a set: sets that learned of it are marked, and have to be trained anew.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from spa_lsp import paths
from spa_lsp.errors import Busy
from spa_lsp.storage.sqlite_file import explained, file_of
from spa_lsp.storage.store import json_sha256, load_manifests, transaction
from trainer.rows.build_set import runs_dir
from trainer.rows.runs import list_records
from trainer.rows.stages import ATTRIBUTE, EVALUATE, FINETUNE, PARTITION, PUBLISH, SIZES
from trainer.synthesize.origins import places, samples_of

_OF_SAMPLE = ("gradients", "task_solutions", "dataset_samples")
_OF_RUN = ("influence", "part_members")  # computed of all samples together: of those that stay they are computed anew
_ORDER = (ATTRIBUTE.name, PARTITION.name, FINETUNE.name)

Record = dict[str, Any]  # of a run, as `runs.list_records` gives it


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What was removed, and what has to be trained anew because it had seen it: runs by stage, sets by name."""

    n_seeds: int
    n_tasks: int
    n_samples: int
    runs: tuple[str, ...]
    sets: tuple[str, ...]
    again: tuple[str, ...]  # the stages to call again, in their order
    repositories: tuple[str, ...] = ()  # those that something was made of and that are still there


def forget(db: Database, *, repository: str = "", file: Path | None = None) -> Forgotten:
    """Remove what came from a repository (folder, or name of a package), or from one file of one.

    Called again it finds nothing and only makes sure that nothing is left.

    Raises:
        Busy: another process reads the store, so that its log still holds what is gone; call it again.
    """
    seeds = _seeds(db, repository, file)
    if seeds:  # before anything is removed: a call that is broken off finds no seeds the next time
        for backup in file_of(db).parent.glob("backup-*.db"):
            backup.unlink()
    db.execute("PRAGMA secure_delete = ON").fetchall()
    with transaction(db):
        found = _remove(db, seeds)
    for (run_id,) in db.execute("SELECT id FROM runs WHERE forgotten != ''").fetchall():  # those of broken calls, too
        if (folder := runs_dir() / run_id).exists():
            shutil.rmtree(folder)
    _scrub(db)
    return found


def forgotten_sets(db: Database) -> list[dict[str, Any]]:
    """The stored sets that have seen what was forgotten since, without those that another has taken the name of."""
    return list(db.query(_FORGOTTEN_SETS))


_FORGOTTEN_SETS = (
    "SELECT set_id, name, base_id, forgotten FROM forgotten_sets WHERE set_id ="
    " (SELECT id FROM adapter_sets WHERE name = forgotten_sets.name AND base_id = forgotten_sets.base_id"
    " ORDER BY created DESC, rowid DESC LIMIT 1) ORDER BY forgotten, name"
)


def _seeds(db: Database, repository: str, file: Path | None) -> list[tuple[str, str]]:
    """Run and id of all seeds that are meant."""
    where = os.path.realpath(file) if file else os.path.realpath(repository)
    rows = places(db)
    if file:
        chosen = [row for row in rows if os.path.join(row["repository"], row["path"]) in (where, str(file))]
    else:
        chosen = [row for row in rows if _is_meant(row["repository"], repository, where)]
    return [(row["run_id"], row["seed_id"]) for row in chosen]


def _is_meant(stored: str, repository: str, where: str) -> bool:
    """Whether a stored repository, a folder or a package's name and version, is the one that was named."""
    return stored in (repository, where) or (not os.path.isabs(stored) and stored.split(" ")[0] == repository)


def _remove(db: Database, seeds: Sequence[tuple[str, str]]) -> Forgotten:
    found = remove_made(db, seeds)
    _execute(db, f"DELETE FROM seed_snippets WHERE (run_id, id) IN ({_PAIRS})", seeds)
    _remove_empty(db, {run_id for run_id, _ in seeds})
    if seeds:  # they name folders, and go on only with the very samples that there were
        db.execute("DELETE FROM runs WHERE stage = ?", [SIZES.name])
    return replace(found, repositories=tuple(sorted({row["repository"] for row in places(db)})))


def remove_made(db: Database, seeds: Sequence[tuple[str, str]]) -> Forgotten:
    """Remove all that was made of seeds, each named by its run and id, and mark what has learned of it.

    For within a transaction; the seeds' own rows stay. Other runs, which had found some of it there, have work to do.
    """
    made = samples_of(db, seeds)
    own = _column(db, f"SELECT id FROM samples WHERE id IN (SELECT value FROM json_each(?)) AND {_ONLY_HERE}", made)
    runs = _runs_that_saw(db, own)
    for table in _OF_RUN:
        _execute(
            db, f"DELETE FROM {table} WHERE run_id IN (SELECT value FROM json_each(?))", [run["id"] for run in runs]
        )
    having = [tuple(row) for row in db.execute(_HAVING, [json.dumps(own)])]
    _execute(db, f"UPDATE runs SET status = 'running' WHERE id IN (SELECT run_id FROM ({_PAIRS}))", having)
    others = [pair for pair in having if pair not in seeds]
    _execute(db, f"DELETE FROM seed_snippets WHERE (run_id, id) IN ({_PAIRS})", others)
    _execute(db, _LEAVE_DATASETS, seeds)
    for table in _OF_SAMPLE:
        _execute(db, f"DELETE FROM {table} WHERE sample_id IN (SELECT value FROM json_each(?))", own)
    n_tasks = _remove_tasks(db, seeds)
    _execute(db, "DELETE FROM samples WHERE id IN (SELECT value FROM json_each(?))", own)
    imported = "UPDATE samples SET extra = json_remove(extra, '$.origin') WHERE id IN (SELECT value FROM json_each(?))"
    _execute(db, imported, made)
    sets = _mark(db, runs)
    stages = {run["stage"] for run in runs}
    again = [stage for stage in _ORDER if stage in stages] + ([PUBLISH.name] if sets else [])
    return Forgotten(
        n_seeds=len(seeds),
        n_tasks=n_tasks,
        n_samples=len(own),
        runs=tuple(run["id"] for run in runs),
        sets=tuple(sets),
        again=tuple(again),
    )


_PAIRS = "SELECT json_extract(value, '$[0]') AS run_id, json_extract(value, '$[1]') AS seed_id FROM json_each(?)"

# an imported file may have the very same sample
_ONLY_HERE = (
    "NOT EXISTS (SELECT 1 FROM dataset_samples WHERE sample_id = samples.id"
    " AND dataset_id NOT IN (SELECT id FROM runs WHERE stage = 'synthesize'))"
)

# runs and seeds that have samples in a data set
_HAVING = (
    "SELECT DISTINCT dataset_id, seed_id FROM dataset_samples JOIN task_solutions USING (sample_id)"
    " JOIN tasks ON tasks.id = task_id WHERE sample_id IN (SELECT value FROM json_each(?))"
)
_LEAVE_DATASETS = (
    "DELETE FROM dataset_samples WHERE (dataset_id, sample_id) IN"
    f" (SELECT pairs.run_id, sample_id FROM ({_PAIRS}) AS pairs JOIN tasks USING (seed_id)"
    " JOIN task_solutions ON task_id = tasks.id)"
)


def _remove_tasks(db: Database, seeds: Sequence[tuple[str, str]]) -> int:
    """Remove the tasks that no run has solutions of, and give those of the seeds that others have to one of these."""
    unused = [row["id"] for row in db.query(f"SELECT id FROM tasks WHERE id NOT IN (SELECT task_id {_SOLVED})")]
    for table, column in (("task_solutions", "task_id"), ("tasks", "id")):
        _execute(db, f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))", unused)
    to_other = f"UPDATE tasks SET run_id = (SELECT min(dataset_id) {_SOLVED} AND task_id = tasks.id)"
    _execute(db, f"{to_other} WHERE (run_id, seed_id) IN ({_PAIRS})", seeds)
    return len(unused)


_SOLVED = (
    "FROM task_solutions JOIN dataset_samples USING (sample_id) JOIN runs ON runs.id = dataset_id"
    " WHERE stage = 'synthesize'"
)


def _runs_that_saw(db: Database, sample_ids: Sequence[str]) -> list[Record]:
    """Runs that have rows of these samples, or may have begun to learn of them, and all that go on from them."""
    saw = {row[0] for row in db.execute(_WARMED_UP)} if sample_ids else set()
    for table in ("gradients", *_OF_RUN):
        query = f"SELECT DISTINCT run_id FROM {table} WHERE sample_id IN (SELECT value FROM json_each(?))"
        saw |= set(_column(db, query, sample_ids))
    runs = list(list_records(db))
    while more := {run["id"] for run in runs if saw & _made_of(run)} - saw:  # an arm is older than what trained it
        saw |= more
    return [run for run in runs if run["id"] in saw]


# a broken attribution has its warm-up adapter before its first row of a sample
_WARMED_UP = f"SELECT id FROM runs WHERE stage = '{ATTRIBUTE.name}' AND status = 'running' AND forgotten = ''"


def _made_of(run: Record) -> set[str]:
    trained_by = run["figures"].get("finetune_run")  # an arm names it so
    return _parents(run) | ({trained_by} if trained_by else set())


def _parents(run: Record) -> set[str]:
    """Ids and digests of all that a run was made from; rows of older versions list them without names."""
    parents = run["parents"]
    values = parents.values() if isinstance(parents, dict) else parents
    return {one for value in values for one in (value if isinstance(value, list) else [value]) if one}


def _remove_empty(db: Database, run_ids: set[str]) -> None:
    """Synthesize runs of which nothing is left: their rows name the repository."""
    for run_id in run_ids:
        has_seeds = db.table("seed_snippets").count_where("run_id = ?", [run_id])
        if not has_seeds and not db.table("dataset_samples").count_where("dataset_id = ?", [run_id]):
            db.execute("DELETE FROM datasets WHERE id = ?", [run_id])
            db.execute("DELETE FROM runs WHERE id = ?", [run_id])
        else:
            db.execute("UPDATE runs SET status = 'running' WHERE id = ?", [run_id])


def _mark(db: Database, runs: Sequence[Record]) -> list[str]:
    """Mark the runs, and the stored sets that they made; the names of these sets."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    ids = [run["id"] for run in runs]
    db.execute("UPDATE runs SET forgotten = ? WHERE id IN (SELECT value FROM json_each(?))", [now, json.dumps(ids)])
    names = []
    for manifest in load_manifests(db):
        if manifest.get("run_id") in ids:
            row = {
                "set_id": json_sha256(manifest),
                "name": manifest["name"],
                "base_id": manifest["base_id"],
                "forgotten": now,
            }
            db.table("forgotten_sets").insert(row, replace=True)
            names.append(manifest["name"])
    _forget_answers(db, runs)
    return list(dict.fromkeys(names))


def _forget_answers(db: Database, runs: Sequence[Record]) -> None:
    """What the adapters answered in evaluations may be what they had learned by heart."""
    adapters = {digest for run in runs for digest in run["figures"].get("sha256", {}).values()}
    asked = [run["id"] for run in list_records(db) if run["stage"] == EVALUATE.name and adapters & _parents(run)]
    for run_id in asked:
        db.execute("DELETE FROM judgements WHERE run_id = ?", [run_id])
        db.execute("DELETE FROM completions WHERE run_id = ?", [run_id])
        db.execute("UPDATE runs SET status = 'running' WHERE id = ?", [run_id])
        for path in (paths.data_dir() / "evaluations").glob("*.json"):
            if run_id in path.read_text(encoding="utf-8", errors="replace"):
                path.unlink()


def _scrub(db: Database) -> None:
    """Leave no copy: not in freed pages, not in the log.

    Raises:
        Busy: somebody reads.
    """
    store = file_of(db)
    with explained(store):
        db.execute("VACUUM")
        is_busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        raise Busy(f"it is forgotten, but a process that reads {store} keeps its old pages; call trainer forget again")


def _column(db: Database, query: str, values: Sequence[Any]) -> list[str]:
    return [row[0] for row in db.execute(query, [json.dumps(list(values))])]


def _execute(db: Database, query: str, values: Sequence[Any]) -> None:
    db.execute(query, [json.dumps(list(values))])
