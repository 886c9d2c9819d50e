"""What a synthesize run writes: what became of each seed, its task, and a sample for each of the task's solutions.

A seed's rows are written together or not at all; a seed that has its row is done.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlite_utils import Database

from spa_lsp.storage.store import transaction
from trainer.data.fences import fenced
from trainer.data.samples import content_key
from trainer.rows.records import content_id
from trainer.rows.stages import SynthesizeRun
from trainer.rows.tables import SYNTHESIZED
from trainer.synthesize.cases import pack_cases
from trainer.synthesize.contamination import Known, contamination
from trainer.synthesize.forget import remove_made
from trainer.synthesize.recipes import Made, Task
from trainer.synthesize.seeds import Seed
from trainer.synthesize.solutions import MAX_KEPT

KEPT = "kept"
LANGUAGE = "python"


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a block took, shared among its seeds."""

    n_tokens: int
    seconds: float
    ask_s: float


def begin_dataset(db: Database, run: SynthesizeRun) -> None:
    """The data set that the run's samples belong to; its id is the run's, its name tells no folder."""
    now = datetime.now(UTC).isoformat(timespec="microseconds")  # of the last call: what it adds is new to all stages
    with transaction(db):  # by hand: the library's upsert tries itself out first, and on a full disk then loses the row
        db.execute(_BEGIN_DATASET, [run.id, SYNTHESIZED, now])


_BEGIN_DATASET = (
    "INSERT INTO datasets (id, name, n_bytes, imported) VALUES (?, ?, 0, ?) "
    "ON CONFLICT (id) DO UPDATE SET imported = excluded.imported"
)


def done_seeds(db: Database, run: SynthesizeRun) -> set[str]:
    """Ids of the seeds that the run has done."""
    return {row["id"] for row in db.query("SELECT id FROM seed_snippets WHERE run_id = ?", [run.id])}


def drop_contaminated(db: Database, run: SynthesizeRun, known: Known) -> None:
    """Take back what the run's data set has and `known` would not let in, from all runs that have it.

    An earlier call knew fewer benchmarks, or another run, whose solutions the data set has, too.
    """
    bad: dict[str, str] = {}
    for row in db.query(_TEXTS, [run.id]):
        if found := contamination([row["problem"], *json.loads(row["solutions"])], row["entry_point"], known):
            bad[row["task_id"]] = f"contaminated: {found}"
    if bad:
        with transaction(db):
            seeds = list(db.query(_WITH_TASKS, [json.dumps(list(bad))]))
            remove_made(db, [(seed["run_id"], seed["seed_id"]) for seed in seeds])
            for seed in seeds:
                query = "UPDATE seed_snippets SET outcome = ? WHERE run_id = ? AND id = ?"
                db.execute(query, [bad[seed["task_id"]], seed["run_id"], seed["seed_id"]])


# by the run's data set: a task may be of another run, which this one added solutions to
_OWN = (
    "FROM task_solutions JOIN samples ON samples.id = sample_id JOIN dataset_samples USING (sample_id) "
    "JOIN tasks ON tasks.id = task_id WHERE dataset_id = ?"
)
_TEXTS = (
    "SELECT task_id, entry_point, tasks.problem AS problem, json_group_array(solution) AS solutions "
    f"{_OWN} GROUP BY task_id"
)
_WITH_TASKS = (
    "SELECT DISTINCT runs.id AS run_id, seed_id, task_id FROM task_solutions JOIN dataset_samples USING (sample_id) "
    "JOIN runs ON runs.id = dataset_id JOIN tasks ON tasks.id = task_id "
    "WHERE stage = 'synthesize' AND task_id IN (SELECT value FROM json_each(?))"
)


def known_texts(db: Database) -> list[str]:
    """The texts that a new task must not repeat: one for each problem in the store."""
    query = "SELECT problem, min(n), solution FROM samples WHERE lang = ? GROUP BY problem_key ORDER BY min(n)"
    return [f"{row['problem']}\n{row['solution']}" for row in db.query(query, [LANGUAGE])]


def kept_tasks(db: Database) -> frozenset[tuple[str, str]]:
    """Seed and id of all tasks: a run that has not done the seed, or has to do it again, may add solutions to it."""
    return frozenset((row["seed_id"], row["id"]) for row in db.query("SELECT seed_id, id FROM tasks"))


def write_block(db: Database, run: SynthesizeRun, block: Sequence[Made], masked: dict[str, int], spent: Spent) -> None:
    """The rows of a block of seeds, in one transaction."""
    with transaction(db):
        for made in block:
            _insert_seed(db, run, made, masked.get(made.seed.id, 0), spent, share=len(block))
            if made.task is not None:
                _insert_task(db, run, made.seed, made.task)


