"""Calls over the border: results, exceptions and changed arguments, as the test sees them."""

import dataclasses

import pytest

from trainer.evaluate.judge.verdict import judge
from trainer.evaluate.sandbox import Limits

pytestmark = pytest.mark.usefixtures("sandbox")


def verdict(problem, body, test):
    checked = dataclasses.replace(problem, prefix="def total(*a, **n):\n", suffix="", solution="    pass\n", test=test)
    return judge(checked, [body])[0]


def passes(problem, body, *lines):
    test = "def check(candidate):\n" + "".join(f"    {line}\n" for line in lines)
    found = verdict(problem, body, test)
    assert found.kind == "pass", found
    return True


def test_arguments_that_a_call_changes_are_changed_for_the_test(problem):
    body = "    a[0].append(9); a[1]['k'] = 1; a[2].add(2); a[3][0].sort()\n"
    assert passes(
        problem,
        body,
        "inner = [3, 1]",
        "x, d, s, t = [1], {}, set(), (inner,)",
        "candidate(x, d, s, t)",
        "assert (x, d, s, inner) == ([1, 9], {'k': 1}, {2}, [1, 3])",
    )


def test_a_list_inside_a_changed_list_stays_the_same_object(problem):
    body = "    a[0][0].append(2); a[0].append([5])\n"
    assert passes(
        problem, body, "inner = [1]", "outer = [inner]", "candidate(outer)", "assert outer == [[1, 2], [5]]",
        "assert outer[0] is inner",
    )  # fmt: skip


def test_named_arguments_cross(problem):
    assert passes(problem, "    return n['key'], a\n", "assert candidate(1, key=[2]) == ([2], (1,))")


def test_built_in_exceptions_cross_with_their_text(problem):
    body = "    raise ValueError('too small')\n"
    assert passes(
        problem, body, "try: candidate()", "except ValueError as e: assert str(e) == 'too small'", "else: assert 0"
    )


def test_an_exception_of_its_own_is_a_failure_with_its_name(problem):
    found = verdict(
        problem, "    class Odd(Exception): pass\n    raise Odd('x')\n", "def check(candidate): candidate()\n"
    )
    assert (found.kind, found.error) == ("fail", "CandidateError: Odd: x")


def test_state_of_the_module_lasts_from_call_to_call(problem):
    body = "    total.calls = getattr(total, 'calls', 0) + 1\n    return total.calls\n"
    assert passes(problem, body, "assert [candidate(), candidate()] == [1, 2]")


def test_what_is_printed_does_not_disturb(problem):
    assert passes(problem, "    print('x' * 100000)\n    return 1\n", "assert candidate() == 1")


def test_the_test_may_call_the_function_by_its_name(problem):
    assert passes(problem, "    return 4\n", "assert total() == 4")


def test_the_function_may_be_called_check(problem):
    named = dataclasses.replace(
        problem,
        entry_point="check",
        prefix="def check(n):\n",
        suffix="",
        solution="    return n\n",
        test="def check(candidate):\n    assert check(3) == candidate(3) == 3\n",
    )
    assert judge(named, [named.solution, "    return 2\n"])[1].kind == "fail"
    assert judge(named, [named.solution])[0].kind == "pass"


def test_a_test_that_catches_everything_does_not_hide_an_end(problem):
    test = "def check(candidate):\n    try: candidate()\n    except BaseException: pass\n"
    assert verdict(problem, "    import os; os._exit(0)\n", test).kind == "fail"
    assert verdict(problem, "    import ctypes; ctypes.string_at(0)\n", test).kind == "killed"


def test_a_broken_test_is_no_fault_of_the_candidate(problem):
    found = verdict(problem, "    return 1\n", "import no_such_module\n")
    assert found.kind == "sandbox_error" and "the test itself is broken" in found.error


def test_a_test_that_passes_a_function_is_no_fault_of_the_candidate(problem):
    found = verdict(problem, "    return 1\n", "def check(candidate): candidate(len)\n")
    assert found.kind == "sandbox_error" and "cannot cross" in found.error


def test_a_module_without_the_function_fails(problem):
    other = dataclasses.replace(problem, entry_point="missing")
    assert judge(other, [problem.solution])[0].error == "KeyError: 'missing'"


def test_a_result_that_a_test_runs_through_for_ever_is_a_timeout(problem, monkeypatch):
    monkeypatch.setattr("trainer.evaluate.judge.verdict.PATIENT_WALL_S", 1.0)
    test = "def check(candidate):\n    for n in candidate([]): pass\n"
    checked = dataclasses.replace(problem, test=test)
    assert judge(checked, ["    result = range(10 ** 18)\n"], limits=Limits(wall_s=1.0))[0].kind == "timeout"


def test_the_next_candidate_knows_nothing_of_the_last(problem):
    body = "    import builtins; builtins.left = 1\n    return 1\n"
    assert passes(problem, body, "assert candidate() == 1")
    assert passes(problem, "    import builtins; return hasattr(builtins, 'left')\n", "assert candidate() is False")


def test_every_verdict_names_its_sandbox(problem, sandbox):
    assert judge(problem, [problem.solution])[0].sandbox == sandbox.split(",")[0]
