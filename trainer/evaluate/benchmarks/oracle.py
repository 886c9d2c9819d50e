"""EvalPlus's check: what a function returns, beside what the reference returns, on many inputs.

The source of this file becomes part of each problem's test and runs far from here: the standard library only.
Rules: EvalPlus 0.3.1 (Liu et al. 2023, Apache-2.0), written anew. One difference: where the reference returns floats, a
difference of 1e-6 is allowed for that input alone, there for all later inputs of the problem too.
"""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

FLOAT_TOLERANCE = 1e-6
RELATIVE_TOLERANCE = 1e-7

# (arguments, result, expected, absolute tolerance) -> is the result right
Agrees = Callable[[Sequence[Any], Any, Any, float], bool]


def check_against_reference(
    candidate: Callable[..., Any],
    reference: Callable[..., Any],
    inputs: Sequence[Sequence[Any]],
    *,
    tolerance: float,
    agrees: Agrees,
) -> None:
    """Raise AssertionError at the first input on which the candidate is wrong; each gets arguments of its own."""
    for number, arguments in enumerate(inputs):
        expected = reference(*copy.deepcopy(arguments))
        result = candidate(*copy.deepcopy(arguments))
        assert agrees(arguments, result, expected, tolerance), f"wrong on input {number + 1} of {len(inputs)}"


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
