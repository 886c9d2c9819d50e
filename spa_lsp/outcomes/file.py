"""What users did with alternatives and how long answers took, in a SQLite file of its own; read by `metrics`.

Names and numbers only, unless the user lets text be stored. The file has a cap: the oldest rows go.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from spa_lsp import paths
from spa_lsp.outcomes.records import Answered, Outcome, check_names
from spa_lsp.storage.private_files import locked, make_private_file
from spa_lsp.storage.sqlite_file import connect, explained, usable

NAME = "outcomes.db"
MAX_BYTES = 50_000_000
MAX_ROWS = 200_000  # of each table
MAX_TEXT_CHARS = 20_000

_TABLES = """
CREATE TABLE IF NOT EXISTS outcomes (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, set_id TEXT NOT NULL, "index" INTEGER NOT NULL, adapter TEXT NOT NULL,
    language TEXT NOT NULL, created TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY, set_id TEXT NOT NULL, language TEXT NOT NULL, latency_ms REAL NOT NULL,
    n_items INTEGER NOT NULL, is_cached INTEGER NOT NULL, created TEXT NOT NULL
) STRICT;
"""
_LATER_COLUMNS = {
    "outcomes": {"n_chars": "INTEGER", "prefix": "TEXT", "text": "TEXT", "set_sha256": "TEXT"},
    "answers": {"set_sha256": "TEXT"},
}


def write(records: Sequence[Outcome | Answered], *, path: Path | None = None) -> None:
    """Note what happened, in one transaction; the oldest rows go when the file has become too large.

    Raises:
        ValueError: a name is not a short plain one (what keeps code out of the file); nothing is written.
        Busy: another process did not finish its write in time; these records are lost and nothing else.
    """
    path = path or paths.data_dir() / NAME
    now = datetime.now(UTC).isoformat()
    for record in records:
        check_names(record)
    with usable(path), _open(path) as db, db.conn:
        for record in records:
            table = "outcomes" if isinstance(record, Outcome) else "answers"
            row = {name: _cut(value) for name, value in asdict(record).items() if value is not None}
            db.table(table).insert({**row, "created": now})
        _remove_oldest(db)


def read_outcomes(path: Path | None = None) -> list[dict[str, Any]]:
    """All noted outcomes, oldest first; empty when there are none."""
    return _read("outcomes", path)


def read_answers(path: Path | None = None) -> list[dict[str, Any]]:
    """All noted answers, oldest first; empty when there are none."""
    return _read("answers", path)


def accepted_counts(path: Path | None = None) -> dict[str, dict[str, int]]:
    """How often alternatives of each adapter were accepted, by language; some milliseconds, reads a file."""
    query = "SELECT language, adapter, count(*) AS n FROM outcomes WHERE kind = 'accepted' GROUP BY 1, 2"
    counts: dict[str, dict[str, int]] = {}
    with _opened(path) as db:
        for row in db.query(query) if db is not None and "outcomes" in db.table_names() else ():
            counts.setdefault(row["language"], {})[row["adapter"]] = row["n"]
    return counts


def reset(path: Path | None = None) -> None:
    """Forget everything."""
    path = path or paths.data_dir() / NAME
    if path.exists():
        with usable(path), locked(path):
            path.unlink(missing_ok=True)


def _cut(value: Any) -> Any:
    """Of a text the end: what is next to the cursor."""
    return value[-MAX_TEXT_CHARS:].encode("utf-8", "replace").decode() if isinstance(value, str) else value


@contextmanager
def _open(path: Path) -> Iterator[Database]:
    with locked(path), explained(path):
        make_private_file(path)
        with closing(Database(connect(path, mode="rw"), execute_plugins=False)) as db:
            db.execute("PRAGMA auto_vacuum = FULL")
            db.executescript(_TABLES)
            for table, columns in _LATER_COLUMNS.items():
                for name in columns.keys() - db.table(table).columns_dict.keys():
                    db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")
            yield db


def _remove_oldest(db: Database) -> None:
    for table in ("outcomes", "answers"):
        db.execute(f"DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?", [MAX_ROWS])
    n_bytes = db.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[0]
    if n_bytes > MAX_BYTES:
        for table in ("outcomes", "answers"):
            db.execute(f"DELETE FROM {table} WHERE id < (SELECT min(id) + (max(id) - min(id) + 9) / 10 FROM {table})")


@contextmanager
def _opened(path: Path | None) -> Iterator[Database | None]:
    """The file for reading; None when there is none."""
    path = path or paths.data_dir() / NAME
    if not path.is_file() or path.stat().st_size == 0:
        yield None
        return
    with explained(path), closing(Database(connect(path, mode="ro"), execute_plugins=False)) as db:
        yield db


def _read(table: str, path: Path | None) -> list[dict[str, Any]]:
    with _opened(path) as db:
        if db is None or table not in db.table_names():
            return []
        return list(db.table(table).rows_where(order_by="id"))
