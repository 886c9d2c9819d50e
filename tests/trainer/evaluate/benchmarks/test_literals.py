import ast
import collections
import enum
import json
import math
import re
from decimal import Decimal
from fractions import Fraction

import pytest

from trainer.evaluate.sandbox.literals import decode, encode

NAMES = {"null": None, "true": True, "false": False, "NaN": math.nan, "Infinity": math.inf}
VALUES = [
    None,
    True,
    0,
    -7,
    2**64,
    -(3**20000),
    1.5,
    -0.0,
    1e-300,
    math.inf,
    -math.inf,
    "",
    'a"b\\c\n\t\0é漢😋\u2028',
    "\ud800",
    b"\xff\0",
    bytearray(b"ab"),
    1 - 2j,
    [],
    [1, [2, [3]]],
    (),
    (1,),
    set(),
    {1, (2, "x")},
    frozenset({frozenset(), 1}),
    {},
    {1: "a", (2, 3): [None], "c": {"t": 1}},
    range(3, 9, 2),
    Decimal("1.10"),
    Fraction(1, 3),
]


def through_json(value):
    return decode(json.loads(encode(value, json.dumps)))


def through_python(value):
    return decode(eval(encode(value, ascii), dict(NAMES)))


@pytest.mark.parametrize("through", [through_json, through_python])
@pytest.mark.parametrize("value", VALUES, ids=map(str, range(len(VALUES))))
def test_a_value_comes_back_as_it_was(value, through):
    back = through(value)
    assert type(back) is type(value) and back == value


def test_minus_zero_keeps_its_sign():
    assert repr(through_json(-0.0)) == "-0.0"


@pytest.mark.parametrize("through", [through_json, through_python])
def test_nan_comes_back(through):
    assert math.isnan(through(math.nan))


def test_text_for_python_is_ascii_on_one_line():
    text = encode(["\n\r\u2028é😋\ud800"], ascii)
    assert text.isascii() and len(text.splitlines()) == 1
    assert ast.literal_eval(text) == ["\n\r\u2028é😋\ud800"]


class Level(enum.IntEnum):
    LOW = 1


Pair = collections.namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (Pair(1, 2), (1, 2)),
        (Level.LOW, 1),
        (type("Text", (str,), {"__str__": lambda self: "no"})("yes"), "yes"),
        (type("Number", (int,), {"__int__": lambda self: 5, "__repr__": lambda self: "5"})(3), 3),
    ],
)
def test_a_subclass_crosses_as_its_content(value, content):
    back = through_json(value)
    assert (type(back), back) == (type(content), content)


@pytest.mark.parametrize(
    "value",
    [
        iter([1, 2]),
        map(int, "12"),
        (n for n in (1, 2)),
        reversed([2, 1]),
        {1: 0, 2: 0}.values(),
        collections.deque([1, 2]),
    ],
)
def test_what_can_be_read_once_is_listed(value):
    value = {1: 1, 2: 2}.values() if isinstance(value, type({}.values())) else value
    assert list(through_json(value)) == [1, 2]


def test_an_iterator_does_not_become_equal_to_a_list():
    assert through_json(map(int, "12")) != [1, 2]


def test_keys_stay_equal_to_a_set():
    assert through_json({1: 0, 2: 0}.keys()) == {1, 2}


def test_a_match_is_true_and_equal_to_nothing():
    match = re.match("a", "a")
    assert through_json(match)
    assert through_json(match) not in (True, "a", match)


@pytest.mark.parametrize("value", [object(), len, lambda: 0, [object()], {1: math}], ids=range(5))
def test_other_objects_do_not_cross(value):
    with pytest.raises(TypeError, match="the result is or holds a"):
        encode(value, json.dumps)


@pytest.mark.parametrize(
    "text",
    [
        '{"x": 1}',
        '{"t": [1], "s": []}',
        "{}",
        '{"t": 1}',
        '{"s": [[]]}',
        '{"b": "zz"}',
        '{"r": []}',
        '{"i": []}',
        '{"d": [1]}',
    ],
)
def test_other_text_is_refused(text):
    with pytest.raises((ValueError, TypeError)):
        decode(json.loads(text))
