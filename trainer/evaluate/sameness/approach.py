"""The approach of a function: by which means it gets to its result, not by which steps. Syntax only.

Two completions take the same approach when these sets are equal for the function they complete:
- loops with the loops around them (`for`, `for>while`), kinds of comprehension, recursion;
- what it calls: builtins, methods (`.append`), library functions with their module (`math.gcd`); the program's own
  functions and its locals are all `own()`;
- what it builds: dict and set displays, a table (assignment to a subscript), an own function, class or lambda;
- control beside `if`: try, raise, assert, with, yield, match, conditional expression, slicing.
Not in it: order, number, names, constants, operators, `if`. So a renamed variable or another branch is no new approach.
"""

import ast
from collections.abc import Iterator

from spa_lsp.text.python_source import UNREADABLE, parse_or_raise
from trainer.evaluate.sameness.normalize import Function, entry_function

_LOOPS = {ast.For: "for", ast.AsyncFor: "for", ast.While: "while"}
_MEANS = {
    ast.ListComp: "list comprehension",
    ast.SetComp: "set comprehension",
    ast.DictComp: "dict comprehension",
    ast.GeneratorExp: "generator",
    ast.Dict: "dict",
    ast.Set: "set",
    ast.Lambda: "lambda",
    ast.ClassDef: "class",
    ast.Try: "try",
    ast.Raise: "raise",
    ast.Assert: "assert",
    ast.With: "with",
    ast.Yield: "yield",
    ast.YieldFrom: "yield",
    ast.Match: "match",
    ast.IfExp: "conditional",
    ast.Slice: "slice",
}


def approach_key(program_source: str, entry_point: str) -> str | None:
    """The approach as text, its parts sorted: `.append, for, for>for, table`; None when `ast_key` is None."""
    try:
        found = entry_function(program_source, entry_point)
        if found is None:
            return None
        own = _own_names(parse_or_raise(program_source))
        return ", ".join(sorted({*_loops(found), *_means(found, own)}))
    except UNREADABLE:
        return None


def program_means(program_source: str) -> frozenset[str]:
    """The means of all that a program defines on its top level; none where it cannot be read."""
    try:
        module = parse_or_raise(program_source)
        own = _own_names(module)
        return frozenset(mean for node in module.body for mean in (*_loops(node), *_means(node, own)))
    except UNREADABLE:
        return frozenset()


def _own_names(module: ast.AST) -> frozenset[str]:
    """Everything that the program binds itself; calling it is no library call."""
    nodes = list(ast.walk(module))
    functions = {node.name for node in nodes if isinstance(node, Function | ast.ClassDef)}
    names = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return frozenset(functions | names | {node.arg for node in nodes if isinstance(node, ast.arg)})


def _loops(node: ast.AST, outer: str = "") -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        kind = _LOOPS.get(type(child))
        path = f"{outer}>{kind}" if outer and kind else kind or outer
        if kind:
            yield path
        yield from _loops(child, path)


def _means(function: ast.stmt, own: frozenset[str]) -> Iterator[str]:
    for node in ast.walk(function):
        if type(node) in _MEANS:
            yield _MEANS[type(node)]
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            yield "table"
        elif isinstance(node, Function):
            yield from _of_function(node, is_entry=node is function)
        elif isinstance(node, ast.Call):
            yield _called(node.func, own)


def _of_function(function: Function, *, is_entry: bool) -> Iterator[str]:
    if not is_entry:
        yield "function"
    calls = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
    if any(isinstance(called, ast.Name) and called.id == function.name for called in calls):
        yield "recursion"


def _called(called: ast.expr, own: frozenset[str]) -> str:
    match called:
        case ast.Name(id=name):
            return "own()" if name in own else name
        case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name not in own:
            return f"{name}.{attribute}"
        case ast.Attribute(attr=attribute):
            return f".{attribute}"
    return "own()"
