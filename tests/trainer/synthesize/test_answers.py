"""What is read out of the base's answers: exercises, assertions, programs; which solutions are kept."""

import pytest

from tests.trainer.synthesize.conftest import CLAMP
from trainer.synthesize.cases import Case
from trainer.synthesize.prompts import describe_function, read_assertions, read_concepts, read_problem, signature_of
from trainer.synthesize.solutions import MAX_KEPT, Solution, agreeing, choose_distinct, passing, read_solutions

LOOP = "def total(n):\n    found = 0\n    for x in n:\n        found += x\n    return found\n"
CALL = "def total(n):\n    return sum(n)\n"
WRONG = "def total(n):\n    return len(n) or 0\n"


def solutions(*codes):
    return read_solutions([f"```python\n{code}```" for code in codes], "total")[0]


@pytest.mark.parametrize(
    "line, case",
    [
        ("assert f(1, 2) == 3", Case(arguments=(1, 2), expected=3)),
        ("assert f([1]) == [2], 'doubled'", Case(arguments=([1],), expected=[2])),
        ("assert f('a') is True", Case(arguments=("a",), expected=True)),
        ("assert not f('b')", Case(arguments=("b",), expected=False)),
        ("assert f(-1)", Case(arguments=(-1,), expected=True)),
    ],
)
def test_an_assertion_of_literals_is_a_case(line, case):
    assert read_assertions(line, "f") == [case]


@pytest.mark.parametrize(
    "line",
    ["assert f(x) == 1", "assert g(1) == 1", "assert f(1) == f(2)", "assert f(1) > 0", "f(1)", "assert",
     "assert f(n=1) == 1", "assert __import__('os').system('true') == 0"],
)  # fmt: skip
def test_what_is_no_assertion_of_literals_counts_for_nothing(line):
    assert read_assertions(line, "f") == []


def test_an_exercise_ends_where_its_example_begins():
    text = "Write a Python function `pairs(items: list) -> int` that counts equal neighbours.\n\nExample:\n```python\n"
    assert read_problem(text) == (
        "Write a Python function `pairs(items: list) -> int` that counts equal neighbours.",
        "pairs",
    )


def test_a_sentence_that_was_cut_off_goes():
    text = "Write a Python function `pairs(items)` that counts equal neighbours. For an empty list it"
    assert read_problem(text)[0].endswith("equal neighbours.")


@pytest.mark.parametrize("text", ["", "Write a Python function that adds numbers to other numbers.", "Write `f`."])
def test_an_exercise_without_a_name_or_a_sentence_is_none(text):
    assert read_problem(text) == ("", "")


def test_concepts_are_listed_once():
    assert read_concepts("1. Loops, loops\n2. String formatting.") == "loops, string formatting"


def test_a_function_is_described_by_what_it_says_and_does():
    text = describe_function(CLAMP, "clamp", [Case(arguments=(12,), expected=10)])
    assert "`clamp(value: int, low: int=0, high: int=LIMIT) -> int`" in text
    assert "Keep a value between two bounds." in text and "`clamp(12)` returns `10`" in text and ">>>" not in text


# #14
def test_a_decorator_stands_before_the_function_and_is_no_code_of_its_own():
    source = "from functools import lru_cache\n\n@lru_cache\ndef double(n):\n    return 2 * n\n"
    text = describe_function(source, "double", [Case(arguments=(2,), expected=4)])
    assert text == "Write a Python function `double(n)`.\n\n\n\n- `double(2)` returns `4`"


def test_an_answer_begins_with_the_signature_and_the_first_line_of_the_docstring():
    doc = "The first letters of all words of a name, in capitals."
    assert signature_of(CLAMP, "initials") == f'def initials(name: str) -> str:\n    """{doc}"""\n'


def test_programs_that_differ_in_names_only_are_one():
    other = LOOP.replace("found", "result").replace("x", "item")
    assert len(solutions(LOOP, other, CALL)) == 2


@pytest.mark.parametrize(
    "code", ["def total(n):\n    pass\n", "def total(n):\n    return 0\n", "def total(n:\n", "x = 1\n"]
)
def test_a_program_that_does_nothing_is_none(code):
    assert read_solutions([f"```python\n{code}```"], "total") == ([], 1)


def test_only_what_is_right_on_all_cases_passes(sandbox):
    cases = [Case(arguments=([1, 2],), expected=3), Case(arguments=([5],), expected=5)]
    assert [each.code for each in passing(solutions(LOOP, WRONG, CALL), "total", cases)] == [LOOP, CALL]


def test_tests_and_solutions_bear_each_other_out(sandbox):
    tests = [Case(arguments=(list(range(n)),), expected=n * (n - 1) // 2) for n in range(3, 7)]
    wrong_test = Case(arguments=([2, 2],), expected=22)
    kept, cases = agreeing(solutions(LOOP, WRONG, CALL), "total", [*tests, wrong_test])
    assert [each.code for each in kept] == [LOOP, CALL] and cases == tests


def test_tests_that_a_stub_passes_count_for_nothing(sandbox):
    tests = [Case(arguments=([n, -n],), expected=0) for n in range(4)]
    assert agreeing(solutions(LOOP, CALL), "total", tests) == ([], [])


def test_one_program_alone_is_borne_out_by_nothing(sandbox):
    tests = [Case(arguments=(list(range(n)),), expected=n * (n - 1) // 2) for n in range(3, 7)]
    assert agreeing(solutions(LOOP), "total", tests) == ([], [])


def test_the_most_unlike_solutions_are_kept():
    made = [Solution(code=str(n), key=str(n), approach=f"a{n % 5}", is_of_seed=n == 11) for n in range(12)]
    kept = choose_distinct(made)
    assert (
        len(kept) == MAX_KEPT
        and kept[0].is_of_seed
        and {each.approach for each in kept[:5]} == {f"a{n}" for n in range(5)}
    )


# #14
def test_an_assertion_of_an_endless_number_counts_for_nothing():
    assert read_assertions(f"assert f(1) == 0x{'f' * 4000}", "f") == []
