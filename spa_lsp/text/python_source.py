"""Other people's Python as a syntax tree: without warnings about it, and None where it is none. Nothing is run."""

import ast
import warnings

UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)  # ValueError: NUL; the last two: nested too deep


def parse_python(source: str) -> ast.Module | None:
    """The tree of a source; None when it cannot be parsed."""
    try:
        return parse_or_raise(source)
    except UNREADABLE:
        return None


def parse_or_raise(source: str) -> ast.Module:
    """The tree of a source.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: it cannot be parsed; see `UNREADABLE`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" in a completion is nothing that the user could fix
        return ast.parse(source)
