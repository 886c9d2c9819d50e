import dataclasses
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.fakes import PATIENCE_S
from trainer.evaluate.benchmarks.load import load_benchmark
from trainer.evaluate.judge import process_pool as testers
from trainer.evaluate.judge import verdict as module
from trainer.evaluate.judge.verdict import judge
from trainer.evaluate.sandbox import Backend, Limits
from trainer.evaluate.sandbox.interpreter import Interpreter

pytestmark = pytest.mark.usefixtures("sandbox")

ROOT = Path(__file__).parents[4]

ALWAYS_EQUAL = """    class {name}({base}):
        def __eq__(self, other): return True
        def __ne__(self, other): return False
        def __hash__(self): return 0
    return {name}()
"""
CHEATS = {
    "raise SystemExit": "    raise SystemExit\n",
    "sys.exit": "    import sys; sys.exit(0)\n",
    "os._exit": "    import os; os._exit(0)\n",
    "always equal": ALWAYS_EQUAL.format(name="E", base="object"),
    "always equal list": ALWAYS_EQUAL.format(name="E", base="list"),
    "always equal int": ALWAYS_EQUAL.format(name="E", base="int"),
    "always equal and named like a built-in": ALWAYS_EQUAL.format(name="E", base="object").replace(
        "        def __hash__",
        "        __module__ = 'builtins'\n        def __iter__(self): return iter(())\n        def __hash__",
    ),
    "open quote": '    return 0\n"""\n',
}


def kinds(problem, *completions, **options):
    return [verdict.kind for verdict in judge(problem, completions, **options)]


def test_the_solution_passes_and_a_wrong_one_fails(problem):
    assert kinds(problem, problem.solution, "    result = 3\n") == ["pass", "fail"]


@pytest.mark.parametrize("cheat", CHEATS)
def test_cheats_fail(problem, cheat):
    assert kinds(problem, CHEATS[cheat]) == ["fail"]


def test_the_failed_assertion_is_named(problem):
    assert judge(problem, ["    result = 3\n"])[0].error.startswith("AssertionError")


def test_subclasses_of_built_in_types_pass_by_their_content(problem):
    counted = dataclasses.replace(
        problem, suffix="", test="def check(candidate):\n    assert candidate('aab') == {'a': 2, 'b': 1}\n"
    )
    assert kinds(counted, "    import collections\n    return collections.Counter(numbers)\n") == ["pass"]


def test_iterators_can_be_read_by_the_test(problem):
    read = dataclasses.replace(
        problem, suffix="", test="def check(candidate):\n    assert tuple(candidate([2, 1])) == (1, 2)\n"
    )
    assert kinds(read, "    return reversed(numbers)\n", "    yield from sorted(numbers)\n") == ["pass", "pass"]


def test_a_test_may_use_helpers_of_the_prefix(problem):
    test = "def check(candidate):\n    assert candidate(helper()) == 3\n"
    helped = dataclasses.replace(problem, prefix="def helper():\n    return [1, 2]\n" + problem.prefix, test=test)
    assert kinds(helped, problem.solution) == ["pass"]


def test_limits_are_verdicts_of_their_own(problem):
    memory = "    result = len('x' * (4 << 30))\n"
    crash = "    import ctypes; ctypes.string_at(0)\n"
    assert kinds(problem, memory, crash) == ["memory", "killed"]


def test_odd_text_is_a_failure_and_not_an_error(problem):
    assert kinds(problem, "\0", "\ud800", "    return 'ä\n", "") == ["fail"] * 4


def test_equal_completions_are_run_once(problem, monkeypatch):
    started = []
    real = testers.Tester.ask
    monkeypatch.setattr(testers.Tester, "ask", lambda *args: started.append(1) or real(*args))
    assert kinds(problem, problem.solution, "", problem.solution, "") == ["pass", "fail", "pass", "fail"]
    assert len(started) == 2


def test_a_problem_has_limits_of_its_own(problem):
    endless = "    while True: pass\n"
    assert kinds(dataclasses.replace(problem, limits=Limits(wall_s=60.0, cpu_s=1.0)), endless) == ["timeout"]


def test_the_memory_of_a_fork_of_the_tester_is_not_the_programs(problem, monkeypatch, tmp_path):
    slow = tmp_path / "python"
    slow.write_text(f'#!/bin/sh\nsleep 0.3\nexec {sys.executable} "$@"\n')
    slow.chmod(0o755)
    backend = Backend(kind="none", interpreter=Interpreter(path=str(slow), prefix="/usr", keeps_root=False))
    end = time.monotonic() + 0.3  # until then, nothing of the program runs
    monkeypatch.setattr(testers, "resident_bytes", lambda *_, **__: (time.monotonic() < end) << 40)
    monkeypatch.setattr(module, "require_backend", lambda: backend)
    assert kinds(problem, problem.solution) == ["pass"]


def test_a_timeout_is_tried_again_with_more_patience(problem):
    slow = "    import time; time.sleep(0.5)\n" + problem.solution
    assert kinds(problem, slow, limits=Limits(wall_s=0.5)) == ["pass"]


def test_a_timeout_by_processor_time_is_not_tried_again(problem, monkeypatch):
    asked = []
    real = testers.Tester.ask
    monkeypatch.setattr(testers.Tester, "ask", lambda *args: asked.append(1) or real(*args))
    limits = Limits(wall_s=60.0, cpu_s=1.0)
    assert kinds(problem, "    while True: pass\n", limits=limits) == ["timeout"]
    assert len(asked) == 1


def test_a_fault_of_the_sandbox_is_tried_again_once(problem, monkeypatch):
    answers = [{"kind": "sandbox_error", "error": "x", "seconds": 0.0}] * 3
    monkeypatch.setattr(testers.Tester, "ask", lambda *_: answers.pop())
    assert kinds(problem, problem.solution) == ["sandbox_error"]
    assert len(answers) == 1


def test_a_lasting_timeout_is_one(problem, monkeypatch):
    monkeypatch.setattr(module, "PATIENT_WALL_S", 1.0)
    assert kinds(problem, "    import time; time.sleep(60)\n", limits=Limits(wall_s=1.0)) == ["timeout"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["multi", "single"])
def test_all_published_solutions_pass(data_dir, kind):
    problems = load_benchmark(f"infilling-{kind}", data_dir, limit=60)
    failed = [problem.task_id for problem in problems if kinds(problem, problem.solution) != ["pass"]]
    assert failed == []


ENDLESS = """
import sys
from trainer.evaluate.judge.verdict import judge
from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.sandbox import Limits

text = "def check(candidate):\\n    assert candidate() == 1\\n"
problem = Problem(task_id="Own/1", entry_point="f", prefix="def f():\\n", solution="    return 1\\n", test=text)
try:
    judge(problem, ["    while True: pass\\n"], limits=Limits(wall_s=999.0, cpu_s=999.0))
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_ctrl_c_does_not_wait_for_a_program_that_runs(sandbox):
    process = subprocess.Popen([sys.executable, "-c", ENDLESS], cwd=ROOT, start_new_session=True)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not is_at_work(process) and time.monotonic() < deadline:
            time.sleep(0.05)
        testers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_S) == 130
        assert psutil.wait_procs(testers, timeout=PATIENCE_S)[1] == []
    finally:
        process.kill()


def is_at_work(process):
    """Whether something below it has taken a second of processor time, more than any start takes."""
    children = psutil.Process(process.pid).children(recursive=True)
    return any(child.cpu_times().user > 1 for child in children)
