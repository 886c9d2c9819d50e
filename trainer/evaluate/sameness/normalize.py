"""When two completions are the same program: the key of the function they complete. Syntax only, nothing is run.

The editor's own (`spa_lsp/text/normal_form.py`) has no entry function and must have a form for half a line, so it
keeps all names around the gap, even in a docstring: of 240 stored sets of answers it counts another number of
different ones in 6. The figures of stored attempts were counted with this one, so both stay.
"""

import ast
import symtable
from collections.abc import Iterator

from spa_lsp.text.bound_names import Renamer, bound_names, walk_in_order
from spa_lsp.text.python_source import UNREADABLE, parse_or_raise

Function = ast.FunctionDef | ast.AsyncFunctionDef


def ast_key(program_source: str, entry_point: str) -> str | None:
    """The entry function without comments, docstrings and annotations, its locals numbered by first binding.

    Equal keys mean equal functions but for these. Names with a meaning outside stay: parameters, globals, imports,
    keywords, whatever a class binds. One name is one local even where scopes nest, so a few equal functions differ.

    Returns:
        None when the source does not parse or has no such function.
    """
    try:
        function = entry_function(program_source, entry_point)
        return None if function is None else _key(function)
    except UNREADABLE:
        return None


def _key(function: Function) -> str:
    _Cleaner().visit(function)
    try:
        text = ast.unparse(function)
    except ValueError:  # an f-string that Python 3.11 reads but cannot write
        return ast.dump(function)
    # no identifier starts with "·", so a new name never meets an old one
    Renamer({name: f"·{number}" for number, name in enumerate(_locals(function, text))}).visit(function)
    return ast.unparse(function)


def entry_function(source: str, name: str) -> Function | None:
    """The last function of this name on the top level of a program; `Store.load` is a method of a class there.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: the program cannot be parsed.
    """
    *outer, own = name.split(".")
    body = parse_or_raise(source).body
    for class_name in outer:
        classes = [node for node in body if isinstance(node, ast.ClassDef) and node.name == class_name]
        body = classes[-1].body if classes else []
    found = [node for node in body if isinstance(node, Function) and node.name == own]
    return found[-1] if found else None


class _Cleaner(ast.NodeTransformer):
    """Drops what has no effect. Classes stay as they are: an annotation may be a field there."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if getattr(node, "body", None) == []:
            node.body = [ast.Pass()]  # type: ignore[attr-defined]  # a node with a list of statements
        return node


def _locals(function: Function, text: str) -> list[str]:
    """Names bound inside and without a meaning outside, in the order of the text."""
    kept = {*_parameters(function), *_globals(symtable.symtable(text, "<completion>", "exec")), *_meaningful(function)}
    bound = (name for node in walk_in_order(function) if node is not function for name in bound_names(node))
    return [name for name in dict.fromkeys(bound) if name not in kept]


def _parameters(function: Function) -> Iterator[str]:
    return (node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg))


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    """What some scope below takes from the module or the builtins, even if another scope binds the same name."""
    for child in table.get_children():
        yield from (symbol.get_name() for symbol in child.get_symbols() if symbol.is_global())
        yield from _globals(child)


def _meaningful(function: Function) -> Iterator[str]:
    """Imports, keywords, and everything that a class binds: their spelling can be seen elsewhere."""
    for node in ast.walk(function):
        match node:
            case ast.alias(name=name, asname=other):
                yield other or name.partition(".")[0]
            case ast.keyword(arg=str(name)):
                yield name
            case ast.ClassDef():
                yield from (name for child in ast.walk(node) for name in bound_names(child))
