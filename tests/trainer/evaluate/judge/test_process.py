"""Ends and limits that concern several processes: the watch over memory, and what is left when one of ours dies."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from shutil import copytree, rmtree

import psutil
import pytest

from tests.fakes import PATIENCE_S
from trainer.evaluate.judge import process_pool as testers
from trainer.evaluate.sandbox.interpreter import SYSTEM_PYTHON
from trainer.evaluate.sandbox.limits import Limits
from trainer.evaluate.sandbox.memory import PAGE_BYTES, can_find_trees, find_tree, resident_bytes
from trainer.evaluate.sandbox.run import run

ROOT = Path(__file__).parents[4]
GROWING = """import os, time
for _ in range(4):
    if os.fork() == 0: break
piece = bytearray(b'x' * (60 << 20))
time.sleep(999)"""
SLEEPING = "def f():\n    import time; time.sleep(999)\n"
JOB = {"program": SLEEPING, "helpers": "", "test": "def check(candidate): candidate()\n", "entry_point": "f"}


def wait_for(is_so, seconds=PATIENCE_S):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def family():
    grandchild = "import time; x = b'x' * (40 << 20); time.sleep(999)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    process = subprocess.Popen([sys.executable, "-c", code])
    yield process
    for pid in find_tree(process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()


def test_a_tree_is_what_psutil_says_and_its_memory_that_of_all(family):
    assert can_find_trees()
    assert wait_for(lambda: resident_bytes(family.pid) > 40 << 20)
    theirs = [family.pid, *(child.pid for child in psutil.Process(family.pid).children(recursive=True))]
    assert find_tree(family.pid) == theirs

    def is_equal():  # not at once: the family may still be growing between the two checks
        rss = sum(psutil.Process(pid).memory_info().rss for pid in theirs)
        return resident_bytes(family.pid) == pytest.approx(rss, abs=64 * PAGE_BYTES)

    assert wait_for(is_equal)
    assert resident_bytes(family.pid, is_counted=False) < resident_bytes(family.pid)


def test_a_process_that_is_gone_takes_no_memory():
    process = subprocess.Popen(["/usr/bin/true"])
    process.wait()
    assert resident_bytes(process.pid) == 0


def test_processes_that_together_take_too_much_are_ended(need):
    bubblewrap = need("bubblewrap")  # only there a program has several processes
    outcome = run(GROWING, bubblewrap, Limits(wall_s=PATIENCE_S, memory_bytes=150 << 20))
    assert (outcome.kind, outcome.error) == ("memory", "all processes together")


def sleeping_judge(backend, wall_s):
    tester = testers.Tester(backend)
    return tester, tester.ask(JOB, Limits(wall_s=wall_s))


def test_a_tester_that_is_over_its_time_is_killed_with_its_sandbox(backend):
    tester, answer = sleeping_judge(backend, 2.0)
    assert (answer["kind"], answer["error"]) == ("timeout", "wall clock")
    assert not tester.is_alive


def test_the_memory_of_a_candidates_processes_is_watched(need):
    tester = testers.Tester(need("bubblewrap"))  # only there a program has several processes
    job = {**JOB, "program": "def f():\n" + "".join(f"    {line}\n" for line in GROWING.splitlines())}
    answer = tester.ask(job, Limits(wall_s=PATIENCE_S, memory_bytes=150 << 20))
    assert (answer["kind"], answer["error"]) == ("memory", "all processes together")


def test_a_tester_that_dies_of_a_result_is_the_candidates_failure():
    assert testers._gone(is_ready=True)["kind"] == "failed"
    assert testers._gone(is_ready=False)["kind"] == "sandbox_error"


# the supervisor waits for two testers when it is killed
SUPERVISOR = """
import sys, threading
from trainer.evaluate.sandbox.backend import find_backends
from trainer.evaluate.sandbox.limits import Limits
from trainer.evaluate.judge.process_pool import Tester

backend = next(backend for backend in find_backends() if backend.kind == {kind!r})
for job in {jobs!r}:
    threading.Thread(target=Tester(backend).ask, args=(job, Limits(wall_s=999.0))).start()
"""
# a test that holds the interpreter: no Python of the tester's own would notice anything
BUSY = {**JOB, "program": "def f(): return 1\n", "test": "def check(candidate): candidate(); 7 ** (1 << 34)\n"}


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def started_with(marker):
    """The interpreters that have it among the words that started them, bubblewrap's own processes left out."""
    found = psutil.process_iter(["cmdline", "name"])
    words = {process.pid: process.info["cmdline"] or [] for process in found if process.info["name"] != "bwrap"}
    return [pid for pid, command in words.items() if any(marker in word for word in command)]


def started_by(pid):
    return psutil.Process(pid).children()


def spent_s(process):
    return process.cpu_times().user


def test_nothing_outlives_a_supervisor_that_is_killed(backend):
    marker = f"f_{uuid.uuid4().hex}"
    jobs = [
        {name: text.replace("f()", f"{marker}()") for name, text in {**job, "entry_point": marker}.items()}
        for job in (JOB, BUSY)
    ]
    code = SUPERVISOR.format(kind=backend.kind, jobs=jobs)
    supervisor = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        assert wait_for(lambda: len(started_with(marker)) == 3)  # it has the marker too
        assert wait_for(lambda: max(map(spent_s, started_by(supervisor.pid))) > 1)  # the busy one is at its test
        testers_of_it = [child.pid for child in started_by(supervisor.pid)]
    finally:
        supervisor.kill()
        supervisor.wait()
    assert len(testers_of_it) == 2
    assert wait_for(lambda: not started_with(marker))
    assert wait_for(lambda: not any(map(is_alive, testers_of_it)))


NORMAL_USER = """
from trainer.evaluate.sandbox.backend import describe, find_backends, find_problem
from trainer.evaluate.sandbox import Limits
from trainer.evaluate.sandbox.run import run
from trainer.evaluate.judge.process_pool import Tester

for backend in [backend for backend in find_backends() if backend.kind in {kinds}]:
    print(backend.kind, find_problem(backend) or "works", describe(backend).split(", ")[-1])
    print(run("import os\\nwhile True: os.fork()", backend, Limits(wall_s=60.0)).error)
    tester = Tester(backend)
    print(tester.ask({job!r}, Limits(wall_s=60.0))["kind"])
    tester.close()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user; the other tests show the rest")
@pytest.mark.skipif(not os.path.exists(SYSTEM_PYTHON), reason=f"there is no {SYSTEM_PYTHON} for another user")
def test_a_normal_user_has_the_same_sandboxes(backends, sandbox):
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    job = {**JOB, "program": "def f(): return 1\n", "test": "def check(candidate): assert candidate() == 1\n"}
    try:
        folder.chmod(0o755)
        for package in ("spa_lsp", "trainer"):
            copytree(ROOT / package, folder / package, ignore=lambda _, names: {"__pycache__"} & set(names))
        done = subprocess.run(
            [SYSTEM_PYTHON, "-c", NORMAL_USER.format(job=job, kinds=list(backends))],
            capture_output=True, text=True, cwd="/", user=65533, group=65533, extra_groups=[],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "HOME": "/nonexistent"},
        )  # fmt: skip
    finally:
        rmtree(folder)
    lines = done.stdout.splitlines()
    assert lines[0::3] == [f"{kind} works unprivileged" for kind in backends], done
    assert all("Error" in line for line in lines[1::3]), done
    assert lines[2::3] == ["completed"] * len(backends), done
