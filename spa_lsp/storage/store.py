"""The SQLite store: who may write, its schema, publishing adapter sets and reading them back.

One trainer writes (lock file, WAL, `synchronous=FULL`); everyone else reads with `mode=ro`, copies out and closes.
What a set means is the room `adapters`'s business, what users did with alternatives is `outcomes.file`'s.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from spa_lsp import paths
from spa_lsp.errors import Busy, Damaged, NotFound, TooNew
from spa_lsp.storage.private_files import make_private_file, make_private_folder
from spa_lsp.storage.sqlite_file import closed_on_error, connect, explained, file_of, sqlite3, usable

APPLICATION_ID = 0x5350414C  # "SPAL"
SCHEMA_VERSION = 1  # the number of the newest migration below, written to user_version
CHUNK_BYTES = 1 << 20  # bounded memory with every driver; pysqlite3 has no blobopen
KEPT_SETS = 3  # of each name that was published for a base, so that going back is instant
PAGE_BYTES = 16384  # best for rows of this size (research/reliability.md §3.1)

migrations = Migrations("spa_lsp")


@migrations()
def m001_adapter_sets(db: Database) -> None:
    """Adapters as chunk rows, the sets they form, and the one set that is published."""
    db.executescript(
        """
        CREATE TABLE adapter_sets (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, base_id TEXT NOT NULL,
            manifest TEXT NOT NULL, created TEXT NOT NULL
        ) STRICT;
        CREATE INDEX adapter_sets_by_base ON adapter_sets (base_id, created);
        CREATE TABLE adapters (
            id TEXT PRIMARY KEY, set_id TEXT NOT NULL REFERENCES adapter_sets (id) ON DELETE CASCADE,
            name TEXT NOT NULL, label TEXT NOT NULL, sha256 TEXT NOT NULL, n_bytes INTEGER NOT NULL, info TEXT NOT NULL,
            UNIQUE (set_id, name)
        ) STRICT;
        CREATE TABLE adapter_chunks (
            adapter_id TEXT NOT NULL REFERENCES adapters (id) ON DELETE CASCADE,
            n INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (adapter_id, n)
        ) STRICT;
        CREATE TABLE published (
            id INTEGER PRIMARY KEY CHECK (id = 1), set_id TEXT NOT NULL REFERENCES adapter_sets (id)
        ) STRICT;
        """
    )
    db.execute("PRAGMA user_version = 1")


class _WritingDatabase(Database):
    """A database that gives the writer's lock back when it is closed."""

    def __init__(self, connection: sqlite3.Connection, lock: FileLock) -> None:
        super().__init__(connection, execute_plugins=False)
        self._lock = lock

    def close(self) -> None:
        super().close()
        self._lock.release()


def open_store(path: Path | None = None, *, write: bool = False) -> Database:
    """The store; to be closed by the caller, a reader soon: an open snapshot lets the write-ahead log grow.

    A writer makes the file when there is none, brings its schema up to date and holds `trainer.lock` until `close`.

    Raises:
        NotFound: no store, and `write` is False.
        Busy: another process writes.
        TooNew: made by a newer version; the file is left as it is.
        Damaged: not a store, or one that SQLite cannot read.
    """
    path = path or paths.store_path()
    if not write:
        return Database(_connect_reader(path), execute_plugins=False)
    with usable(path):
        make_private_folder(path.parent)
        lock = _hold_writer_lock(path.parent / "trainer.lock")
        try:
            return _open_writer(path, lock)
        except BaseException:
            lock.release()
            raise


def _connect_reader(path: Path) -> sqlite3.Connection:
    if not path.is_file() or path.stat().st_size == 0:
        raise NotFound(f"no store at {path}; `trainer import FILE` makes one")
    with explained(path), closed_on_error(connect(path, mode="ro")) as connection:
        if _read_version(connection, path) == 0:  # a writer is making it at this moment, or was stopped while doing so
            raise NotFound(f"the store at {path} is empty; `trainer import FILE` fills it")
        return connection


def _open_writer(path: Path, lock: FileLock) -> Database:
    is_new = not path.exists() or path.stat().st_size == 0
    with explained(path):
        if not is_new:  # read-only first: a newer or foreign file is refused before anything can change it
            with closing(connect(path, mode="ro")) as connection:
                is_new = _read_version(connection, path) == 0
        make_private_file(path)
        with closed_on_error(connect(path, mode="rw")) as connection:
            db = _WritingDatabase(connection, lock)
            if is_new:
                _prepare_new_file(db)
            for pragma in ("journal_mode = WAL", "synchronous = FULL"):
                db.execute(f"PRAGMA {pragma}").fetchall()
            apply_migrations(db, migrations)
            return db


