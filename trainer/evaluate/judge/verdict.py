"""Verdicts on completions: the problem's own test, in a process of ours, calls the completed program in the sandbox.

The test and what it expects never get into the sandbox, and only literals come out of it, so that no candidate can look
at an answer, call itself right or end with success.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.judge.process_pool import borrow, stopped_on_interrupt
from trainer.evaluate.judge.third_party import missing_package, without_unused
from trainer.evaluate.sandbox import Backend, BackendKind, Limits, OutcomeKind, require_backend

VerdictKind = Literal["pass", "fail", "timeout", "memory", "killed", "needs_package", "sandbox_error"]
NEEDS = "needs "  # begins the label of a program that was not judged for want of a package

KINDS: dict[OutcomeKind, VerdictKind] = {
    "completed": "pass",
    "failed": "fail",
    "timeout": "timeout",
    "memory": "memory",
    "killed": "killed",
    "sandbox_error": "sandbox_error",
}
PATIENT_WALL_S = 60.0
DOUBTFUL = ("wall clock", "signal 9")  # a busy machine, one short of memory


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Only `pass` is a pass; `sandbox_error` and `needs_package` are nobody's failure and must not be counted as one.

    `sandbox` is what confined the program.
    """

    kind: VerdictKind
    seconds: float
    error: str = ""
    sandbox: BackendKind = "bubblewrap"

    @property
    def label(self) -> str:
        """The kind in one word, or `needs numpy`."""
        return self.error if self.kind == "needs_package" else self.kind


def judge(
    problem: Problem, completions: Sequence[str], workers: int = 2, *, limits: Limits | None = None
) -> list[Verdict]:
    """One verdict per completion, in their order; equal ones are run once, about 40 ms each.

    `runnable(completion)` of the problem is the module that is judged, `test` defines `check`, which gets its
    `entry_point` and may use it and all that `runnable(solution)` defines by name. Third-party imports that it never
    uses are left out; a package that exists, that it uses and the sandbox does not have is no failure, but
    `needs_package`.

    What may be owed to a busy machine is run again, once, one at a time and with more patience: sandbox errors, and
    timeouts by the wall clock, not those by processor time. `limits` are the problem's unless given.

    Raises:
        Unavailable: there is no working sandbox.
    """
    backend, limits = require_backend(), limits or problem.limits
    different = list(dict.fromkeys(completions))
    with ThreadPoolExecutor(workers) as pool, stopped_on_interrupt():
        first = list(pool.map(lambda completion: _run(problem, completion, backend, limits), different))
    verdicts = {
        completion: _run(problem, completion, backend, replace(limits, wall_s=max(limits.wall_s, PATIENT_WALL_S)))
        if _is_doubtful(verdict)
        else verdict
        for completion, verdict in zip(different, first, strict=True)
    }
    return [verdicts[completion] for completion in completions]


def _run(problem: Problem, completion: str, backend: Backend, limits: Limits) -> Verdict:
    program = without_unused(problem.runnable(completion))
    job = {
        "program": program,
        "helpers": problem.runnable(problem.solution),
        "test": problem.test,
        "entry_point": problem.entry_point,
    }
    with borrow(backend) as tester:
        answer = tester.ask(job, limits)
    kind, error = KINDS[answer["kind"]], answer["error"]
    if kind == "fail" and (package := missing_package(program, error, job["helpers"])):
        kind, error = "needs_package", f"{NEEDS}{package}"
    return Verdict(kind=kind, seconds=answer["seconds"], error=error, sandbox=backend.kind)


def _is_doubtful(verdict: Verdict) -> bool:
    return verdict.kind == "sandbox_error" or (verdict.kind in ("timeout", "killed") and verdict.error in DOUBTFUL)
