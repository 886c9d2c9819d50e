"""What a seed does, recorded in the sandbox: a candidate must do the same; no stub may."""

from dataclasses import replace

import pytest

from tests.trainer.synthesize.conftest import CLAMP
from trainer.synthesize.cases import Case, is_telling, judge_cases
from trainer.synthesize.inputs import candidate_inputs
from trainer.synthesize.observe import observe
from trainer.synthesize.seeds import find_seeds
from trainer.synthesize.sources import SourceFile

pytestmark = pytest.mark.usefixtures("sandbox")


def seed_of(text, name):
    file = SourceFile(repository="r", path="a.py", commit="c", licence="MIT", text=text)
    return next(seed for seed in find_seeds(file, seed=0) if seed.entry_point == name)


def function(body, parameters="n: int", before=""):
    return f'{before}def f({parameters}):\n    """Does something with it."""\n{body}'


def cases_of(text):
    return observe(seed_of(text, "f"), rng_seed=0)


def test_examples_of_the_docstring_come_first():
    groups = candidate_inputs(CLAMP, "clamp", seed=0)
    assert groups[0][0] == (12,)


def test_annotations_choose_the_values():
    groups = candidate_inputs(function("    return n", "n: list[str] | None, m: 'float' = 1.0"), "f", seed=0)
    kinds = {tuple(type(value) for value in arguments) for arguments in groups[0]}
    assert kinds == {(list, float)}


def test_names_choose_the_values_where_nothing_else_does():
    groups = candidate_inputs(function("    return n", "text, n_words, is_long"), "f", seed=0)
    assert {type(arguments[0]) for arguments in groups[0]} == {str}


def test_a_seed_passes_its_own_cases_and_a_stub_does_not():
    seed = seed_of(CLAMP, "clamp")
    cases = observe(seed, rng_seed=0)
    stub = "def clamp(value, low=0, high=10):\n    return value\n"
    own, of_stub = judge_cases([seed.text, stub], "clamp", cases)
    assert all(own) and not all(of_stub)


def test_an_exception_that_the_seed_raises_itself_is_part_of_what_it_does():
    cases = cases_of(function("    if n < 0:\n        raise ValueError(n)\n    return n * n\n"))
    assert "ValueError" in {case.raises for case in cases}


@pytest.mark.parametrize(
    "body",
    [
        "    return 7\n",
        "    return n\n",
        "    while True:\n        pass\n    return n\n",
        "    return object()\n",
        "    return float('nan')\n",
    ],
)
def test_what_cannot_be_told_from_a_stub_or_told_at_all_is_not_recorded(body):
    seed = seed_of(function("    return 2 * n\n"), "f")
    assert observe(replace(seed, text=function(body)), rng_seed=0) == []


def test_what_differs_from_run_to_run_is_not_recorded():
    seed = seed_of(function("    return 2 * n\n"), "f")
    drawn = function("    return n + int.from_bytes(os.urandom(8), 'big')\n", before="import os\n\n")
    assert observe(replace(seed, text=drawn), rng_seed=0) == []


# #14
def test_the_order_of_a_set_is_not_recorded():
    assert cases_of(function("    return list(set(n))\n", "n: list[str]")) == []
    assert cases_of(function("    return sorted(set(n))\n", "n: list[str]")) != []


def test_a_function_that_changes_its_arguments_is_not_recorded():
    assert cases_of(function("    n.append(len(n))\n    return len(n)\n", "n: list[int]")) == []


def test_a_candidate_that_differs_on_one_case_is_marked_there():
    cases = [Case(arguments=(n,), expected=2 * n) for n in range(4)]
    wrong = "def f(n):\n    return 2 * n if n != 2 else 5\n"
    assert judge_cases([wrong], "f", cases) == [(True, True, False, True)]


def test_a_candidate_that_never_ends_passes_nothing():
    assert judge_cases(["def f(n):\n    while True: pass\n"], "f", [Case(arguments=(1,), expected=1)]) == [(False,)]


def test_true_is_not_one_and_a_list_is_no_tuple():
    cases = [Case(arguments=(1,), expected=True), Case(arguments=(2,), expected=(2,))]
    assert judge_cases(["def f(n):\n    return 1 if n == 1 else [2]\n"], "f", cases) == [(False, False)]


def test_nearly_equal_floats_are_equal():
    assert judge_cases(["def f(n):\n    return 0.1 + 0.2\n"], "f", [Case(arguments=(1,), expected=0.3)]) == [(True,)]


def test_a_candidate_sees_no_expected_value():
    peek = "import sys\ndef f(n):\n    return next(v for k, v in sys.modules.items() if 'cases' in k)\n"
    assert judge_cases([peek], "f", [Case(arguments=(1,), expected=1)]) == [(False,)]


@pytest.mark.parametrize(
    "expected, telling",
    [((None, None), False), ((1, 2), False), ((7, 7), False), ((2, 4), True)],
)
def test_cases_tell_when_every_stub_fails(expected, telling):
    cases = [Case(arguments=(n + 1,), expected=value) for n, value in enumerate(expected)]
    assert is_telling(cases) is telling


# #14
def test_an_endless_number_in_an_example_costs_nothing_else():
    source = function("    return n + 1\n").replace(
        "with it.", f"with it.\n\n    >>> f(0x{'f' * 3800})\n    >>> f(3)\n    4\n    "
    )
    assert candidate_inputs(source, "f", seed=0)[0][0] == (3,)


# #14
def test_a_result_too_long_to_be_written_costs_no_other_case():
    cases = cases_of(function("    return n * n if n < 20 else 1 << 99999\n"))
    assert {case.expected for case in cases} >= {0, 1, 4, 25, 144}


# #14
def test_a_case_that_would_be_masked_in_the_problem_is_none():
    body = "    return '.'.join(text.split('.')[::-1])\n"
    example = "with it.\n\n    >>> f('5.6.7.8')\n    >>> f('192.0.2.1')\n    >>> f('a.b')\n    "
    cases = cases_of(function(body, "text: str").replace("with it.", example))
    assert cases and not [case for case in cases if "5.6.7.8" in case.arguments or "1.2.0.192" == case.expected]
