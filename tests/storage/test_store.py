import hashlib
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest
from sqlite_utils.migrations import Migrations

from spa_lsp import paths
from spa_lsp.adapters.manifest import to_manifest
from spa_lsp.errors import Busy, Damaged, NoSpace, NotFound, SpaError, TooNew, Unavailable
from spa_lsp.storage import store
from tests.storage import publisher
from tests.tiny_set import make_adapters, make_set


@pytest.fixture
def db():
    with closing(store.open_store(write=True)) as opened:
        yield opened


ROOT = Path(__file__).parents[2]


def publish(db, **changes):
    adapters = make_adapters(seed=changes.pop("seed", 0))
    return store.publish_set(db, to_manifest(make_set(adapters, **changes)), adapters)


def names_in(db, base_id=None):
    return [manifest["name"] for manifest in store.load_manifests(db, base_id)]


def pragma(db, name):
    return db.execute(f"PRAGMA {name}").fetchone()[0]


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_published_set_reads_back(db):
    set_id = publish(db)
    with closing(store.open_store()) as reader:
        assert store.load_manifests(reader) == [to_manifest(make_set())]
        assert store.load_adapter(reader, set_id, "a2") == make_adapters()["a2"]


def test_adapter_longer_than_a_chunk_is_cut_into_rows(db):
    data = os.urandom(2 * store.CHUNK_BYTES + 5)
    record = {"name": "a1", "label": "", "sha256": hashlib.sha256(data).hexdigest(), "n_bytes": len(data)}
    manifest = {"name": "long", "base_id": "b", "adapters": [record]}
    set_id = store.publish_set(db, manifest, {"a1": data})
    assert [len(row["data"]) for row in db["adapter_chunks"].rows] == [store.CHUNK_BYTES, store.CHUNK_BYTES, 5]
    assert store.load_adapter(db, set_id, "a1") == data


def test_newest_published_set_comes_first(db):
    publish(db, name="first")
    publish(db, name="second", seed=1)
    assert names_in(db) == ["second", "first"]


def test_publishing_a_stored_set_again_makes_it_the_newest(db):
    publish(db, name="first")
    publish(db, name="second", seed=1)
    publish(db, name="first")
    assert names_in(db) == ["first", "second"]


def test_the_last_three_sets_of_a_name_are_kept_with_their_chunks(db):
    for n in range(5):
        publish(db, name="mine", seed=n)
    assert names_in(db) == ["mine"] * 3
    assert db["adapters"].count == 9
    assert db["adapter_chunks"].count == 9


# #14
def test_a_set_of_another_name_is_not_removed(db):
    publish(db, name="work", seed=9)
    for n in range(5):
        publish(db, name="hobby", seed=n)
    assert names_in(db) == ["hobby"] * 3 + ["work"]


def test_sets_of_another_base_are_not_removed(db):
    publish(db, name="other", base_id="other-base")
    for n in range(5):
        publish(db, name=f"s{n}", seed=n)
    assert names_in(db, "other-base") == ["other"]


def test_wrong_bytes_are_not_published(db):
    publish(db, name="good")
    wrong = make_adapters() | {"a3": b"something else"}
    with pytest.raises(Damaged, match="'a3'.*expected"):
        store.publish_set(db, to_manifest(make_set(name="bad")), wrong)
    assert names_in(db) == ["good"]


def test_changed_chunk_is_damaged(db):
    set_id = publish(db)
    db.execute("UPDATE adapter_chunks SET data = zeroblob(length(data))")
    with pytest.raises(Damaged, match="sha256"):
        store.load_adapter(db, set_id, "a1")


def test_changed_manifest_is_damaged(db):
    publish(db)
    db.execute("UPDATE adapter_sets SET manifest = replace(manifest, '0.5', '0.1')")
    with pytest.raises(Damaged, match="was changed"):
        store.load_manifests(db)


def test_unknown_adapter_is_not_found(db):
    with pytest.raises(NotFound, match="no adapter 'a9'"):
        store.load_adapter(db, publish(db), "a9")


def test_damaged_page_is_explained_when_a_row_is_read(db):
    set_id = publish(db)
    db.close()
    data = bytearray(paths.store_path().read_bytes())
    data[store.PAGE_BYTES :] = bytes(len(data) - store.PAGE_BYTES)
    paths.store_path().write_bytes(data)
    with closing(store.open_store()) as reader, pytest.raises(Damaged, match="malformed"):
        store.load_adapter(reader, set_id, "a1")


@pytest.mark.parametrize("seed", range(100))
def test_flipped_bytes_never_give_a_wrong_adapter(seed):
    with closing(store.open_store(write=True)) as db:
        set_id = publish(db)
    flip(paths.store_path(), seed)
    with suppress(SpaError), closing(store.open_store()) as reader:
        assert names_in(reader) in ([], ["mine"])
        assert store.load_adapter(reader, set_id, "a1") == make_adapters()["a1"]


