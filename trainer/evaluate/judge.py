"""Verdicts on completions: the problem's own test over the completed program, in the sandbox."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from trainer.evaluate.problems import Problem
from trainer.evaluate.sandbox import Outcome, OutcomeKind, run_program

VerdictKind = Literal["pass", "fail", "timeout", "memory", "killed", "sandbox_error"]

KINDS: dict[OutcomeKind, VerdictKind] = {
    "completed": "pass",
    "failed": "fail",
    "timeout": "timeout",
    "memory": "memory",
    "killed": "killed",
    "sandbox_error": "sandbox_error",
}
WALL_S = 10.0
PATIENT_WALL_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Only `pass` is a pass; `sandbox_error` is nobody's failure and must not be counted as one."""

    kind: VerdictKind
    seconds: float
    error: str = ""


def judge(problem: Problem, completions: Sequence[str], workers: int = 2) -> list[Verdict]:
    """One verdict per completion, in their order; equal ones are run once, about 40 ms each.

    Timeouts and sandbox errors are run again, one at a time and with more patience: a busy machine is no failure.

    Raises:
        Unavailable: there is no working sandbox.
    """
    different = list(dict.fromkeys(completions))
    with ThreadPoolExecutor(workers) as pool:
        outcomes = list(pool.map(lambda completion: _run(problem, completion, wall_s=WALL_S), different))
    verdicts = {
        completion: _verdict(_run_again_if_doubtful(problem, completion, outcome))
        for completion, outcome in zip(different, outcomes, strict=True)
    }
    return [verdicts[completion] for completion in completions]


# Program and test are compiled apart, so that an open quote in one cannot swallow the other. The test sees results of
# built-in types only, rebuilt from their own content: an object that calls itself equal to everything never reaches it.
HARNESS = """
program, test, entry_point = {case}

def run():
    scope = {{"__name__": "candidate"}}
    exec(compile(program, "<candidate>", "exec", dont_inherit=True), scope)
    candidate = scope[entry_point]
    exec(compile(test, "<test>", "exec", dont_inherit=True), scope)
    scope["check"](lambda *arguments, **named: plain(candidate(*arguments, **named)))

def plain(value):
    kind = type(value)
    if value is None or kind in (bool, int, float, str, complex, bytes, range):
        return value
    for simple in (int, float, str):
        if issubclass(kind, simple):
            return simple.__add__(value, simple())
    for many in (list, tuple, set, frozenset):
        if issubclass(kind, many):
            return many(map(plain, many.__iter__(value)))
    if issubclass(kind, dict):
        return {{plain(key): plain(item) for key, item in dict.items(value)}}
    if kind.__module__ == "builtins" and hasattr(kind, "__iter__"):
        return map(plain, value)
    raise TypeError(f"the result is a {{kind.__name__}}")

run()
"""


def _run(problem: Problem, completion: str, *, wall_s: float) -> Outcome:
    case = ascii((problem.program(completion), problem.test, problem.entry_point))
    return run_program(HARNESS.format(case=case), wall_s=wall_s)


def _run_again_if_doubtful(problem: Problem, completion: str, outcome: Outcome) -> Outcome:
    if outcome.kind not in ("timeout", "sandbox_error"):
        return outcome
    return _run(problem, completion, wall_s=PATIENT_WALL_S)


def _verdict(outcome: Outcome) -> Verdict:
    return Verdict(kind=KINDS[outcome.kind], seconds=outcome.seconds, error=outcome.error)
