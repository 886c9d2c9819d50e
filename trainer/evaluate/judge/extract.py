"""From a chat answer to the module that is judged: the code found in it, completed from what the question showed.

Nothing is run, and nothing is fixed but indentation and what the question itself had given.
"""

import ast
import re
import symtable
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from spa_lsp.text.python_source import UNREADABLE, parse_or_raise
from trainer.data.fences import fenced_blocks, plain_lines
from trainer.evaluate.benchmarks.text import text_before_function

_TESTING = {"unittest", "doctest", "pytest"}  # what they are told runs tests
_ACTING = {"exit", "flush", "main", "read", "readline", "show", "sleep", "system", "testmod", "write", "writelines"}
_SAYING = {"print", "pprint", "input", "exit", "quit", "help"}
OPENS_CODE = re.compile(r"[ \t]*(?:import\s|from\s+[\w.]+\s+import\s|(?:async\s+)?def\s|class\s|@\w)")


def extract_code(answer: str, entry_point: str, *, stub: str = "") -> str:
    """The module with `entry_point` that an answer gives; an answer without one comes back as it is, and fails.

    Looked for in this order: a fenced block that defines the function, the first of several; unfenced lines that do,
    with prose around them; the function's body alone, if `stub` has its signature. Kept are its imports and what the
    function needs, also out of other blocks and of the stub; the model's own examples and tests go.

    Args:
        answer: the text of one chat turn, perhaps cut off.
        entry_point: name of the function that was asked for.
        stub: the Python text that the question showed: imports, helpers, signature, docstring.
    """
    answer = plain_lines(answer)
    blocks = [block.code for block in fenced_blocks(answer)]
    for block in blocks or [answer]:
        found = _lines_with(block, entry_point)
        if found is not None:
            given = [text_before_function(stub, entry_point), *(other for other in blocks if other != block)]
            return _module(found, entry_point, given)
    bodies = (_around_body(text, entry_point, stub) for text in blocks or [answer])
    return next(filter(None, bodies), blocks[0] if blocks else answer)


def _lines_with(text: str, entry_point: str) -> str | None:
    """The text, or the longest run of its lines from an opening of code on, that is Python and defines the function."""
    lines = text.split("\n")
    signature = re.compile(rf"\s*(?:async\s+)?def\s+{re.escape(entry_point)}\b")
    at = next((number for number, line in enumerate(lines) if signature.match(line)), None)
    if at is None:
        return None
    for first, last in [(0, len(lines)), *_runs(lines, at)]:
        run = textwrap.dedent("\n".join(lines[first:last]))
        if entry_point in (name for statement in _statements(run) for name in statement.binds):
            return run
    return None


def _runs(lines: Sequence[str], at: int) -> Iterator[tuple[int, int]]:
    """First and last line of all runs around line `at` that begin like code, the longest of each beginning first."""
    for first in range(at + 1):
        if OPENS_CODE.match(lines[first]):
            yield from ((first, last) for last in range(len(lines), at + 1, -1))


@dataclass(frozen=True, kw_only=True)
class _Statement:
    """One statement of a module's top level, its lines whole, and the global names it binds and reads."""

    text: str
    binds: frozenset[str]
    reads: frozenset[str]
    is_import: bool
    is_guard: bool  # `if __name__ == …`
    changes: frozenset[str] = (
        frozenset()
    )  # names of what it changes without binding them: `memo[0] = 0`, `sieve.sort()`


