"""EvalPlus's check: what a function returns, beside what the reference returns, on many inputs.

Runs in the process of the test, never in the sandbox. Rules: EvalPlus 0.3.1 (Liu et al. 2023, Apache-2.0), written
anew. One difference: where the reference returns floats, a difference of 1e-6 is allowed for that input alone, there
for all later inputs of the problem too.
"""

import copy
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

FLOAT_TOLERANCE = 1e-6
RELATIVE_TOLERANCE = 1e-7
MAX_KEPT_LENGTH = 10_000  # longer results, of megabytes, are computed again each time

# (arguments, result, expected, absolute tolerance) -> is the result right
Agrees = Callable[[Sequence[Any], Any, Any, float], bool]


def check_against_reference(
    candidate: Callable[..., Any], *, reference: str, entry_point: str, inputs: str, tolerance: float, agrees: Agrees
) -> None:
    """Raise AssertionError at the first input on which the candidate is wrong; each gets arguments of its own.

    Args:
        candidate: the function that is tested.
        reference: source of a module that has the right function.
        entry_point: its name there.
        inputs: a list of lists of arguments, as `repr` writes it.
        tolerance: absolute, for floats; 0 is the default one.
        agrees: whether a result is right.
    """
    known = _reference(reference, entry_point, inputs)
    for number, arguments in enumerate(known.inputs):
        expected = known.expected(number)
        result = candidate(*copy.deepcopy(arguments))
        assert agrees(arguments, result, expected, tolerance), f"wrong on input {number + 1} of {len(known.inputs)}"


class Reference:
    """What is right for each input: computed when it is first asked for, then known."""

    def __init__(self, source: str, entry_point: str, inputs: str) -> None:
        scope: dict[str, Any] = {}
        exec(source, scope)
        self.function: Callable[..., Any] = scope[entry_point]
        self.inputs: list[Sequence[Any]] = eval(inputs, {"inf": math.inf, "nan": math.nan})
        self._known: dict[int, Any] = {}

    def expected(self, number: int) -> Any:
        """The result for an input."""
        if number in self._known:
            return self._known[number]
        result = self.function(*copy.deepcopy(self.inputs[number]))
        if not hasattr(result, "__len__") or len(result) <= MAX_KEPT_LENGTH:
            self._known[number] = result
        return result


# completions are judged problem by problem, so that those of one share what is right
_reference = functools.lru_cache(maxsize=1)(Reference)


def equal(arguments: Sequence[Any], result: Any, expected: Any, tolerance: float) -> bool:
    """The rule for nearly all: equal, or for floats close."""
    if result == expected:
        return True
    if tolerance == 0 and _is_floats(expected):
        tolerance = FLOAT_TOLERANCE
    return tolerance != 0 and type(result) is type(expected) and _is_close(result, expected, tolerance)


def equal_sets(arguments: Sequence[Any], result: Any, expected: Any, tolerance: float) -> bool:
    """Tasks that leave the order open."""
    return set(result) == set(expected)


def equal_presence(arguments: Sequence[Any], result: Any, expected: Any, tolerance: float) -> bool:
    """Tasks whose reference returns a match object or None: only whether there is one counts."""
    is_present = expected if isinstance(expected, bool) else expected is not None
    return is_present == (result if isinstance(result, bool) else result is not None)


def anything(arguments: Sequence[Any], result: Any, expected: Any, tolerance: float) -> bool:
    """Mbpp/164, whose task contradicts its reference: EvalPlus takes every answer."""
    return True


def equal_or_zero(arguments: Sequence[Any], result: Any, expected: Any, tolerance: float) -> bool:
    """Mbpp/295, whose task can be read so that the sum of divisors is that of none."""
    return result == 0 or equal(arguments, result, expected, tolerance)


def is_root(arguments: Sequence[Any], result: Any, expected: Any, tolerance: float) -> bool:
    """HumanEval/32: any root of the polynomial whose coefficients are the argument."""
    value = sum(factor * math.pow(result, power) for power, factor in enumerate(arguments[0]))
    return bool(abs(value) <= tolerance)


def equal_or_upright_surface(arguments: Sequence[Any], result: Any, expected: Any, tolerance: float) -> bool:
    """Mbpp/581: the height of the pyramid may be that of its sides or that of its tip."""
    edge, height = arguments
    upright = round(edge**2 + 2 * edge * math.sqrt((edge / 2) ** 2 + height**2))
    return equal(arguments, result, expected, tolerance) or abs(result - upright) <= tolerance


def equal_or_padded_distance(arguments: Sequence[Any], result: Any, expected: Any, tolerance: float) -> bool:
    """Mbpp/558: the shorter number may be filled up with zeros."""
    first, second = map(str, arguments)
    width = max(len(first), len(second))
    pairs = zip(first.zfill(width), second.zfill(width), strict=True)
    return bool(result == sum(abs(int(a) - int(b)) for a, b in pairs)) or equal(arguments, result, expected, tolerance)


def _is_floats(value: Any) -> bool:
    return isinstance(value, float) or (
        isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(item, float) for item in value)
    )


def _is_close(result: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, list | tuple):
        return (
            isinstance(result, list | tuple)
            and len(result) == len(expected)
            and all(_is_close(one, other, tolerance) for one, other in zip(result, expected, strict=True))
        )
    if not isinstance(expected, int | float | complex) or not isinstance(result, int | float | complex):
        return bool(result == expected)
    room = tolerance + RELATIVE_TOLERANCE * abs(expected)
    return bool(result == expected or (math.isfinite(room) and abs(result - expected) <= room))
