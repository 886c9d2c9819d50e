"""From answers to the solutions that are kept: right by the cases, structurally distinct, the most unlike first."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from spa_lsp.text.python_source import parse_python
from trainer.evaluate.judge.extract import extract_code
from trainer.evaluate.sameness.approach import approach_key
from trainer.evaluate.sameness.normalize import ast_key
from trainer.synthesize.cases import Case, is_telling, judge_cases

MAX_KEPT = 8
MAX_CHARACTERS = 3000
MAX_LINES = 80
_MIN_TESTS = 3


@dataclass(frozen=True, kw_only=True)
class Solution:
    """A program that passes. `key` is its normal form, `approach` the means by which it gets there."""

    code: str
    key: str
    approach: str
    is_of_seed: bool = False


def read_solutions(answers: Sequence[str], entry_point: str, *, given: str = "") -> tuple[list[Solution], int]:
    """One solution for each different program among the answers, and how many answers are none.

    `given` is code of which a program gets what it needs and has not.
    """
    found: dict[str, Solution] = {}
    n_bad = 0
    for answer in answers:
        code = extract_code(answer, entry_point, stub=given and f"{given}\n\ndef {entry_point}():\n").strip("\n") + "\n"
        key = ast_key(code, entry_point)
        if key is None or len(code) > MAX_CHARACTERS or code.count("\n") > MAX_LINES or _is_hollow(code, entry_point):
            n_bad += 1
            continue
        found.setdefault(key, Solution(code=code, key=key, approach=approach_key(code, entry_point) or ""))
    return list(found.values()), n_bad


def seed_solution(code: str, entry_point: str) -> Solution:
    """The seed itself."""
    key = ast_key(code, entry_point)
    assert key is not None, entry_point
    return Solution(code=code, key=key, approach=approach_key(code, entry_point) or "", is_of_seed=True)


def passing(solutions: Sequence[Solution], entry_point: str, cases: Sequence[Case]) -> list[Solution]:
    """Those that are right on all cases.

    Raises:
        Unavailable: there is no working sandbox.
    """
    marks = judge_cases([solution.code for solution in solutions], entry_point, cases) if solutions else []
    return [solution for solution, own in zip(solutions, marks, strict=True) if all(own)]


def agreeing(
    solutions: Sequence[Solution], entry_point: str, tests: Sequence[Case]
) -> tuple[list[Solution], list[Case]]:
    """The solutions and the tests that bear each other out; both empty when no two different programs do.

    Neither can be trusted alone: of all sets of solutions that pass the same tests the one counts that has the most of
    both (CodeT, arXiv:2207.10397), and only if these tests fail on stubs.

    Raises:
        Unavailable: there is no working sandbox.
    """
    if len(solutions) < 2 or len(tests) < _MIN_TESTS:
        return [], []
    marks = judge_cases([solution.code for solution in solutions], entry_point, tests)
    best: tuple[int, tuple[bool, ...]] = (0, ())
    for own in dict.fromkeys(marks):
        n = sum(_covers(other, own) for other in marks)
        kept = [test for test, mark in zip(tests, own, strict=True) if mark]
        if n >= 2 and len(kept) >= _MIN_TESTS and is_telling(kept):
            best = max(best, (n * sum(own), own))
    if not best[1]:
        return [], []
    kept = [test for test, mark in zip(tests, best[1], strict=True) if mark]
    return [each for each, own in zip(solutions, marks, strict=True) if _covers(own, best[1])], kept


def choose_distinct(solutions: Sequence[Solution]) -> list[Solution]:
    """At most `MAX_KEPT`, the seed's own first, then one of each approach, then a second of each, and so on."""
    by_approach: dict[str, list[Solution]] = {}
    for solution in sorted(solutions, key=lambda each: not each.is_of_seed):
        by_approach.setdefault(solution.approach, []).append(solution)
    in_turn = [each for layer in zip_longest(*by_approach.values()) for each in layer if each is not None]
    return in_turn[:MAX_KEPT]


def _covers(marks: Sequence[bool], wanted: Sequence[bool]) -> bool:
    return all(mark or not needed for mark, needed in zip(marks, wanted, strict=True))


def _is_hollow(code: str, entry_point: str) -> bool:
    """Whether the function only passes, raises or returns a constant."""
    tree = parse_python(code)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)] if tree else []
    own = [node for node in functions if node.name == entry_point]
    body = [node for node in own[-1].body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    return not any(not isinstance(node, ast.Pass | ast.Raise) and not _is_constant(node) for node in body)


def _is_constant(node: ast.stmt) -> bool:
    return isinstance(node, ast.Return) and (node.value is None or isinstance(node.value, ast.Constant))
