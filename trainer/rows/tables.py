"""The trainer's tables in the store, as migrations. Only the schema; rows are read and written by the stages.

datasets ──< dataset_samples >── samples ──< gradients, influence, part_members >── runs ──< completions ──< judgements
runs ──< seed_snippets ──< tasks ──< task_solutions >── samples
"""

import json
from typing import Any

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from trainer.rows.records import canonical, content_id

MIGRATIONS = Migrations("trainer")
SYNTHESIZED = "synthesized"  # the name of a data set of samples that the trainer made


@MIGRATIONS()
def m001_samples(db: Database) -> None:
    """Imported files and their samples; `n` keeps the order of import through every VACUUM."""
    db.execute(
        """CREATE TABLE datasets (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, n_bytes INTEGER NOT NULL, imported TEXT NOT NULL
        ) STRICT"""
    )
    db.execute(
        """CREATE TABLE samples (
            n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, lang TEXT NOT NULL, problem TEXT NOT NULL,
            solution TEXT NOT NULL, extra TEXT NOT NULL, problem_key TEXT NOT NULL, solution_key TEXT NOT NULL
        ) STRICT"""
    )
    db.execute("CREATE INDEX samples_problem_key ON samples (problem_key)")
    db.execute("CREATE INDEX samples_solution_key ON samples (solution_key)")
    db.execute(
        """CREATE TABLE dataset_samples (
            dataset_id TEXT NOT NULL REFERENCES datasets (id), sample_id TEXT NOT NULL REFERENCES samples (id),
            PRIMARY KEY (dataset_id, sample_id)
        ) STRICT"""
    )


@MIGRATIONS()
def m002_runs(db: Database) -> None:
    """One row per run of a stage, and what the stages say in rows: gradients, influence, parts."""
    db.execute(
        """CREATE TABLE runs (
            id TEXT PRIMARY KEY, stage TEXT NOT NULL, config TEXT NOT NULL, inputs TEXT NOT NULL, seed INTEGER NOT NULL,
            versions TEXT NOT NULL, git_commit TEXT, status TEXT NOT NULL CHECK (status IN ('running', 'finished')),
            figures TEXT NOT NULL, started TEXT NOT NULL, finished TEXT
        ) STRICT"""
    )
    for table, column in (("gradients", "data BLOB"), ("influence", "data BLOB"), ("part_members", "part INTEGER")):
        db.execute(
            f"""CREATE TABLE {table} (
                run_id TEXT NOT NULL REFERENCES runs (id), sample_id TEXT NOT NULL, {column} NOT NULL,
                PRIMARY KEY (run_id, sample_id)
            ) STRICT"""
        )


@MIGRATIONS()
def m003_called(db: Database) -> None:
    """When a run was last asked for: a stage goes on from the run that its user named last, not from the youngest."""
    db.execute("ALTER TABLE runs ADD COLUMN called TEXT NOT NULL DEFAULT ''")


@MIGRATIONS()
def m004_attempts(db: Database) -> None:
    """What an evaluation asked and got: a row per completion, and the figures over the problems of a run.

    `problem_id` is the digest of the problem; no text of a benchmark is kept. A class is the number that a completion's
    class has among those of its problem, NULL for none; `raw_` is before the server's post-processing.
    """
    levels = ("exact", "ast", "near", "approach")
    classes = ", ".join(f"{prefix}class_{level} INTEGER" for prefix in ("", "raw_") for level in levels)
    db.execute(
        f"""CREATE TABLE attempts (
            run_id TEXT NOT NULL REFERENCES runs (id), problem_id TEXT NOT NULL, task_id TEXT NOT NULL,
            place INTEGER NOT NULL, adapter TEXT NOT NULL, label TEXT NOT NULL,
            raw_text TEXT NOT NULL, shown_text TEXT NOT NULL,
            n_tokens INTEGER NOT NULL, mean_logprob REAL NOT NULL, finish TEXT NOT NULL, seconds REAL NOT NULL,
            verdict TEXT NOT NULL, verdict_s REAL NOT NULL, raw_verdict TEXT NOT NULL, sandbox TEXT NOT NULL,
            quantization TEXT NOT NULL, device TEXT NOT NULL, average_kl REAL, {classes},
            PRIMARY KEY (run_id, problem_id, place)
        ) STRICT"""
    )
    db.execute(
        """CREATE TABLE figures (
            run_id TEXT NOT NULL REFERENCES runs (id), problems_id TEXT NOT NULL, name TEXT NOT NULL,
            n_problems INTEGER NOT NULL, mean REAL NOT NULL, low REAL NOT NULL, high REAL NOT NULL, standard_error REAL,
            PRIMARY KEY (run_id, problems_id, name)
        ) STRICT"""
    )


