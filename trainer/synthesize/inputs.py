"""Arguments to try a function with, without a model: from its examples, its annotations, its parameters' names.

Nothing here knows which of them make sense: that shows when the function is run. Always the same for a seed. Pure.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from doctest import DocTestParser
from itertools import product
from random import Random
from typing import Any

from trainer.evaluate.sameness.normalize import entry_function

MAX_INPUTS = 160
_PER_GROUP = 20
_MAX_TEXT = 300  # characters of all arguments, written as Python

Arguments = tuple[Any, ...]

_WORDS = (
    "a", "level", "Hello World", "one two  two", "a,b;c", "x1y22z", "", "foo_bar-Baz", "Ünï", "3.14", "/usr/lib/x.py",
    "first line\n\nsecond [b]line[/b]\n", "<i>it's</i> & \"so\"\t",
)  # fmt: skip
_VALUES: dict[str, tuple[Any, ...]] = {
    "int": (0, 1, 2, 3, 5, 7, 10, 12, 25, 100, -1, -4, 255),
    "float": (0.0, 0.5, 1.0, 2.5, -1.5, 3.25, 10.0, 100.75),
    "bool": (True, False),
    "str": _WORDS,
    "bytes": (b"", b"abc", b"\x00\xff", b"hello world"),
    "None": (None,),
    "list[int]": ([], [1], [3, 1, 2], [5, 5, 1, 0], [-2, 7, 4, 4, 9], [1, 2, 3, 4, 5, 6]),
    "list[float]": ([], [0.5], [1.5, -2.0, 3.25], [2.0, 2.0, 4.5]),
    "list[str]": ([], ["a"], ["b", "a", "c"], ["one", "two", "two"], ["x", "", "Yy", "zzz"]),
    "list[list[int]]": ([], [[1]], [[1, 2], [3, 4]], [[0, 1, 0], [2, 0, 3], [4, 5, 6]], [[1], [2, 3], []]),
    "dict[str, int]": ({}, {"a": 1}, {"a": 1, "b": 2, "c": 3}, {"x": 0, "y": -5}),
    "dict[str, str]": ({}, {"a": "b"}, {"name": "x", "kind": "y"}),
    "set[int]": (set(), {1}, {1, 2, 3}, {2, 9}),
    "tuple[int, ...]": ((), (1, 2), (3, 1, 2), (4, 4)),
    "tuple[int, int]": ((0, 0), (1, 2), (3, -1), (5, 5)),
}
# the last word of a parameter's name; the first line that has it counts
_BY_NAME = (
    ("flag strict reverse reversed force", ("bool",)),
    (
        "text string str s name line word key path url prefix suffix sep delimiter source code char msg message label "
        "html doc docstring title",
        ("str",),
    ),
    (
        "n m i j k num number count size width height length index depth level start stop end limit year base step "
        "seconds r total",
        ("int",),
    ),
    ("x y z a b t value val v c", ("int", "float", "str")),
    ("words lines names strings strs keys parts tokens args paths labels suffixes", ("list[str]",)),
    ("matrix grid rows board table", ("list[list[int]]",)),
    ("d dict mapping map data config options kwargs counts", ("dict[str, int]", "dict[str, str]")),
    (
        "items lst list values nums numbers seq sequence array arr elements iterable it xs l perm p",
        ("list[int]", "list[str]", "tuple[int, ...]"),
    ),
    ("point pair pos position range interval", ("tuple[int, int]",)),
)
_KINDS_BY_NAME = {name: kinds for names, kinds in reversed(_BY_NAME) for name in names.split()}
_YES_OR_NO = re.compile(r"(is|has|use|with|allow|include|keep|ignore)_")
_ANY = (
    "int",
    "str",
    "list[int]",
    "list[str]",
    "float",
    "dict[str, int]",
    "list[list[int]]",
    "tuple[int, int]",
    "bytes",
)
_SAME = {
    "List": "list", "Dict": "dict", "Set": "set", "Tuple": "tuple", "FrozenSet": "set", "frozenset": "set",
    "Sequence": "list", "MutableSequence": "list", "Iterable": "list", "Collection": "list", "Iterator": "list",
    "Mapping": "dict", "MutableMapping": "dict", "AnyStr": "str", "Text": "str", "complex": "float", "Number": "float",
}  # fmt: skip
_ELEMENTS = {"list": "list[int]", "dict": "dict[str, int]", "set": "set[int]", "tuple": "tuple[int, ...]"}


def candidate_inputs(source: str, entry_point: str, *, seed: int) -> list[list[Arguments]]:
    """Groups of arguments, the one most likely to make sense first: within a group they are of the same types.

    The first are those of examples in the docstring, and what is like them.
    """
    function = entry_function(source, entry_point)
    assert function is not None, entry_point
    rng = Random(f"{seed}:{entry_point}:{len(source)}")
    examples = [arguments for arguments in doctest_arguments(function, entry_point) if _is_short(arguments)]
    groups = [_distinct([*examples, *_like(examples, rng)])] if examples else []
    kinds = [_kinds(argument, default) for argument, default in _parameters(function)]
    if sum(own == list(_ANY) for own in kinds) > 1:
        kinds = []  # that two guesses fit each other would be chance, and what comes out nonsense
    for chosen in list(product(*kinds))[:12] if kinds else []:
        pool = [tuple(rng.choice(_VALUES[kind]) for kind in chosen) for _ in range(3 * _PER_GROUP)]
        groups.append(_distinct(pool)[:_PER_GROUP])
    n_left, kept = MAX_INPUTS, []
    for group in groups:
        kept.append(group[:n_left])
        n_left -= len(kept[-1])
    return [group for group in kept if group]


def doctest_arguments(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> list[Arguments]:
    """The literal arguments of all calls of the function in its docstring's examples."""
    try:
        examples = DocTestParser().get_examples(ast.get_docstring(function) or "")
    except ValueError:  # a docstring that only looks as if it had some
        return []
    return [found for example in examples for found in calls_in(example.source, name)]


