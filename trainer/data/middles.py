"""Which lines of a Python program can be the middle of an infill item. Pure; knows nothing of samples or models.

A middle is a run of whole lines whose first line starts a statement and whose last line ends one, so it never cuts a
multi-line string or a bracket. Lines are 1-based and inclusive, as in `ast`.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from spa_lsp.text.languages import canonical
from spa_lsp.text.python_source import parse_python
from trainer.data.fences import fenced_blocks, plain_lines

MAX_BODY_LINES = 20
PREFERRED_BODY_LINES = range(2, 13)
SPAN_LINES = range(2, 9)
_MIN_CODE_LINES = 3
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True, order=True)
class Span:
    """Lines `first` to `last` of a program, 1-based and inclusive."""

    first: int
    last: int

    @property
    def n_lines(self) -> int:
        """Physical lines, blank ones and comments included."""
        return self.last - self.first + 1


def code_of(solution: str, language: str = "") -> list[str]:
    """The contents of its fences in order, ending in one newline; the whole text when there is none.

    Where fences name this language only those count.
    """
    found = fenced_blocks(solution)
    named = [block for block in found if language and canonical(block.language) == canonical(language)]
    blocks = [block.code for block in named or found] or [plain_lines(solution)]
    return [block.strip("\n") + "\n" for block in blocks if _n_code_lines(block) >= _MIN_CODE_LINES]


def python_code_of(solution: str) -> tuple[str, ast.Module] | None:
    """The first fence of at least three non-blank lines that parses as Python, and its tree; None: there is none.

    One with a function comes before one without.
    """
    found = [(code, tree) for code in code_of(solution, "python") if (tree := parse_python(code)) is not None]
    return next((pair for pair in found if any(_functions(pair[1]))), next(iter(found), None))


def body_spans(tree: ast.Module, code: str) -> list[Span]:
    """Whole function bodies of 1 to 20 lines, after the docstring; those of 2 to 12 lines alone when there are any."""
    lines = code.split("\n")
    spans = [span for function in _functions(tree) if (span := _body_span(function, lines))]
    fitting = [span for span in spans if span.n_lines <= MAX_BODY_LINES]
    preferred = [span for span in fitting if span.n_lines in PREFERRED_BODY_LINES]
    return sorted(set(preferred or fitting))


def line_spans(tree: ast.Module, code: str, *, lengths: range = SPAN_LINES) -> list[Span]:
    """Every run of whole lines of these lengths inside one function's body that starts and ends with a statement."""
    lines = code.split("\n")
    spans: set[Span] = set()
    for function in _functions(tree):
        statements = list(_own_statements(function))
        starts = {_first_line(node) for node in statements if _starts_its_line(node, lines)}
        ends = {node.end_lineno or node.lineno for node in statements}
        spans |= {Span(first=first, last=last) for first in starts for last in ends if last - first + 1 in lengths}
    return sorted(spans)


def text_spans(code: str, *, lengths: range = SPAN_LINES) -> list[Span]:
    """The same for a language without a parser here: runs of lines that neither start nor end blank, not the first."""
    lines = code.rstrip("\n").split("\n")
    is_text = [bool(line.strip()) for line in lines]
    return [
        Span(first=first + 1, last=first + n)
        for first in range(1, len(lines))
        for n in lengths
        if first + n <= len(lines) and is_text[first] and is_text[first + n - 1]
    ]


def _n_code_lines(block: str) -> int:
    return sum(bool(line.strip()) for line in block.split("\n"))


def _functions(tree: ast.Module) -> Iterator[_Function]:
    return (node for node in ast.walk(tree) if isinstance(node, _Function))


def _statements(function: _Function) -> list[ast.stmt]:
    """The body without its docstring."""
    return function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body


def _own_statements(function: _Function) -> Iterator[ast.stmt]:
    for statement in _statements(function):
        yield from (node for node in ast.walk(statement) if isinstance(node, ast.stmt))


def _body_span(function: _Function, lines: list[str]) -> Span | None:
    statements = _statements(function)
    if not statements or all(_is_stub(node) for node in statements) or not _starts_its_line(statements[0], lines):
        return None
    first = _first_line(statements[0])
    while _is_comment(lines[first - 2]):  # the line above
        first -= 1
    return Span(first=first, last=statements[-1].end_lineno or first)


def _is_stub(node: ast.stmt) -> bool:
    is_ellipsis = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is Ellipsis
    return isinstance(node, ast.Pass) or is_ellipsis


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _starts_its_line(node: ast.stmt, lines: list[str]) -> bool:
    """False for `def f(): return 1` and for what follows a semicolon."""
    line = lines[_first_line(node) - 1]
    return len(line) - len(line.lstrip()) == node.col_offset
