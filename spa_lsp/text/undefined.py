"""Names that a completion reads and that nothing around it defines. Python only; nothing is run. Pure."""

import ast
import builtins
import re

from spa_lsp.text.languages import canonical
from spa_lsp.text.normal_form import enclosing_block
from spa_lsp.text.python_source import parse_python

_WORD = re.compile(r"\w+")


def undefined_names(prefix: str, completion: str, suffix: str, language: str) -> set[str]:
    """Names in the completion that neither it binds, nor Python has, nor stand anywhere else in the text.

    Empty where the function around it does not parse, and in other languages.
    """
    tree = parse_python(enclosing_block(prefix, completion, suffix)) if canonical(language) == "python" else None
    if tree is None:
        return set()
    known = {*_WORD.findall(prefix), *_WORD.findall(suffix), *dir(builtins), *_bound(tree)}
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return read - known


def _bound(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.alias(name=name, asname=other):
                found.add(other or name.partition(".")[0])
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.add(name)
    return found
