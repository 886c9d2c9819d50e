"""The trainer's tables in the store, as migrations. Only the schema; rows are read and written by the stages.

datasets ──< dataset_samples >── samples ──< gradients, influence, part_members >── runs
"""

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

MIGRATIONS = Migrations("trainer")


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