@pytest.mark.parametrize("seed", range(100))
def test_flipped_bytes_of_the_log_never_give_a_wrong_adapter(seed, tmp_path):
    with closing(store.open_store(write=True)) as db:
        publish(db)
    with closing(store.open_store(write=True)) as db:
        set_id = publish(db, name="new", seed=1)
        shutil.copytree(paths.data_dir(), tmp_path / "killed", ignore=shutil.ignore_patterns("*-shm"))
    shutil.rmtree(paths.data_dir())
    shutil.move(tmp_path / "killed", paths.data_dir())
    flip(Path(f"{paths.store_path()}-wal"), seed)
    with suppress(SpaError), closing(store.open_store()) as reader:
        assert names_in(reader) in (["mine"], ["new", "mine"])
        assert store.load_adapter(reader, set_id, "a1") == make_adapters(seed=1)["a1"]


def flip(path, seed):
    """Change 1, 10 or 100 bytes of a file."""
    data, random = bytearray(path.read_bytes()), Random(seed)
    for place in random.sample(range(len(data)), 10 ** (seed % 3)):
        data[place] ^= random.randrange(1, 256)
    path.write_bytes(data)


KILLED_WHILE_PUBLISHING = """
import os, signal
from tests.tiny_set import make_adapters, make_set
from spa_lsp.storage import store
from spa_lsp.adapters.manifest import to_manifest

class Killing(dict):
    def __getitem__(self, name):
        if name == "a3":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(name)

db = store.open_store(write=True)
store.publish_set(db, to_manifest(make_set(name="old")), make_adapters())
adapters = make_adapters(seed=1)
store.publish_set(db, to_manifest(make_set(adapters, name="new")), Killing(adapters))
"""


def test_kill_in_the_middle_of_publishing_leaves_the_old_set():
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_PUBLISHING], cwd=ROOT, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    with closing(store.open_store()) as reader:
        assert names_in(reader) == ["old"]
        assert store.load_adapter(reader, make_set(name="old").set_id, "a3") == make_adapters()["a3"]
        assert publisher.damage(reader) == []


def test_lock_of_a_killed_writer_is_free():
    subprocess.run([sys.executable, "-c", KILLED_WHILE_PUBLISHING], cwd=ROOT, timeout=120)
    with closing(store.open_store(write=True)) as db:
        publish(db, name="next", seed=2)
        assert names_in(db) == ["next", "old"]


def test_second_writer_is_told_who_writes(db):
    with pytest.raises(Busy, match=f"process {os.getpid()} is writing"):
        store.open_store(write=True)


def test_closing_gives_the_lock_back():
    store.open_store(write=True).close()
    store.open_store(write=True).close()


def test_reader_works_beside_a_writer_and_cannot_write(db):
    publish(db)
    with closing(store.open_store()) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM published")


def test_no_store_is_not_found():
    with pytest.raises(NotFound, match="no store"):
        store.open_store()


def test_empty_file_is_no_store_to_a_reader_and_becomes_one_for_a_writer():
    paths.data_dir().mkdir()
    paths.store_path().touch()
    with pytest.raises(NotFound):
        store.open_store()
    store.open_store(write=True).close()
    store.open_store().close()


# #14
def test_database_without_tables_is_no_store_to_a_reader_and_becomes_one_for_a_writer():
    """What a first writer leaves that was killed, or has made so far."""
    paths.data_dir().mkdir(parents=True)
    with closing(sqlite3.connect(paths.store_path())) as connection:
        connection.execute("PRAGMA user_version = 0")
        connection.execute("VACUUM")
    assert paths.store_path().stat().st_size > 0
    with pytest.raises(NotFound, match="is empty"):
        store.open_store()
    with closing(store.open_store(write=True)) as db:
        publish(db)
    with closing(store.open_store()) as reader:
        assert names_in(reader) == ["mine"] and pragma(reader, "application_id") == store.APPLICATION_ID


@pytest.mark.parametrize("write", [False, True])
def test_newer_store_is_refused_and_left_as_it_is(write):
    with closing(store.open_store(write=True)) as db:
        db.execute("PRAGMA user_version = 99")
    before = hash_of(paths.store_path())
    with pytest.raises(TooNew, match="schema 99.*upgrade"):
        store.open_store(write=write)
    assert hash_of(paths.store_path()) == before


@pytest.mark.parametrize("write", [False, True])
def test_foreign_database_is_refused_and_left_as_it_is(write):
    paths.data_dir().mkdir()
    with closing(sqlite3.connect(paths.store_path())) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = hash_of(paths.store_path())
    with pytest.raises(Damaged, match="not a store"):
        store.open_store(write=write)
    assert hash_of(paths.store_path()) == before