def calls_in(source: str, name: str) -> Iterator[Arguments]:
    """The arguments of calls of this name where all are literals and none is named."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in nodes:
        if isinstance(node, ast.Call) and _called(node) == name and not node.keywords:
            try:
                yield tuple(ast.literal_eval(argument) for argument in node.args)
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                continue


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[tuple[ast.arg, ast.expr | None]]:
    """Those that must be given, and the optional ones among the first three, each with its default."""
    arguments = [*function.args.posonlyargs, *function.args.args]
    defaults: list[ast.expr | None] = [None] * (len(arguments) - len(function.args.defaults))
    pairs = list(zip(arguments, [*defaults, *function.args.defaults], strict=True))
    return [pair for number, pair in enumerate(pairs) if pair[1] is None or number < 3]


def _kinds(argument: ast.arg, default: ast.expr | None) -> list[str]:
    """What kinds of values to try, the most likely first."""
    if argument.annotation is not None and (found := _of_annotation(argument.annotation)):
        return found
    given = _of_default(default)
    last = argument.arg.rpartition("_")[2]
    named = ("bool",) if _YES_OR_NO.match(argument.arg) else _KINDS_BY_NAME.get(last, ())
    rest = () if named or given else _ANY
    return list(dict.fromkeys([*given, *named, *rest]))


def _of_default(default: ast.expr | None) -> list[str]:
    if not isinstance(default, ast.Constant) or default.value is None:
        return []
    kind = type(default.value).__name__
    return [kind] if kind in _VALUES else []


def _of_annotation(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            try:
                return _of_annotation(ast.parse(text, mode="eval").body)
            except SyntaxError:
                return []
        case ast.Constant(value=None):
            return []
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return list(dict.fromkeys([*_of_annotation(left), *_of_annotation(right)]))
        case ast.Subscript(value=value, slice=inner):
            return _of_generic(_last_name(value), inner)
        case _:
            name = _last_name(node)
            name = _SAME.get(name, name)
            return [kind] if (kind := _ELEMENTS.get(name, name)) in _VALUES else []


def _of_generic(name: str, inner: ast.expr) -> list[str]:
    if name in ("Optional", "Union"):
        parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        return list(dict.fromkeys(kind for part in parts for kind in _of_annotation(part)))
    name = _SAME.get(name, name)
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    kinds = ", ".join((_of_annotation(part) or ["?"])[0] if not _is_dots(part) else "..." for part in parts)
    whole = f"{name}[{kinds}]"
    return [whole] if whole in _VALUES else [_ELEMENTS[name]] if name in _ELEMENTS else []


def _is_dots(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _like(examples: Sequence[Arguments], rng: Random) -> list[Arguments]:
    """Examples with one argument changed a little, or taken from another example."""
    found = []
    for _ in range(4 * _PER_GROUP):
        arguments = list(rng.choice(examples))
        if not arguments:
            continue
        at = rng.randrange(len(arguments))
        others = [other[at] for other in examples if len(other) > at]
        arguments[at] = rng.choice(others) if rng.random() < 0.3 else _changed(arguments[at], rng)
        found.append(tuple(arguments))
    return [arguments for arguments in found if _is_short(arguments)]


def _changed(value: Any, rng: Random) -> Any:
    """A value of the same type that is a little different."""
    match value:
        case bool():
            return not value
        case int():
            return rng.choice((value + 1, value - 1, value * 2, value // 2, abs(value), value + rng.randint(2, 9)))
        case float():
            return rng.choice((value + 0.5, value - 1.0, value * 2, round(value, 1)))
        case str():
            return rng.choice((value[1:], value[:-1], value[::-1], value + value, value.upper(), f"{value} x", ""))
        case list() | tuple():
            items = list(value)
            rng.shuffle(items)
            more = [_changed(item, rng) if rng.random() < 0.5 else item for item in items]
            changed = rng.choice((items, items[1:], more, [*items, *items[:1]]))
            return changed if isinstance(value, list) else tuple(changed) if len(changed) == len(value) else tuple(more)
        case dict():
            return {key: _changed(item, rng) for key, item in value.items()}
    return value


def _distinct(groups: Sequence[Arguments]) -> list[Arguments]:
    return list({repr(arguments): arguments for arguments in groups}.values())[: 2 * _PER_GROUP]


def _is_short(arguments: Arguments) -> bool:
    try:
        return len(repr(arguments)) <= _MAX_TEXT
    except ValueError:  # Python writes no number of thousands of digits
        return False
