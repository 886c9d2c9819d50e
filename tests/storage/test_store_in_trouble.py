"""Trainers that are killed, disks that fail, readers all the time: nothing acknowledged is lost, nothing torn is read.

SPA_KILLS, SPA_STORE_SECONDS and SPA_TEST_SET_BYTES make it longer by hand.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import pytest

from spa_lsp import paths
from spa_lsp.errors import NotFound
from spa_lsp.storage import store
from tests.storage import publisher
from trainer.rows.tables import MIGRATIONS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
N_KILLS = int(os.environ.get("SPA_KILLS", "24"))
SECONDS = float(os.environ.get("SPA_STORE_SECONDS", "6"))


@contextmanager
def running(program, *arguments):
    """A program that has said "ready"."""
    command = [sys.executable, "-c", program] if "\n" in program else [sys.executable, "-m", program]
    with subprocess.Popen([*command, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


class Reader(threading.Thread):
    """Reads all that is published, again and again; what a server would see."""

    def __init__(self):
        super().__init__()
        self.n_reads, self.troubles, self.open_s = 0, [], []
        self._is_over = threading.Event()

    def run(self):
        while not self._is_over.is_set():
            try:
                self.read()
            except NotFound:  # no store yet
                continue
            except Exception as error:
                self.troubles.append(repr(error))

    def read(self):
        began = time.perf_counter()
        with closing(store.open_store()) as db:
            store.load_manifests(db)
            self.open_s.append(time.perf_counter() - began)
            publisher.published(db)
        self.n_reads += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self.join()


def test_no_acknowledged_set_is_lost_and_none_is_torn(tally):
    random, newest, longest_s = Random(0), 0, 0.5
    with Reader() as reader:
        for _ in range(N_KILLS):
            with running("tests.storage.publisher", newest + 1, 0) as process:
                time.sleep(random.uniform(0, longest_s))
                process.send_signal(signal.SIGKILL)
                acknowledged = max([newest, *map(int, process.stdout.read().split())])
            with closing(store.open_store(write=True)) as db:
                newest = max(publisher.published(db), default=0)
                is_kept = newest in (acknowledged, acknowledged + 1)  # it may have been killed before it could say so
                assert publisher.damage(db) == []
            tally("kill -9 while publishing", 1, not is_kept)
            assert is_kept, f"{acknowledged} was published, {newest} is left"
    assert reader.troubles == [] and reader.n_reads > 0
    assert newest > N_KILLS / 4  # kills fell between and into publishes


MIGRATING = """
import sys
from spa_lsp.storage import store
from trainer.rows.tables import MIGRATIONS
db = store.open_store(write=True)
print("ready", flush=True)
store.apply_migrations(db, MIGRATIONS)
print("done", flush=True)
"""


def test_a_store_whose_upgrade_is_killed_is_upgraded_later(tally):
    with closing(store.open_store(write=True)) as db:
        publisher.publish(db, 1)
        MIGRATIONS.apply(db, stop_before="m007_completions")
        run = dict.fromkeys(("stage", "config", "inputs", "versions", "figures", "started"), "")
        db.table("runs").insert({"id": "r1", "status": "finished", "seed": 0, **run})
        members = ({"run_id": "r1", "sample_id": f"s{n}", "part": n % 8} for n in range(20_000))
        db.table("part_members").insert_all(members)
    old = Path(shutil.copytree(paths.data_dir(), paths.data_dir().with_name("old")))
    with running(MIGRATING) as process:
        began = time.perf_counter()
        assert process.stdout.readline() == "done\n"
        takes_s = time.perf_counter() - began
    random, n_broken = Random(0), 0
    for _ in range(max(N_KILLS // 3, 1)):
        shutil.rmtree(paths.data_dir())
        shutil.copytree(old, paths.data_dir())
        with running(MIGRATING) as process:
            time.sleep(random.uniform(0, takes_s))
            process.send_signal(signal.SIGKILL)
            n_broken += process.stdout.read() == ""
        with closing(store.open_store(write=True)) as db:
            store.apply_migrations(db, MIGRATIONS)
            is_whole = db.table("part_members").count == 20_000 and not [*MIGRATIONS.pending(db)]
            assert publisher.published(db) == [1] and publisher.damage(db) == []
        tally("kill -9 while upgrading", 1, not is_whole)
        assert is_whole
    assert n_broken > 0


@pytest.fixture(scope="module")
def failing_io(tmp_path_factory):
    """The preloaded library."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    library = tmp_path_factory.mktemp("failing") / "failing_io.so"
    source = Path(__file__).with_name("failing_io.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.mark.parametrize("lasts", ["once", "lasting"])
@pytest.mark.parametrize("kind", ["ENOSPC", "EIO"])
def test_a_publish_of_which_any_write_fails_leaves_the_old_set_or_the_new(failing_io, kind, lasts, tally):
    command = [sys.executable, "-m", "tests.storage.failing_publisher", kind, lasts]
    env = {"SPA_TEST_SET_BYTES": "40000", **os.environ, "LD_PRELOAD": str(failing_io)}
    ran = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, check=True)
    *failed, whole = json.loads(ran.stdout)
    tally(f"calls that fail with {kind}, {lasts}", len(failed), 0)
    assert len(failed) > 10 and whole == {"n_failed": 0, "error": "", "serves": "new", "damage": []}
    assert [each["damage"] for each in failed] == [[]] * len(failed)
    # what fails behind the commit, when pages go into the file, may be done later and unsaid
    assert {(each["error"], each["serves"]) for each in failed} <= {
        ("NoSpace", "old"),
        ("Unavailable", "old"),
        ("", "new"),
    }


def test_readers_are_never_told_that_the_store_is_locked(tally):
    readers = [Reader() for _ in range(4)]
    with running("tests.storage.publisher", 1, 0.2 if SECONDS < 60 else 2.0) as process:
        threading.Thread(target=process.stdout.read, daemon=True).start()
        for reader in readers:
            reader.start()
        time.sleep(SECONDS)
        for reader in readers:
            reader.__exit__()
    n_reads = sum(reader.n_reads for reader in readers)
    tally("reads beside a publishing trainer", n_reads, sum(len(reader.troubles) for reader in readers))
    assert [reader.troubles for reader in readers] == [[]] * 4 and n_reads > 0
    store.open_store(write=True).close()
    assert not Path(f"{paths.store_path()}-wal").exists()  # however large it was while they read