@MIGRATIONS()
def m005_is_likeliest(db: Database) -> None:
    """Log-likelihood scoring of a question: whether the attempt's adapter finds the right option likeliest."""
    db.execute("ALTER TABLE attempts ADD COLUMN is_likeliest INTEGER")


@MIGRATIONS()
def m006_of_arm(db: Database) -> None:
    """Runs that only an arm of an evaluation asked for; no stage goes on from one by itself."""
    db.execute("ALTER TABLE runs ADD COLUMN is_of_arm INTEGER NOT NULL DEFAULT 0")


@MIGRATIONS()
def m007_completions(db: Database) -> None:
    """What came back of a model, never changed, apart from what a version of judge and rules says of it.

    Completions are taken over from the attempts; their verdicts are not, for they do not say which judge they are of.
    """
    db.execute(
        """CREATE TABLE completions (
            run_id TEXT NOT NULL REFERENCES runs (id), problem_id TEXT NOT NULL, task_id TEXT NOT NULL,
            place INTEGER NOT NULL, adapter TEXT NOT NULL, label TEXT NOT NULL, text TEXT NOT NULL,
            n_tokens INTEGER NOT NULL, mean_logprob REAL NOT NULL, finish TEXT NOT NULL, seconds REAL NOT NULL,
            quantization TEXT NOT NULL, device TEXT NOT NULL, average_kl REAL, is_likeliest INTEGER,
            PRIMARY KEY (run_id, problem_id, place)
        ) STRICT"""
    )
    db.execute(
        """INSERT INTO completions
        SELECT run_id, problem_id, task_id, place, adapter, label, raw_text, n_tokens, mean_logprob, finish, seconds,
            quantization, device, average_kl, is_likeliest
        FROM attempts"""
    )
    classes = ", ".join(f"class_{level} INTEGER" for level in ("exact", "ast", "near", "approach"))
    db.execute(
        f"""CREATE TABLE judgements (
            run_id TEXT NOT NULL, problem_id TEXT NOT NULL, place INTEGER NOT NULL,
            view TEXT NOT NULL CHECK (view IN ('shown', 'raw')), version TEXT NOT NULL, text TEXT NOT NULL,
            verdict TEXT NOT NULL, error TEXT NOT NULL, seconds REAL NOT NULL, sandbox TEXT NOT NULL, {classes},
            PRIMARY KEY (run_id, problem_id, place, view, version),
            FOREIGN KEY (run_id, problem_id, place) REFERENCES completions (run_id, problem_id, place)
        ) STRICT"""
    )
    db.execute("DROP TABLE attempts")
    db.execute("DROP TABLE figures")


@MIGRATIONS()
def m008_tasks(db: Database) -> None:
    """What a synthesize run made of each seed: a task, and the samples that are its distinct right solutions.

    No text of a seed is kept, only where it stands. `cases` are what a solution must do, `normal_form` is the digest
    of a solution's, `is_of_seed` says that nobody wrote it but the seed's author.
    """
    db.execute(
        """CREATE TABLE seed_snippets (
            run_id TEXT NOT NULL REFERENCES runs (id), id TEXT NOT NULL, kind TEXT NOT NULL,
            repository TEXT NOT NULL, path TEXT NOT NULL, commit_id TEXT NOT NULL, licence TEXT NOT NULL,
            first_line INTEGER NOT NULL, last_line INTEGER NOT NULL, outcome TEXT NOT NULL,
            n_answers INTEGER NOT NULL, n_unreadable INTEGER NOT NULL, n_wrong INTEGER NOT NULL,
            n_masked INTEGER NOT NULL, n_tokens INTEGER NOT NULL, seconds REAL NOT NULL, ask_s REAL NOT NULL,
            PRIMARY KEY (run_id, id)
        ) STRICT"""
    )
    db.execute("CREATE INDEX seed_snippets_by_file ON seed_snippets (repository, path)")
    db.execute(
        """CREATE TABLE tasks (
            id TEXT PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs (id), seed_id TEXT NOT NULL,
            recipe TEXT NOT NULL, entry_point TEXT NOT NULL, problem TEXT NOT NULL, cases TEXT NOT NULL
        ) STRICT"""
    )
    db.execute(
        """CREATE TABLE task_solutions (
            task_id TEXT NOT NULL REFERENCES tasks (id), sample_id TEXT NOT NULL REFERENCES samples (id),
            approach TEXT NOT NULL, normal_form TEXT NOT NULL, is_of_seed INTEGER NOT NULL,
            PRIMARY KEY (task_id, sample_id)
        ) STRICT"""
    )
    db.execute("CREATE INDEX task_solutions_by_sample ON task_solutions (sample_id)")


