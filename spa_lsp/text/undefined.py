"""Names that a completion reads and that nothing around it defines. Python only; nothing is run. Pure."""

import ast
import builtins
import re

from spa_lsp.text.bound_names import bound_names
from spa_lsp.text.languages import canonical
from spa_lsp.text.normal_form import enclosing_block
from spa_lsp.text.python_source import parse_python

_WORD = re.compile(r"\w+")
_STAR = re.compile(r"^\s*from\s+\S+\s+import\s+\*", re.MULTILINE)
_MODULE_NAMES = ("__file__", "__class__")  # that Python has besides the builtins
_TYPE_PARAMETERS = ("TypeVar", "ParamSpec", "TypeVarTuple")  # of the syntax tree, from Python 3.12 on


def undefined_names(prefix: str, completion: str, suffix: str, language: str) -> set[str]:
    """Names in the completion that neither it binds, nor Python has, nor stand anywhere else in the text.

    Empty where the function around it does not parse, in other languages, and where `import *` may define any name.
    """
    if any(_STAR.search(text) for text in (prefix, completion, suffix)):
        return set()
    tree = parse_python(enclosing_block(prefix, completion, suffix)) if canonical(language) == "python" else None
    if tree is None:
        return set()
    known = {*_WORD.findall(prefix), *_WORD.findall(suffix), *dir(builtins), *_MODULE_NAMES, *_bound(tree)}
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return read - known


def _bound(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        found.update(bound_names(node))
        if isinstance(node, ast.alias):
            found.add(node.asname or node.name.partition(".")[0])
        elif type(node).__name__ in _TYPE_PARAMETERS:
            found.add(getattr(node, "name", ""))
    return found