def counts_of(db: Database, run: SynthesizeRun) -> dict[str, Any]:
    """Those figures of a run that are counts and sums of its rows, in former calls too."""
    query = (
        "SELECT outcome, count(*) AS n, sum(n_answers) AS answers, sum(n_unreadable) AS unreadable, "
        "sum(n_wrong) AS wrong, sum(n_masked) AS masked, sum(n_tokens) AS tokens, sum(seconds) AS seconds, "
        "sum(ask_s) AS ask_s FROM seed_snippets WHERE run_id = ? GROUP BY outcome ORDER BY n DESC, outcome"
    )
    rows = list(db.query(query, [run.id]))
    total: Counter[str] = Counter()
    for row in rows:
        total.update({name: value for name, value in row.items() if name not in ("outcome", "n")})
    sizes = [row["n"] for row in db.query(_SIZES, [run.id])]
    minutes = total["seconds"] / 60
    return {
        "n_seeds": sum(row["n"] for row in rows),
        "n_tasks": len(sizes),
        "n_samples": sum(sizes),
        "n_by_model": db.execute(_BY_MODEL, [run.id]).fetchone()[0],
        "n_tasks_of_two": sum(n > 1 for n in sizes),
        "recipes": {row["recipe"]: row["n"] for row in db.query(_BY_RECIPE, [run.id])},
        "outcomes": {row["outcome"]: row["n"] for row in rows},
        "n_answers": total["answers"],
        "n_unreadable": total["unreadable"],
        "n_wrong": total["wrong"],
        "n_masked": total["masked"],
        "n_tokens": total["tokens"],
        "tokens_per_s": total["tokens"] / total["ask_s"] if total["ask_s"] else None,
        "work_s": total["seconds"],
        "tasks_per_minute": len(sizes) / minutes if minutes else None,
        "samples_per_minute": sum(sizes) / minutes if minutes else None,
    }


_SIZES = f"SELECT count(*) AS n {_OWN} GROUP BY task_id"
_BY_MODEL = f"SELECT count(*) {_OWN} AND NOT is_of_seed"
_BY_RECIPE = f"SELECT recipe, count(DISTINCT task_id) AS n {_OWN} GROUP BY recipe ORDER BY recipe"


def _insert_seed(db: Database, run: SynthesizeRun, made: Made, n_masked: int, spent: Spent, *, share: int) -> None:
    seed = made.seed
    row = {
        "run_id": run.id,
        "id": seed.id,
        "kind": seed.kind,
        "repository": seed.repository,
        "path": seed.path,
        "commit_id": seed.commit,
        "licence": seed.licence,
        "first_line": seed.first_line,
        "last_line": seed.last_line,
        "outcome": KEPT if made.task else made.reason,
        "n_answers": made.n_answers,
        "n_unreadable": made.n_unreadable,
        "n_wrong": made.n_wrong,
        "n_masked": n_masked,
        "n_tokens": round(spent.n_tokens / share),
        "seconds": spent.seconds / share,
        "ask_s": spent.ask_s / share,
    }
    db.table("seed_snippets").insert(row, ignore=True)


def _insert_task(db: Database, run: SynthesizeRun, seed: Seed, task: Task) -> None:
    """The task with its solutions; one that is there gets those that it does not have, as far as it may have more."""
    row = {
        "id": task.id,
        "run_id": run.id,
        "seed_id": seed.id,
        "recipe": task.recipe,
        "entry_point": task.entry_point,
        "problem": task.problem,
        "cases": pack_cases(task.cases),
    }
    db.table("tasks").insert(row, ignore=True)
    there = {row["normal_form"]: row["sample_id"] for row in db.query(_THERE, [task.id])}
    for solution in task.solutions:
        form = content_id(solution.key)
        if form not in there and len(there) < MAX_KEPT:
            there[form] = _insert_sample(db, task, solution.code, origin=_origin(run, seed, task))
            own = {"task_id": task.id, "sample_id": there[form], "normal_form": form}
            marks = {"approach": solution.approach, "is_of_seed": solution.is_of_seed}
            db.table("task_solutions").insert({**own, **marks}, ignore=True)
    rows = ({"dataset_id": run.id, "sample_id": sample_id} for sample_id in there.values())
    db.table("dataset_samples").insert_all(rows, ignore=True)


_THERE = "SELECT normal_form, sample_id FROM task_solutions WHERE task_id = ?"


def _origin(run: SynthesizeRun, seed: Seed, task: Task) -> dict[str, Any]:
    return {
        "repository": seed.repository,
        "path": seed.path,
        "lines": [seed.first_line, seed.last_line],
        "commit": seed.commit,
        "licence": seed.licence,
        "recipe": task.recipe,
        "seed_snippet": seed.id,
        "run": run.id,
    }


def _insert_sample(db: Database, task: Task, code: str, *, origin: dict[str, Any]) -> str:
    solution = fenced(code.rstrip("\n"), LANGUAGE)
    sample_id = content_id([LANGUAGE, task.problem, solution])
    row = {
        "id": sample_id,
        "lang": LANGUAGE,
        "problem": task.problem,
        "solution": solution,
        "extra": json.dumps({"origin": origin}, allow_nan=False),
        "problem_key": content_key(task.problem),
        "solution_key": content_key(solution),
    }
    db.table("samples").insert(row, ignore=True)
    return sample_id
