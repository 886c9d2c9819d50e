"""SQLite as we use it: careful connections, and errors that say what to do. What is in the files is `store.py`."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlite_utils import Database

# sqlite-utils takes pysqlite3 when it is installed; connections and errors must come from the same module
from sqlite_utils.utils import sqlite3  # type: ignore[attr-defined]  # chosen there, not exported

from spa_lsp.errors import Unavailable
from spa_lsp.storage.sqlite_errors import damaged, explain, no_space

__all__ = ["BUSY_S", "SQLITE_VERSION", "closed_on_error", "connect", "explained", "file_of", "sqlite3", "usable"]

BUSY_S = 5.0
SQLITE_VERSION: str = sqlite3.sqlite_version  # of the driver in use, which need not be Python's own


def connect(path: Path, *, mode: Literal["ro", "rw"]) -> sqlite3.Connection:
    """A connection that trusts the file as little as SQLite can; `mode` never creates it."""
    connection: sqlite3.Connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=BUSY_S)
    for pragma in ("foreign_keys = ON", "trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


@contextmanager
def closed_on_error(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """The connection, open after the block unless the block fails."""
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


def file_of(db: Database) -> Path:
    """The file that is open; `:memory:` for none."""
    return Path(db.conn.execute("PRAGMA database_list").fetchone()[2] or ":memory:")


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """Turn errors of the operating system about files and folders into ours."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise no_space(path) from error
        raise Unavailable(f"cannot use {path} ({error.strerror}); check its folder, or set SPA_HOME") from error


@contextmanager
def explained(path: Path, *, is_reading: bool = False) -> Iterator[None]:
    """Turn errors of SQLite into ours; one that a query which only reads cannot have on a sound file means damage."""
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter: the damage is in the message
        found = explain(error, path)
        if found is None and (is_reading or isinstance(error, UnicodeDecodeError)):
            found = damaged(path, error)
        if found is None:
            raise
        raise found from error
