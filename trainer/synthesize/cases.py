"""Cases: arguments and what a right function does with them. Judged in the process of the judge, never in the sandbox.

A case holds literals only, whether it was recorded or read out of an assertion that a model wrote: no text of a model,
and nothing of a seed, is ever run outside the sandbox.
"""

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.evaluate.benchmarks.oracle import equal
from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.judge.verdict import Verdict, judge
from trainer.evaluate.sandbox.limits import Limits

LIMITS = Limits(wall_s=10.0, cpu_s=4.0, memory_bytes=512 << 20)
MAX_RESULT = 600  # characters, written as Python


@dataclass(frozen=True, kw_only=True)
class Case:
    """One call: the name of the exception that it must raise or, where that is empty, the value it must return."""

    arguments: tuple[Any, ...]
    expected: Any = None
    raises: str = ""


def is_telling(cases: Sequence[Case]) -> bool:
    """Whether every stub fails: one that returns nothing, its first argument, always the same, or an exception."""
    values = [case for case in cases if not case.raises]
    written = {repr(case.expected) for case in values}
    returns_first = all(_is_same(case.arguments[0], case.expected) for case in values if case.arguments)
    return len(written) >= 2 and not returns_first


def judge_cases(solutions: Sequence[str], entry_point: str, cases: Sequence[Case]) -> list[tuple[bool, ...]]:
    """For each solution which cases it gets right; it is run in the sandbox.

    Raises:
        Unavailable: there is no working sandbox.
    """
    problem = Problem(
        task_id=entry_point,
        entry_point=entry_point,
        solution="",
        layout="instruct",
        test=_test(cases),
        limits=LIMITS,
    )
    return [_passed(verdict, len(cases)) for verdict in judge(problem, list(solutions))]


def check_cases(candidate: Callable[..., Any], cases: Sequence[Case]) -> None:
    """Call the candidate with each; AssertionError with a 0 or 1 for each case unless all are right."""
    marks = "".join("1" if _is_right(candidate, case) else "0" for case in cases)
    if "0" in marks:
        raise AssertionError(marks)


def pack_cases(cases: Sequence[Case]) -> str:
    """JSON whose values are Python literals as text."""
    return json.dumps([[repr(case.arguments), repr(case.expected), case.raises] for case in cases])


def called(entry_point: str, case: Case) -> str:
    """The case as a sentence of a problem's text."""
    call = f"{entry_point}({', '.join(map(repr, case.arguments))})"
    return f"`{call}` raises `{case.raises}`" if case.raises else f"`{call}` returns `{case.expected!r}`"


def _test(cases: Sequence[Case]) -> str:
    written = [(case.arguments, case.expected, case.raises) for case in cases]
    return f"""from {__name__} import Case as SpaCase, check_cases as spa_check_cases

def check(candidate, inf=float("inf")):
    spa_check_cases(candidate, [SpaCase(arguments=a, expected=e, raises=r) for a, e, r in {written!r}])
"""


def _passed(verdict: Verdict, n: int) -> tuple[bool, ...]:
    if verdict.kind == "pass":
        return (True,) * n
    marks = verdict.error.removeprefix("AssertionError: ")
    is_marked = len(marks) == n and set(marks) <= {"0", "1"}
    return tuple(mark == "1" for mark in marks) if is_marked else (False,) * n


def _is_right(candidate: Callable[..., Any], case: Case) -> bool:
    arguments = copy.deepcopy(case.arguments)
    try:
        result = candidate(*arguments)
    except Exception as error:  # whatever it is, it is what the candidate does
        return bool(case.raises) and case.raises in (type(error).__name__, str(error).partition(":")[0])
    return not case.raises and _is_same(result, case.expected, case.arguments)


def _is_same(result: Any, expected: Any, arguments: Sequence[Any] = ()) -> bool:
    """Equal, of the same type but for numbers, floats nearly."""
    is_number = isinstance(expected, int | float) and not isinstance(expected, bool)
    is_type = type(result) is type(expected) or (is_number and type(result) in (int, float))
    return is_type and equal(arguments, result, expected, 0)