@MIGRATIONS()
def m009_forgotten(db: Database) -> None:
    """When something that a run, or a stored adapter set, had seen was forgotten; no stage goes on from such a run."""
    db.execute("ALTER TABLE runs ADD COLUMN forgotten TEXT NOT NULL DEFAULT ''")
    db.execute(
        """CREATE TABLE forgotten_sets (
            set_id TEXT PRIMARY KEY, name TEXT NOT NULL, base_id TEXT NOT NULL, forgotten TEXT NOT NULL
        ) STRICT"""
    )


@MIGRATIONS()
def m010_sources_are_no_key(db: Database) -> None:
    """Synthesize runs of the same settings become one, whatever their sources, and no run or data set names a folder.

    An import's place for a synthesized sample goes: it may have shared the problem alone, and would keep the sample
    from being forgotten.
    """
    for run in list(db.query("SELECT * FROM runs WHERE stage = 'synthesize' ORDER BY started, rowid")):
        config, inputs = json.loads(run["config"]), json.loads(run["inputs"])
        config.pop("sources", None)
        base = list(inputs.values()) if isinstance(inputs, dict) else inputs
        key = {"stage": "synthesize", "format": 1, "config": config, "inputs": base, "seed": run["seed"]}
        moved = {**run, "id": content_id(key), "config": canonical(config)}
        if moved["id"] != run["id"]:
            _move_run(db, run, moved)
    db.execute(
        "UPDATE datasets SET name = ? WHERE id IN (SELECT id FROM runs WHERE stage = 'synthesize')", [SYNTHESIZED]
    )
    db.execute(
        "DELETE FROM dataset_samples WHERE dataset_id NOT IN (SELECT id FROM runs WHERE stage = 'synthesize')"
        f" AND sample_id IN (SELECT id FROM samples WHERE {_RUN_OF_ORIGIN} IS NOT NULL)"
    )


_RUN_OF_ORIGIN = "CASE WHEN json_valid(extra) THEN json_extract(extra, '$.origin.run') END"  # an import may have NaN


def _move_run(db: Database, run: dict[str, Any], moved: dict[str, Any]) -> None:
    """Give all that a synthesize run made to the run under its new id; one that takes over a second has work to do."""
    old, new = run["id"], moved["id"]
    if db.table("runs").count_where("id = ?", [new]):
        db.execute("UPDATE runs SET status = 'running' WHERE id = ?", [new])
    else:
        db.table("runs").insert(moved)
    db.execute(
        "INSERT OR IGNORE INTO datasets SELECT ?, name, n_bytes, imported FROM datasets WHERE id = ?", [new, old]
    )
    for table, column in (("seed_snippets", "run_id"), ("tasks", "run_id"), ("dataset_samples", "dataset_id")):
        db.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {column} = ?", [new, old])
        db.execute(f"DELETE FROM {table} WHERE {column} = ?", [old])  # what the other run has, too
    set_run = "UPDATE samples SET extra = json_set(extra, '$.origin.run', ?)"
    db.execute(f"{set_run} WHERE {_RUN_OF_ORIGIN} = ?", [new, old])
    db.execute("DELETE FROM datasets WHERE id = ?", [old])
    db.execute("DELETE FROM runs WHERE id = ?", [old])


@MIGRATIONS()
def m011_members_of_several_parts(db: Database) -> None:
    """A sample may be in several parts: a task with fewer solutions than there are parts gives each of them one."""
    db.execute(
        """CREATE TABLE members (
            run_id TEXT NOT NULL REFERENCES runs (id), sample_id TEXT NOT NULL, part INTEGER NOT NULL,
            PRIMARY KEY (run_id, sample_id, part)
        ) STRICT"""
    )
    db.execute("INSERT INTO members SELECT run_id, sample_id, part FROM part_members")
    db.execute("DROP TABLE part_members")
    db.execute("ALTER TABLE members RENAME TO part_members")


@MIGRATIONS()
def m012_extra_is_json(db: Database) -> None:
    """What an import kept of a row is JSON for SQLite, too: Python wrote `NaN` and `Infinity`, which are null now."""
    for row in list(db.query("SELECT id, extra FROM samples WHERE NOT json_valid(extra)")):
        extra = json.loads(row["extra"], parse_constant=lambda _: None)
        db.execute("UPDATE samples SET extra = ? WHERE id = ?", [json.dumps(extra, allow_nan=False), row["id"]])