def _statements(source: str) -> list[_Statement]:
    """The top level of a module; empty when it is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in an answer is nothing that the user could fix
            compile(source, "<answer>", "exec", dont_inherit=True)  # finds more than ast.parse; runs nothing
            nodes = parse_or_raise(source).body
            return [_statement("\n".join(lines), node) for lines, node in _with_lines(source, nodes)]
    except UNREADABLE:
        return []


def _with_lines(source: str, nodes: Sequence[ast.stmt]) -> Iterator[tuple[list[str], ast.stmt]]:
    """Each statement with its lines; of several in one line the first has it."""
    lines = source.split("\n")
    done = 0
    for node in nodes:
        decorators = getattr(node, "decorator_list", [])
        first = min(node.lineno, *(decorator.lineno for decorator in decorators), node.lineno) - 1
        if first >= done:
            done = max(_end(node), *(_end(other) for other in nodes if other.lineno == node.lineno), 0)
            yield lines[first:done], node


def _end(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno


def _statement(text: str, node: ast.stmt) -> _Statement:
    scopes = [symtable.symtable(text, "<answer>", "exec")]
    binds = {symbol.get_name() for symbol in scopes[0].get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    reads: set[str] = set()
    while scopes:
        scope = scopes.pop()
        scopes += scope.get_children()
        is_module = scope.get_type() == "module"
        reads |= {s.get_name() for s in scope.get_symbols() if s.is_referenced() and (is_module or s.is_global())}
    return _Statement(
        text=text,
        binds=frozenset(binds),
        reads=frozenset(reads),
        is_import=isinstance(node, ast.Import | ast.ImportFrom),
        is_guard=isinstance(node, ast.If) and "__name__" in ast.unparse(node.test),
        changes=frozenset(_changed_names(node)),
    )


def _changed_names(node: ast.stmt) -> Iterator[str]:
    """What a statement that runs with the module changes: an item or an attribute, or by a method, or a function."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assert):
        return
    for inner in ast.walk(node):
        match inner:
            case ast.Subscript(ctx=ast.Store() | ast.Del()) | ast.Attribute(ctx=ast.Store() | ast.Del()):
                yield from _base_names(inner)
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name) as method) as call) if name not in _ACTING:
                yield from _base_names(method)
                yield from (each.id for each in call.args if isinstance(each, ast.Name))
            case ast.Expr(value=ast.Call(func=ast.Name(id=name)) as call) if name not in _SAYING:
                yield from (each.id for each in call.args if isinstance(each, ast.Name))


def _base_names(node: ast.expr) -> Iterator[str]:
    """`memo` of `memo[0].x`, `getcontext` of `getcontext().prec`."""
    while isinstance(node, ast.Subscript | ast.Attribute | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Name):
        yield node.id


def _module(source: str, entry_point: str, given: Sequence[str]) -> str:
    """What of the source the function needs, and what it needs of the texts given besides."""
    own = [statement for statement in _statements(source) if not statement.is_guard]
    bound = {name for statement in own for name in statement.binds}
    others: list[_Statement] = []
    for statement in (statement for text in given for statement in _statements(text)):
        if not statement.is_guard and not statement.binds & bound:
            others.append(statement)
            bound |= statement.binds
    needed = _needed([*others, *own], entry_point)
    kept = [*filter(needed.__contains__, others), *(item for item in own if item.is_import or item in needed)]
    kept.sort(key=lambda statement: not statement.text.startswith("from __future__"))  # stable
    return "\n".join(f"{statement.text}\n" for statement in kept)


def _needed(statements: Sequence[_Statement], entry_point: str) -> set[_Statement]:
    """The statements that bind or change what the entry point reads, or what these read, and so on.

    What an imported module is told, `sys.setrecursionlimit(…)`, counts as read. What calls the function is an example.
    """
    imported = {name for statement in statements if statement.is_import for name in statement.binds} - _TESTING
    names, needed = {entry_point} | imported, set[_Statement]()
    while new := {statement for statement in statements if _gives(statement, names, entry_point)} - needed:
        needed |= new
        names |= {name for statement in new for name in statement.reads | statement.binds}
    return {
        statement for statement in needed if not statement.is_import or statement.binds & _read_by(needed, entry_point)
    }


def _gives(statement: _Statement, names: set[str], entry_point: str) -> bool:
    if statement.binds & names:
        return True
    return bool(statement.changes & names) and entry_point not in statement.reads


def _read_by(statements: Iterable[_Statement], entry_point: str) -> set[str]:
    return {entry_point, *(name for statement in statements for name in statement.reads)}


def _around_body(body: str, entry_point: str, stub: str) -> str | None:
    """The stub with the text as its function's body, at its own indentation or put right; None if neither is Python."""
    if not stub:
        return None
    for text in (body, textwrap.indent(textwrap.dedent(body), "    ")):
        module = f"{stub.rstrip()}\n{text.rstrip()}\n"
        if _statements(module):
            return _module(module, entry_point, [])
    return None
