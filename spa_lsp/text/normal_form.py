"""When two completions are the same to a programmer: comments, docstrings, layout and own names do not count.

Python is compared as syntax, other languages and what does not parse as a row of their tokens. Nothing is run. Pure.

This is the editor's: it must be quick and have a form for half a line, and so looks at the enclosing block alone. The
judge of the trainer has another (`trainer/evaluate/sameness/normalize.py`), which compares whole programs.
"""

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal

from spa_lsp.text.bound_names import Renamer, variables, walk_in_order
from spa_lsp.text.indentation import indentation
from spa_lsp.text.languages import canonical, syntax_of
from spa_lsp.text.lexer import span_at_end, spans
from spa_lsp.text.python_source import parse_python

NEW_LINE = "⏎"  # in a row of tokens, with the next line's indentation where that counts
_WORD = re.compile(r"\w+")
# longest first; other signs are tokens of their own, so that `a=-1` is `a = -1` and `a--b` is not `a - -b`
_OPERATORS = (
    ">>>= === !== **= //= >>= <<= ... ..= <=> >>> &&= ||= ??= -> => == != <= >= && || ?? ?. :: := ** // << >> ++ --"
)
_OPERATORS += " += -= *= /= %= &= |= ^= <- |> .. ~> =~ !~ </ />"


def normal_form(prefix: str, completion: str, suffix: str, language: str) -> str:
    """Equal for completions between this prefix and suffix that differ in nothing that counts.

    When in doubt they differ: in a language that is not known all of the text counts, in a comment its words.
    """
    language = canonical(language)
    match _prose(prefix, completion, language):
        case "comment":
            return " ".join(completion.split())
        case "string":
            return completion
    if language == "python":
        outside = set(_WORD.findall(prefix)) | set(_WORD.findall(suffix))
        for source in (enclosing_block(prefix, completion, suffix), textwrap.dedent(completion)):
            if (form := _python_form(source, outside)) is not None:
                return form
    return _token_form(prefix, completion, language)


def _prose(prefix: str, completion: str, language: str) -> Literal["string", "comment"] | None:
    """The kind of what all of the completion stands in, where that was begun before it."""
    around = span_at_end(prefix, language)
    last = spans(prefix, completion, language)[-1] if around else None
    if around is None or last is None or last.start != around.start or last.end < len(prefix + completion.rstrip()):
        return None
    return around.kind


def _token_form(prefix: str, completion: str, language: str) -> str:
    """The tokens without comments, and of the white space between them what counts in the language."""
    if syntax_of(language).layout == "text":
        return "\n".join(line.rstrip() for line in completion.strip().split("\n"))
    return " ".join(code_tokens(prefix, completion, language)) or " ".join(completion.split())


def code_tokens(prefix: str, completion: str, language: str) -> list[str]:
    """The tokens, strings whole, without comments; a sign for white space where it counts. In prose all is one."""
    layout = syntax_of(language).layout
    if layout == "text":
        return [completion]
    tokens: list[str] = []
    for text, kind in _parts(prefix, completion.strip(), language):
        tokens += [text] if kind == "string" else _token().findall(text) if kind == "code" else [" "]
    return list(_without_needless_space(tokens, layout))


@cache
def _token() -> re.Pattern[str]:
    """Compiled late: it takes some milliseconds of a front's start."""
    return re.compile(r"\w+|" + "|".join(map(re.escape, _OPERATORS.split())) + r"|\n[ \t]*|[^\S\n]+|[^\w\s]")


def _parts(prefix: str, completion: str, language: str) -> Iterator[tuple[str, str]]:
    """The completion in pieces: code, strings and comments."""
    start, whole = len(prefix), prefix + completion
    for span in spans(prefix, completion, language):
        if span.end > len(prefix):
            yield whole[start : span.start], "code"
            yield whole[max(start, span.start) : span.end], span.kind
            start = span.end
    yield whole[start:], "code"


def _without_needless_space(tokens: Iterable[str], layout: str) -> list[str]:
    """The tokens with one sign for all white space in a row that counts, and none for that which does not."""
    kept: list[str] = []
    space, depth = "", 0
    for token in tokens:
        if token.isspace():
            space = token if "\n" in token or not space else space
            continue
        is_inside = depth > 0 and layout not in ("word", "space")  # a line may end anywhere between brackets
        if space and kept and (sign := "" if is_inside else _sign(space, layout)):
            kept.append(sign)
        kept.append(token)
        depth = max(0, depth + (token in "([") - (token in ")]"))
        space = ""
    return kept


def _sign(space: str, layout: str) -> str:
    """What is left of some white space between two tokens."""
    is_line = space.startswith("\n")
    if layout == "indent" and is_line:
        return f"{NEW_LINE}{space[1:].expandtabs(8).count(' ')}"
    if layout in ("line", "word", "indent") and is_line:
        return NEW_LINE
    return "␣" if layout in ("space", "word") else ""


def parses(prefix: str, completion: str, suffix: str, language: str) -> bool:
    """Whether the function around the completion, or all, is right by its syntax; other languages are taken to be."""
    if canonical(language) != "python":
        return True
    return any(
        parse_python(source) for source in (enclosing_block(prefix, completion, suffix), prefix + completion + suffix)
    )


def enclosing_block(prefix: str, completion: str, suffix: str) -> str:
    """The lines around the completion from the `def` or `class` it stands in to that one's end."""
    lines = prefix.split("\n")
    depth = indentation(lines[-1]) if lines[-1].strip() else indentation(lines[-1] + completion.lstrip("\n"))
    start = _header(lines, depth)
    if start is None:
        return prefix + completion + suffix  # on the module's level
    base = indentation(lines[start])
    rest, *behind = suffix.split("\n")
    end = next((n for n, line in enumerate(behind) if line.strip() and indentation(line) <= base), len(behind))
    block = "\n".join(lines[start:]) + completion + "\n".join([rest, *behind[:end]])
    return textwrap.dedent(block)


def _header(lines: list[str], depth: int) -> int | None:
    """Where the innermost `def` or `class` above begins that is indented less than `depth`."""
    for n in range(len(lines) - 1, -1, -1):
        if re.match(r"\s*(async\s+def|def|class)\b", lines[n]) and (
            n == len(lines) - 1 or indentation(lines[n]) < depth
        ):
            return n
    return None


def _python_form(source: str, outside: set[str]) -> str | None:
    """The syntax without docstrings, own variables numbered; None when it does not parse."""
    tree = parse_python(source)
    if tree is None:
        return None
    try:
        _drop_texts(tree)
        bound = (name for node in walk_in_order(tree) for name in variables(node))
        own = [name for name in dict.fromkeys(bound) if name not in outside]
        Renamer({name: f"·{number}" for number, name in enumerate(own)}).visit(tree)
        return ast.unparse(tree)
    except (ValueError, RecursionError, MemoryError):  # nested too deep
        return None


def _drop_texts(tree: ast.AST) -> None:
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                kept = [statement for statement in statements if not _is_text(statement)]
                setattr(node, name, kept or ([ast.Pass()] if statements else []))


def _is_text(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
