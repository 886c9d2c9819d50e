"""The rules of EvalPlus on cases worked out by hand."""

import math

import pytest

from trainer.evaluate.benchmarks import oracle
from trainer.evaluate.benchmarks.evalplus import _with_types

EQUAL = {  # expected, right results, wrong results
    "integers": (3, [3, 3.0, True + 2], [4, "3", None]),
    "floats within a millionth": (1.0, [1.0, 1.0000001], [1.00001, 1 + 1e-5, "1.0", None]),
    "an integer for a float is exact or wrong": (1e-9, [1e-9, 2e-9], [0]),
    "lists of floats": ([1.0, 2.0], [[1.0, 2.0000001]], [[1.0], [1.0, 2.1], (1.0, 2.0000001), [1.0, "2"]]),
    "lists of integers": ([1, 2], [[1, 2]], [[2, 1], (1, 2), [1, 2, 3]]),
    "an empty list": ([], [[]], [(), [0.0]]),
    "infinity": (math.inf, [math.inf], [1e308, -math.inf]),
}


@pytest.mark.parametrize("case", EQUAL)
def test_equal_results_are_right(case):
    expected, right, wrong = EQUAL[case]
    assert [oracle.equal([], result, expected, 0) for result in right] == [True] * len(right)
    assert [oracle.equal([], result, expected, 0) for result in wrong] == [False] * len(wrong)


def test_the_tolerance_of_a_task_is_taken():
    assert oracle.equal([], 1.00005, 1.0, 1e-4)
    assert not oracle.equal([], 1.0005, 1.0, 1e-4)


def test_large_numbers_may_differ_by_a_ten_millionth():
    assert oracle.equal([], 1e9 + 50, 1e9, 0)
    assert not oracle.equal([], 10**9 + 50, 10**9, 0)  # integers may not


def test_sets_are_compared_without_order():
    assert oracle.equal_sets([], (2, 1), (1, 2), 0)
    assert not oracle.equal_sets([], (2,), (1, 2), 0)


@pytest.mark.parametrize(("expected", "result", "is_right"), [("m", "x", True), (None, None, True), ("m", None, False)])
def test_presence_is_compared(expected, result, is_right):
    assert oracle.equal_presence([], result, expected, 0) is is_right
    assert oracle.equal_presence([], result is not None, expected, 0) is is_right


def test_any_root_is_right():
    polynomial = [[-2.0, 1.0, 1.0]]  # (x - 1)(x + 2)
    assert oracle.is_root(polynomial, 1.0, None, 1e-4)
    assert oracle.is_root(polynomial, -2.0, None, 1e-4)
    assert not oracle.is_root(polynomial, 0.0, None, 1e-4)


def test_both_heights_of_a_pyramid_are_right():
    # edge 6, slant height 4: 36 + 2 * 6 * 4; upright height 4: its slant is 5
    assert oracle.equal_or_upright_surface([6, 4], 84, 84, 0)
    assert oracle.equal_or_upright_surface([6, 4], 96, 84, 0)
    assert not oracle.equal_or_upright_surface([6, 4], 90, 84, 0)


def test_both_distances_of_numbers_are_right():
    # 123 and 5: 5 - 123 has digits 1, 1, 8; filled up, 1 + 2 + 2
    assert oracle.equal_or_padded_distance([123, 5], 10, 10, 0)
    assert oracle.equal_or_padded_distance([123, 5], 5, 10, 0)
    assert not oracle.equal_or_padded_distance([123, 5], 6, 10, 0)


def test_zero_or_equal():
    assert [oracle.equal_or_zero([], result, 7, 0) for result in (7, 0, 1)] == [True, True, False]


def check(candidate, inputs, *, reference="def right(x): return len(x)"):
    options = {"reference": reference, "entry_point": "right", "inputs": repr(inputs)}
    oracle.check_against_reference(candidate, **options, tolerance=0, agrees=oracle.equal)


def test_a_candidate_that_changes_its_arguments_changes_its_own():
    def clear(numbers):
        n_numbers = len(numbers)
        numbers.clear()
        return n_numbers

    check(clear, [[[1, 2]]])
    check(len, [[[1, 2]]])


def test_the_wrong_input_is_named():
    with pytest.raises(AssertionError, match="wrong on input 2 of 3"):
        check(abs, [[1], [-1], [2]], reference="def right(x): return x")


def test_infinity_is_an_input():
    check(lambda x: x, [[math.inf]], reference="def right(x): return x")


@pytest.mark.parametrize(("length", "n_computed"), [(3, 1), (oracle.MAX_KEPT_LENGTH + 1, 2)])
def test_what_is_right_is_computed_once_for_two_completions_unless_it_is_large(tmp_path, length, n_computed):
    seen = tmp_path / "seen"
    reference = (
        f"def right(x):\n    with open({str(seen)!r}, 'a') as file:\n        file.write('x')\n    return [1] * x\n"
    )
    for _ in range(2):
        check(lambda x: [1] * x, [[length]], reference=reference)
    assert len(seen.read_text()) == n_computed


TYPES = {
    2: ([[1], [2]], [(1,), (2,)]),
    63: ([[[1], [2]]], [[(1,), (2,)]]),
    75: ([[[1]], 2], [[(1,)], 2]),
    106: ([[1], [2]], [[1], (2,)]),
    115: ([[[1, 1], []]], [[{1}, {}]]),  # EvalPlus makes an empty dict of an empty set
    124: (["1", "2j"], [1.0, 2j]),
    250: ([[1], 1], [(1,), 1]),
    307: ([[1], 1, 2], [(1,), 1, 2]),
    252: (["1+2j"], [1 + 2j]),
    259: ([[[1]], [[2]]], [((1,),), ((2,),)]),
    278: ([[1, [2]]], [(1, (2,))]),
    580: ([[1, [2, [3]]]], ((1, (2, (3,))),)),
    722: ([{"a": [1]}, 2], [{"a": (1,)}, 2]),
    1: ([[1], 2], [[1], 2]),
}


@pytest.mark.parametrize("task", TYPES)
def test_arguments_get_their_types_back(task):
    arguments, typed = TYPES[task]
    assert _with_types(task)(arguments) == typed
