"""Seeds: what of a file the model is shown. Pure.

Documented functions that need nothing but the standard library (as in SelfCodeAlign), and snippets of 1 to 15 lines (as
in OSS-Instruct). A function here looks as if it only computed: whether it does shows when it is run twice.
"""

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from spa_lsp.text.python_source import parse_python
from trainer.evaluate.sameness.normalize import Function, ast_key
from trainer.rows.records import content_id
from trainer.synthesize.sources import SourceFile

SNIPPET_LINES = (1, 15)
LINES_PER_SNIPPET = 60
MAX_SNIPPETS = 4  # of one file
MAX_FUNCTION_LINES = 60  # docstring and what it needs included
MAX_CHARACTERS = 4000
MAX_DEPTH = 100  # of the syntax tree
_MIN_DOCSTRING = 15  # characters
_MIN_SNIPPET = 40  # characters; less says nothing

# of the standard library, what computes and does nothing else
_COMPUTING = frozenset(
    "__future__ abc array ast base64 binascii bisect calendar cmath collections colorsys copy dataclasses datetime "
    "decimal difflib enum fractions functools hashlib heapq html itertools json keyword math numbers operator re "
    "statistics string struct textwrap types typing unicodedata urllib.parse zlib".split()
)
_ACTING = frozenset(
    "open input exec eval compile __import__ globals locals vars print exit quit breakpoint id hash help memoryview "
    "setattr delattr".split()
)
_CLOCKS = frozenset("now today utcnow fromtimestamp".split())
_NAMES = frozenset(dir(builtins)) - _ACTING
_CACHES = frozenset({"cache", "lru_cache"})


@dataclass(frozen=True, kw_only=True)
class Seed:
    """One seed and where it stands; `id` is the digest of the code alone. A function comes with all that it needs."""

    id: str
    kind: Literal["function", "snippet"]
    text: str
    entry_point: str  # empty for a snippet
    repository: str
    path: str
    commit: str
    licence: str
    first_line: int  # 1-based
    last_line: int


def find_seeds(file: SourceFile, *, seed: int) -> list[Seed] | None:
    """The seeds of a file, its functions first; None when it is no Python of this version."""
    tree = parse_python(file.text)
    if tree is None:
        return None
    return [*_functions(file, tree), *_snippets(file, Random(f"{seed}:{content_id(file.text)}"))]


def _snippets(file: SourceFile, rng: Random) -> Iterator[Seed]:
    lines = file.text.split("\n")
    n = min(MAX_SNIPPETS, -(-len(lines) // LINES_PER_SNIPPET))
    for first in sorted(rng.sample(range(len(lines)), min(n, len(lines)))):
        last = min(len(lines), first + rng.randint(*SNIPPET_LINES))
        text = "\n".join(lines[first:last]).strip("\n")
        if len("".join(text.split())) >= _MIN_SNIPPET:
            yield _seed(file, "snippet", text, "", content_id(text), first + 1, last)


def _functions(file: SourceFile, tree: ast.Module) -> Iterator[Seed]:
    bindings = _bindings(tree)
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or bindings.get(node.name) is not node or not _is_candidate(node):
            continue
        text = _with_needs(node, bindings, file.text)
        key = text and ast_key(text, node.name)
        if text and key:
            yield _seed(file, "function", text, node.name, content_id(key), _first_line(node), node.end_lineno or 0)


def _seed(
    file: SourceFile,
    kind: Literal["function", "snippet"],
    text: str,
    entry_point: str,
    seed_id: str,
    first_line: int,
    last_line: int,
) -> Seed:
    return Seed(
        id=seed_id,
        kind=kind,
        text=text,
        entry_point=entry_point,
        repository=file.repository,
        path=file.path,
        commit=file.commit,
        licence=file.licence,
        first_line=first_line,
        last_line=last_line,
    )


def _is_candidate(function: ast.FunctionDef) -> bool:
    """Documented, called with positional arguments, with a body that returns something."""
    docstring = ast.get_docstring(function) or ""
    arguments = function.args
    is_called_simply = bool(arguments.posonlyargs + arguments.args) and not (arguments.vararg or arguments.kwarg)
    returns = (node for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None)
    is_generator = any(isinstance(node, ast.Yield | ast.YieldFrom | ast.Await) for node in ast.walk(function))
    return (
        len(docstring) >= _MIN_DOCSTRING
        and is_called_simply
        and not any(default is None for default in arguments.kw_defaults)
        and any(returns)
        and not is_generator
        and not function.name.startswith(("test", "__"))
        and all(_is_cache(decorator) for decorator in function.decorator_list)
    )


def _is_cache(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) in _CACHES


def _bindings(tree: ast.Module) -> dict[str, ast.stmt]:
    """The top level's statement that binds a name; names that are bound twice, or inside a block, are bound by none."""
    found: dict[str, ast.stmt] = {}
    twice: set[str] = set()
    for node in tree.body:
        for name in _bound(node):
            twice |= {name} & found.keys()
            found[name] = node
    return {name: node for name, node in found.items() if name not in twice}


def _bound(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in names)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case _:
            yield from (
                inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
            )


def _with_needs(function: ast.FunctionDef, bindings: dict[str, ast.stmt], source: str) -> str:
    """The function behind all of the module that it needs, in the module's order; empty when that is not possible."""
    needed: dict[int, ast.stmt] = {}
    waiting: list[ast.stmt] = [function]
    while waiting:
        node = waiting.pop()
        if id(node) in needed:
            continue
        if not _is_harmless(node):
            return ""
        needed[id(node)] = node
        for name in _names_read(node) - set(_local_names(node)):
            if name in bindings:
                waiting.append(bindings[name])
            elif name not in _NAMES:
                return ""
    lines = source.split("\n")
    nodes = sorted(needed.values(), key=lambda node: node.lineno)
    texts = ["\n".join(lines[_first_line(node) - 1 : node.end_lineno]) for node in nodes]
    text = _joined(nodes, texts)
    is_short = len(text) <= MAX_CHARACTERS and text.count("\n") <= MAX_FUNCTION_LINES
    tree = parse_python(text) if is_short else None
    return text if tree is not None and not _is_deep(tree) else ""


def _is_deep(tree: ast.Module) -> bool:
    """Whether it nests so far that Python could give up on it, here or where more is on the stack."""
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return bool(level)


def _joined(nodes: list[ast.stmt], texts: list[str]) -> str:
    """As one writes it: two blank lines around what has a body."""
    text = ""
    for node, own in zip(nodes, texts, strict=True):
        gap = "\n\n" if text and isinstance(node, Function | ast.ClassDef) else ""
        text += f"{gap}{own}\n"
    return text


def _is_harmless(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import):
        return all(alias.name in _COMPUTING for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return node.level == 0 and node.module in _COMPUTING and all(alias.name != "*" for alias in node.names)
    if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign):
        return False
    return not any(
        isinstance(inner, ast.Global | ast.Nonlocal | ast.Await | ast.Import | ast.ImportFrom)
        or (isinstance(inner, ast.Attribute) and inner.attr in _CLOCKS)
        or (isinstance(inner, ast.Name) and inner.id in _ACTING)
        for inner in ast.walk(node)
    )


def _names_read(node: ast.stmt) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load)}


def _local_names(node: ast.stmt) -> Iterator[str]:
    """What a function or class binds inside; taken for local everywhere in it."""
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return
    for inner in ast.walk(node):
        match inner:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) if inner is not node:
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])
