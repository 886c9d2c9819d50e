"""The names that Python's syntax binds, node by node, and how they are replaced; not what they mean. Pure."""

import ast
from collections.abc import Iterator, Mapping


def variables(node: ast.AST) -> Iterator[str]:
    """The variables, parameters, exceptions and captures of `match` that this very node binds."""
    match node:
        case (
            ast.Name(id=name, ctx=ast.Store() | ast.Del())  # to Python `del` binds, too
            | ast.arg(arg=name)
            | ast.ExceptHandler(name=str(name))
            | ast.MatchAs(name=str(name))
            | ast.MatchStar(name=str(name))
            | ast.MatchMapping(rest=str(name))
        ):
            yield name


def bound_names(node: ast.AST) -> Iterator[str]:
    """As `variables`, and the functions and classes that this very node defines; imports are left to the caller."""
    yield from variables(node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name


def walk_in_order(node: ast.AST) -> Iterator[ast.AST]:
    """Depth first, which is the order of the text; `ast.walk` goes level by level."""
    yield node
    for child in ast.iter_child_nodes(node):
        yield from walk_in_order(child)


class Renamer(ast.NodeVisitor):
    """Replaces names wherever a node holds one; attributes, keywords, imports and texts stay."""

    _FIELDS = {
        ast.Name: "id",
        ast.arg: "arg",
        ast.FunctionDef: "name",
        ast.AsyncFunctionDef: "name",
        ast.ClassDef: "name",
        ast.ExceptHandler: "name",
        ast.MatchAs: "name",
        ast.MatchStar: "name",
        ast.MatchMapping: "rest",
    }

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def visit(self, node: ast.AST) -> None:
        """The node and all below it."""
        field = self._FIELDS.get(type(node))
        if field:
            name = getattr(node, field)
            setattr(node, field, self._names.get(name, name))
        if isinstance(node, ast.Nonlocal):
            node.names = [self._names.get(name, name) for name in node.names]
        self.generic_visit(node)