def _prepare_new_file(db: Database) -> None:
    # these three must be set before the first table; journal_mode=WAL fixes the page size too
    for pragma in (f"page_size = {PAGE_BYTES}", "auto_vacuum = INCREMENTAL", f"application_id = {APPLICATION_ID}"):
        db.execute(f"PRAGMA {pragma}")


def _read_version(connection: sqlite3.Connection, path: Path) -> int:
    """Of the schema; 0: there is none yet, as where the first writer was killed, or is at work."""
    if not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
        return 0
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application_id != APPLICATION_ID:
        raise Damaged(f"{path} is not a store of spa-lsp (application id {application_id}); move it away")
    if version > SCHEMA_VERSION:
        raise TooNew(
            f"{path} has schema {version}, this version knows {SCHEMA_VERSION}; "
            "upgrade spa-lsp or set SPA_HOME to another folder"
        )
    return int(version)


def apply_migrations(db: Database, wanted: Migrations) -> None:
    """Bring one migration set up to date, each step in its transaction; a copy of the file is kept before an upgrade.

    Raises:
        TooNew: the file has steps of this set that this version does not know.
    """
    applied, known = _steps(db, wanted)
    if applied - known:
        raise TooNew(f"the store has the step {min(applied - known)!r} of a newer version; upgrade spa-lsp")
    if applied and known - applied:
        _back_up(db, label=f"{wanted.name}-{len(applied)}")
    with explained(file_of(db)):
        wanted.apply(db)


def is_up_to_date(db: Database, wanted: Migrations) -> bool:
    """Whether the file has all steps of this set, and none of a newer version."""
    applied, known = _steps(db, wanted)
    return applied == known


def _steps(db: Database, wanted: Migrations) -> tuple[set[str], set[str]]:
    """Those that the file has, and those that this version knows."""
    with explained(file_of(db), is_reading=True):
        applied = {step.name for step in wanted.applied(db)}
    return applied, {step.name for step in wanted._migrations}  # sqlite-utils has no public list of them


def _back_up(db: Database, *, label: str) -> None:
    path = file_of(db)
    target = path.with_name(f"backup-{label}.db")
    target.unlink(missing_ok=True)
    make_private_file(target)  # VACUUM INTO accepts an empty file and keeps its mode
    with explained(target):
        db.execute("VACUUM INTO ?", [str(target)])


@contextmanager
def transaction(db: Database) -> Iterator[None]:
    """All or nothing; takes the write lock at the start, because a deferred BEGIN does not wait for other writers."""
    with explained(file_of(db)):
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            db.execute("COMMIT")
        except BaseException:
            if db.conn.in_transaction:
                db.execute("ROLLBACK")
            raise


def publish_set(db: Database, manifest: dict[str, Any], adapters: Mapping[str, bytes]) -> str:
    """Store a set and make it the published one, in one transaction that ends only when every byte reads back right.

    `manifest` is what `adapter_set.to_manifest` makes, and its digest is the id that is returned; `adapters` are the
    safetensors bytes by name. Publishing a stored set again makes it the newest. Of each name the last
    `KEPT_SETS` for a base stay.

    Raises:
        Damaged: the bytes are not those whose sha256 the manifest names; the set published before stays.
        NoSpace: the disk is full; the set published before stays.
    """
    set_id = json_sha256(manifest)
    with transaction(db):
        db.execute("UPDATE adapter_sets SET created = ? WHERE id = ?", [_now(), set_id])
        if not db.table("adapter_sets").count_where("id = ?", [set_id]):
            _insert_set(db, set_id, manifest, adapters)
        for record in manifest["adapters"]:
            load_adapter(db, set_id, record["name"])
        db.execute("INSERT OR REPLACE INTO published (id, set_id) VALUES (1, ?)", [set_id])
        _remove_old_sets(db, manifest["base_id"])
    db.execute("PRAGMA incremental_vacuum").fetchall()
    return set_id


def _insert_set(db: Database, set_id: str, manifest: dict[str, Any], adapters: Mapping[str, bytes]) -> None:
    db.execute(
        "INSERT INTO adapter_sets (id, name, base_id, manifest, created) VALUES (?, ?, ?, ?, ?)",
        [set_id, manifest["name"], manifest["base_id"], canonical_json(manifest), _now()],
    )
    for record in manifest["adapters"]:
        _insert_adapter(db, set_id, record, adapters[record["name"]])