@pytest.mark.parametrize("write", [False, True])
def test_file_that_is_no_database_is_damaged(write):
    paths.data_dir().mkdir()
    paths.store_path().write_bytes(b"not a database at all" * 100)
    with pytest.raises(Damaged, match="not a database"):
        store.open_store(write=write)


def test_lock_is_free_after_a_refused_writer():
    paths.data_dir().mkdir()
    paths.store_path().write_bytes(b"not a database at all" * 100)
    with pytest.raises(Damaged):
        store.open_store(write=True)
    paths.store_path().unlink()
    store.open_store(write=True).close()


def test_folder_that_is_a_file_is_explained(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPA_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(Unavailable, match="SPA_HOME"):
        store.open_store(write=True)


def test_full_disk_is_explained_and_keeps_the_published_set(db):
    publish(db, name="old")
    db.execute(f"PRAGMA max_page_count = {pragma(db, 'page_count')}").fetchall()
    data = os.urandom(1 << 20)
    record = {"name": "a1", "label": "", "sha256": hashlib.sha256(data).hexdigest(), "n_bytes": len(data)}
    with pytest.raises(NoSpace, match="make room"):
        store.publish_set(db, {"name": "big", "base_id": "b", "adapters": [record]}, {"a1": data})
    assert names_in(db) == ["old"]


def test_writer_waits_for_every_byte(db):
    pragmas = {name: pragma(db, name) for name in ("journal_mode", "synchronous", "page_size", "mmap_size")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "page_size": 16384, "mmap_size": 0}


def test_connections_are_careful(db):
    pragmas = {name: pragma(db, name) for name in ("foreign_keys", "trusted_schema", "busy_timeout", "user_version")}
    assert pragmas == {"foreign_keys": 1, "trusted_schema": 0, "busy_timeout": 5000, "user_version": 1}


def test_files_are_private_whatever_the_umask():
    before = os.umask(0)
    try:
        with closing(store.open_store(write=True)) as db:
            publish(db)
            modes = {path.name: mode_of(path) for path in paths.data_dir().iterdir()}
    finally:
        os.umask(before)
    assert mode_of(paths.data_dir()) == 0o700
    assert modes == dict.fromkeys(["spa.db", "spa.db-wal", "spa.db-shm", "trainer.lock"], 0o600)


def test_folder_of_the_user_keeps_its_mode():
    paths.data_dir().mkdir(mode=0o755)
    store.open_store(write=True).close()
    assert mode_of(paths.data_dir()) == 0o755


def make_migrations(n_steps):
    migrations = Migrations("other")
    for n in range(n_steps):
        migrations(name=f"m{n}")(lambda db, n=n: db.table(f"t{n}").create({"id": int}))
    return migrations


def test_migrations_of_another_set_are_applied_once(db):
    store.apply_migrations(db, make_migrations(1))
    store.apply_migrations(db, make_migrations(1))
    assert "t0" in db.table_names()


def test_copy_is_kept_before_an_upgrade(db):
    store.apply_migrations(db, make_migrations(1))
    publish(db)
    store.apply_migrations(db, make_migrations(2))
    with closing(store.open_store(paths.data_dir() / "backup-other-1.db")) as backup:
        assert "t1" not in backup.table_names()
        assert names_in(backup) == ["mine"]


def test_copy_is_private(db):
    store.apply_migrations(db, make_migrations(1))
    store.apply_migrations(db, make_migrations(2))
    assert mode_of(paths.data_dir() / "backup-other-1.db") == 0o600


def test_steps_of_a_newer_version_are_refused(db):
    store.apply_migrations(db, make_migrations(2))
    with pytest.raises(TooNew, match="'m1'"):
        store.apply_migrations(db, make_migrations(1))


def test_failed_step_is_rolled_back_and_stays_pending(db):
    def fail(db):
        db.table("half").create({"id": int})
        raise ValueError("broken step")

    migrations = Migrations("other")
    migrations(name="m0")(fail)
    with pytest.raises(ValueError, match="broken step"):
        store.apply_migrations(db, migrations)
    assert "half" not in db.table_names()
    assert [step.name for step in migrations.pending(db)] == ["m0"]


def test_transaction_undoes_everything_on_an_error(db):
    with pytest.raises(KeyError), store.transaction(db):
        db["adapter_sets"].insert({"id": "x", "name": "x", "base_id": "b", "manifest": "{}", "created": "now"})
        raise KeyError
    assert db["adapter_sets"].count == 0


def test_equal_data_has_equal_digests():
    assert store.json_sha256({"b": [1, 2.5], "a": "ü"}) == store.json_sha256(
        json.loads('{"a": "\\u00fc", "b": [1, 2.5]}')
    )
