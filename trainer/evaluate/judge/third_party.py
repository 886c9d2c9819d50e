"""Imports of a program that the sandbox's Python does not have: those it never uses go, the others are named.

Nothing is run. A name counts as used wherever the program reads it, so a needed import never goes.
"""

import ast
import re
import sys
from collections.abc import Iterator

from spa_lsp.text.python_source import parse_python

_MISSING = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")

Import = ast.Import | ast.ImportFrom


def without_unused(program: str) -> str:
    """The program without the third-party imports whose names it never reads; each leaves a `pass`, or the others.

    Imports in a `try` stay: such a program knows what to do without the package.
    """
    tree = parse_python(program)
    if tree is None:
        return program
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store)}
    guarded = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.Try) for inner in ast.walk(node)}
    lines = program.encode().splitlines(keepends=True)  # the tree counts columns in bytes of UTF-8
    for node in sorted(_third_party(tree), key=lambda node: (node.lineno, node.col_offset), reverse=True):
        kept = [alias for alias in node.names if _is_needed(node, alias, read)]
        if len(kept) < len(node.names) and id(node) not in guarded:
            _replace(lines, node, _with_names(node, kept))
    return b"".join(lines).decode()


def missing_package(program: str, error: str) -> str:
    """The package that a program was ended for, `numpy`; empty when it was another error, or its own making."""
    found = _MISSING.match(error)
    tree = parse_python(program) if found else None
    if not found or tree is None or not any(_third_party(tree)):
        return ""
    package = found[1].partition(".")[0]
    return "" if package in sys.stdlib_module_names else package


def _third_party(tree: ast.Module) -> Iterator[Import]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) if any(_is_third_party(alias.name) for alias in names):
                yield node
            case ast.ImportFrom(module=str(module), level=0) if _is_third_party(module):
                yield node


def _is_third_party(module: str) -> bool:
    return module.partition(".")[0] not in sys.stdlib_module_names


def _is_needed(node: Import, alias: ast.alias, read: set[str]) -> bool:
    bound = alias.asname or (alias.name.partition(".")[0] if isinstance(node, ast.Import) else alias.name)
    is_own = isinstance(node, ast.Import) and not _is_third_party(alias.name)
    return is_own or bound == "*" or bound in read


def _with_names(node: Import, kept: list[ast.alias]) -> str:
    if not kept:
        return "pass"
    left = ast.Import(names=kept) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, kept, node.level)
    return ast.unparse(left)


def _replace(lines: list[bytes], node: Import, text: str) -> None:
    """Put a text in the place of a statement; the lines below keep their numbers."""
    assert node.end_lineno is not None and node.end_col_offset is not None
    first, last = node.lineno - 1, node.end_lineno - 1
    tail = lines[last][node.end_col_offset :]
    lines[first] = lines[first][: node.col_offset] + text.encode() + tail
    lines[first + 1 : last + 1] = [b"\n"] * (last - first)