def _insert_adapter(db: Database, set_id: str, record: dict[str, Any], data: bytes) -> None:
    adapter_id = json_sha256([set_id, record["name"]])
    db.execute(
        "INSERT INTO adapters (id, set_id, name, label, sha256, n_bytes, info)"
        " VALUES (:id, :set_id, :name, :label, :sha256, :n_bytes, :info)",
        {**record, "id": adapter_id, "set_id": set_id, "info": canonical_json(record)},
    )
    for n, start in enumerate(range(0, len(data), CHUNK_BYTES)):
        chunk = data[start : start + CHUNK_BYTES]
        db.execute("INSERT INTO adapter_chunks (adapter_id, n, data) VALUES (?, ?, ?)", [adapter_id, n, chunk])


def _remove_old_sets(db: Database, base_id: str) -> None:
    db.execute(
        "DELETE FROM adapter_sets WHERE id NOT IN (SELECT set_id FROM published) AND id IN (SELECT id FROM (SELECT id,"
        " row_number() OVER (PARTITION BY name ORDER BY created DESC, rowid DESC) AS n"
        " FROM adapter_sets WHERE base_id = :base) WHERE n > :kept)",
        {"base": base_id, "kept": KEPT_SETS},
    )


def load_adapter(db: Database, set_id: str, name: str) -> bytes:
    """The bytes of one adapter, checked against the sha256 of its row.

    Raises:
        NotFound: no such set or adapter.
        Damaged: the rows do not have the promised content.
    """
    with explained(file_of(db), is_reading=True):
        row = db.execute("SELECT id, sha256 FROM adapters WHERE set_id = ? AND name = ?", [set_id, name]).fetchone()
        chunks = (
            db.execute("SELECT CAST(data AS BLOB) FROM adapter_chunks WHERE adapter_id = ? ORDER BY n", [row[0]])
            if row
            else []
        )
        data = b"".join(chunk for (chunk,) in chunks)
    if row is None:
        raise NotFound(f"the store has no adapter {name!r} in set {set_id[:12]}; `spa-lsp adapters list` names what is")
    found = hashlib.sha256(data).hexdigest()
    if found != row[1]:
        raise Damaged(
            f"adapter {name!r} of set {set_id[:12]} has sha256 {found[:12]}… in the store, expected {row[1][:12]}…; "
            "publish it again"
        )
    return data


def load_manifests(db: Database, base_id: str | None = None) -> list[dict[str, Any]]:
    """The manifests of the stored sets, newest first, the published one before all others.

    Raises:
        Damaged: a manifest is not the one that was stored.
    """
    with explained(file_of(db), is_reading=True):
        rows = db.execute(
            "SELECT id, name, CAST(manifest AS BLOB) FROM adapter_sets WHERE :base IS NULL OR base_id = :base"
            " ORDER BY id IN (SELECT set_id FROM published) DESC, created DESC, rowid DESC",
            {"base": base_id},
        ).fetchall()
    return [_stored_manifest(*row) for row in rows]


def _stored_manifest(set_id: str, name: str, text: bytes) -> dict[str, Any]:
    if hashlib.sha256(text).hexdigest() != set_id:
        raise Damaged(f"the manifest of set {name!r} ({set_id[:12]}) in the store was changed; publish it again")
    manifest: dict[str, Any] = json.loads(text)
    return manifest


def _now() -> str:
    return datetime.now(UTC).isoformat()


def json_sha256(value: Any) -> str:
    """sha256 of the canonical JSON of plain data."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces and no NaN: equal data gives equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def check_integrity(db: Database) -> list[str]:
    """What SQLite itself finds wrong with the file, at most 100 lines; empty when it is sound. Indexes are left out."""
    try:
        lines = [str(line) for (line,) in db.execute("PRAGMA quick_check")]
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        return [str(error)]
    return [] if lines == ["ok"] else lines


def _hold_writer_lock(path: Path) -> FileLock:
    # not thread-local, so that any thread may close the store
    lock = FileLock(path, mode=0o600, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        pid = path.read_text().strip()
        who = f"process {pid}" if pid else "another process"
        raise Busy(f"{who} is writing to the store ({path}); wait until it has finished or stop it") from None
    path.write_text(f"{os.getpid()}\n")
    return lock
