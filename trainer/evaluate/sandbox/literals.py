"""Values of built-in types as text that is JSON and, but for `true` and its like, a Python literal.

A list is a JSON list; what JSON has no form for is an object with one key, its kind: `{"t": [1, 2]}` is a tuple.
Both ends of the sandbox use it: its text runs inside too, and imports nothing. An object of a program's own type never
crosses; a subclass of a built-in type crosses as its content, an iterator as the list of what it yields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

MAX_DIGITS_BITS = 10_000  # longer ones are written in hexadecimal, which takes no quadratic time and has no limit
LISTED = ("builtins", "collections", "itertools", "array")  # modules whose other iterables are listed


def encode(value: Any, quote: Callable[[str], str]) -> str:
    """The text of a value.

    Args:
        value: anything.
        quote: writes a str: as JSON does, or `ascii` for a reader that is Python.

    Raises:
        TypeError: it holds an object of another type.
    """
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    kind = type(value)
    if issubclass(kind, str):
        return quote(str.__str__(value))
    if issubclass(kind, int):
        return _integer(int.__int__(value))
    if issubclass(kind, float):
        return _float(float.__float__(value))
    if issubclass(kind, list):
        return _items(list.__iter__(value), quote)
    return _tagged(value, kind, quote)


def _integer(value: int) -> str:
    return repr(value) if value.bit_length() < MAX_DIGITS_BITS else '{"i": "' + hex(value) + '"}'


def _float(value: float) -> str:
    if value != value:
        return "NaN"
    return repr(value).replace("inf", "Infinity")


def _items(values: Iterable[Any], quote: Callable[[str], str]) -> str:
    return "[" + ", ".join([encode(item, quote) for item in values]) + "]"


def _tagged(value: Any, kind: type, quote: Callable[[str], str]) -> str:
    for tag, base in (("t", tuple), ("s", set), ("f", frozenset)):
        if issubclass(kind, base):
            return f'{{"{tag}": {_items(base.__iter__(value), quote)}}}'
    if issubclass(kind, dict):
        return '{"d": ' + _items([list(pair) for pair in dict.items(value)], quote) + "}"
    if issubclass(kind, complex):
        return '{"c": ' + _items([part.__get__(value) for part in (complex.real, complex.imag)], quote) + "}"
    if issubclass(kind, bytes | bytearray):
        return '{"' + ("b" if issubclass(kind, bytes) else "a") + '": "' + bytes(value).hex() + '"}'
    if kind is range:
        return '{"r": ' + _items([value.start, value.stop, value.step], quote) + "}"
    return _other(value, kind, quote)


def _other(value: Any, kind: type, quote: Callable[[str], str]) -> str:
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name in ("decimal.Decimal", "fractions.Fraction"):
        return '{"' + kind.__name__ + '": ' + quote(str(value)) + "}"
    if kind is type({}.keys()):
        return '{"k": ' + _items(value, quote) + "}"
    if name == "re.Match":  # true and equal to nothing else, which is all that tests ask of it
        return '{"o": null}'
    if kind.__module__ in LISTED and hasattr(kind, "__iter__"):
        return '{"n": ' + _items(value, quote) + "}"
    if kind.__module__ == "numpy" and hasattr(kind, "item") and type(number := value.item()).__module__ == "builtins":
        return encode(number, quote)  # a single number, or an array of one: as tests take it
    raise TypeError(f"the result is or holds a {kind.__name__}")


def decode(tree: Any) -> Any:
    """The value of a text that was parsed already, as JSON or as a Python literal.

    Raises:
        ValueError: it was not made by `encode`.
    """
    kind = type(tree)
    if kind is list:
        return [decode(item) for item in tree]
    if kind is not dict:
        return tree
    if len(tree) != 1:
        raise ValueError("an object needs one key")
    [(tag, content)] = tree.items()
    if tag not in _DECODERS:
        raise ValueError(f"unknown kind {tag!r}")
    return _DECODERS[tag](content)


def _decimal(text: str) -> Any:
    from decimal import Decimal

    return Decimal(text)


def _fraction(text: str) -> Any:
    from fractions import Fraction

    return Fraction(text)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "t": lambda items: tuple(decode(items)),
    "s": lambda items: set(decode(items)),
    "f": lambda items: frozenset(decode(items)),
    "d": lambda pairs: {decode(key): decode(value) for key, value in pairs},
    "c": lambda parts: complex(*decode(parts)),
    "b": lambda text: bytes.fromhex(text),
    "a": lambda text: bytearray.fromhex(text),
    "r": lambda parts: range(*decode(parts)),
    "i": lambda text: int(text, 16),
    "k": lambda items: dict.fromkeys(decode(items)).keys(),
    "n": lambda items: iter(decode(items)),
    "o": lambda _: object(),
    "Decimal": _decimal,
    "Fraction": _fraction,
}
