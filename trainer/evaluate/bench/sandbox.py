"""What the sandbox costs: a program that does nothing, with it and without it by turns, and how many a second."""

import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.judge.verdict import judge
from trainer.evaluate.sandbox import require_backend, require_sandbox, run_program

PROBLEM = Problem(
    task_id="bench/add",
    entry_point="add",
    prefix="def add(a, b):\n",
    suffix="",
    solution="    return a + b\n",
    test="def check(candidate):\n    assert candidate(1, 2) == 3\n",
)


@dataclass(frozen=True, kw_only=True)
class SandboxCost:
    """Medians over `runs` programs; `extra_ms` is of the pairs' differences."""

    sandbox: str
    runs: int
    workers: int
    bare_ms: float
    sandboxed_ms: float
    extra_ms: float
    programs_per_s: float
    judged_per_s: float


def measure_sandbox(*, runs: int, workers: int) -> SandboxCost:
    """Run each kind of program so many times.

    Raises:
        Unavailable: there is no working sandbox.
    """
    sandbox, python = require_sandbox(), require_backend().interpreter.path
    bare_command = [python, "-I", "-S", "-c", "pass"]
    pairs = [
        (_seconds(lambda: subprocess.run(bare_command, check=True)), _seconds(lambda: run_program("pass")))
        for _ in range(runs)
    ]
    together_s = _seconds(lambda: _at_once(lambda _: run_program("pass"), runs, workers))
    completions = [f"{PROBLEM.solution}# {n}\n" for n in range(runs)]
    judge(PROBLEM, completions[:workers], workers)  # the processes of the pool start
    judged_s = _seconds(lambda: judge(PROBLEM, completions, workers))
    return SandboxCost(
        sandbox=sandbox,
        runs=runs,
        workers=workers,
        bare_ms=1000 * statistics.median(bare for bare, _ in pairs),
        sandboxed_ms=1000 * statistics.median(sandboxed for _, sandboxed in pairs),
        extra_ms=1000 * statistics.median(sandboxed - bare for bare, sandboxed in pairs),
        programs_per_s=runs / together_s,
        judged_per_s=runs / judged_s,
    )


def _at_once(function: Callable[[int], object], n: int, workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(function, range(n)))


def _seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
