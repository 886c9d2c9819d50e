"""What must not get into a sample: licence headers, names of authors, addresses. Pure; keys are `secrets`'s business.

Lines are blanked or changed in place, never removed, so that line numbers stay those of the file. Of code only comments
and the content of texts change: `x +100-20-30` is no telephone number, and a field `author: str` nobody's name.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from itertools import accumulate

from spa_lsp.text.python_source import UNREADABLE, parse_python

_LICENCE = re.compile(
    r"copyright|\(c\)\s*\d{4}|licen[sc]ed? (?:under|to)|all rights reserved|spdx-license|redistribution and use"
    r"|permission is hereby granted|without warrant|gnu general public",
    re.IGNORECASE,
)
_AUTHOR = re.compile(
    r"^\s*(?:__(?:author|maintainer|email|credits|copyright)__\s*=|#?\s*:?@?(?i:author|maintainer)s?:)"
)
_AUTHOR_NAME = re.compile(r"^\s*__(?:author|maintainer|email|credits|copyright)__\s*=", re.MULTILINE)
_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b")
_OWN_EMAIL = re.compile(r".+@(?:.+\.)?example\.(?:com|org|net)$")
_ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
_PHONE = re.compile(r"(?<![\w.+-])\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]\d{2,5}){1,4}(?![\w-])")
_HARMLESS = ("127.", "0.0.0.0", "10.", "192.168.", "192.0.2.", "198.51.100.", "203.0.113.", "255.", "1.2.3.4")
_HOME = re.compile(r"(?<=/home/)[A-Za-z][\w.-]*|(?<=/Users/)[A-Za-z][\w.-]*")
_HEADER_LINES = 60
# an f-string is one text up to Python 3.11, and pieces of text since
_TEXTS = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}


def drop_licence_header(text: str) -> tuple[str, bool]:
    """The text with its first block of comments, or docstring, blanked where that speaks of rights; whether it did."""
    lines = text.split("\n")
    n_header = _n_header_lines(lines)
    is_licence = any(_LICENCE.search(line) for line in lines[:n_header])
    return ("\n".join([""] * n_header + lines[n_header:]), True) if is_licence else (text, False)


def mask_personal(text: str) -> tuple[str, int]:
    """The text with e-mail and network addresses, telephone numbers and names of authors masked; how many there were.

    Addresses that are set aside for examples, and those of this machine and of private nets, stay.
    """
    n_masked = 0

    def mask(pattern: re.Pattern[str], by: str, text: str, keep: re.Pattern[str] | tuple[str, ...] = ()) -> str:
        def one(match: re.Match[str]) -> str:
            nonlocal n_masked
            is_kept = match[0].startswith(keep) if isinstance(keep, tuple) else bool(keep.match(match[0]))
            n_masked += not (is_kept or match[0] == by)
            return match[0] if is_kept else by

        return pattern.sub(one, text)

    lines = text.split("\n")
    authors = [number for number, line in enumerate(lines) if _AUTHOR.match(line)]
    for number in authors:
        lines[number] = ""
    n_masked += len(authors)
    text = mask(_EMAIL, "user@example.com", "\n".join(lines), _OWN_EMAIL)
    text = mask(_ADDRESS, "192.0.2.1", text, _HARMLESS)
    text = mask(_PHONE, "+1 555 0100", text)
    return mask(_HOME, "user", text), n_masked


def mask_code(source: str) -> tuple[str, int] | None:
    """The same as `mask_personal` for a program; None where it would no longer be the same program but for its texts.

    What is no program is taken for a piece of one, which is shown and never run.
    """
    before = parse_python(source)
    if before is None:
        return mask_personal(source)
    if _AUTHOR_NAME.search(source):
        return None
    try:
        masked, n_masked = _with_masked_texts(source)
        if not n_masked:
            return source, 0
        after = parse_python(masked)
        return (masked, n_masked) if after is not None and _masked_tree(before) == _masked_tree(after) else None
    except (tokenize.TokenError, *UNREADABLE):
        return None


def _with_masked_texts(source: str) -> tuple[str, int]:
    starts = [0, *accumulate(len(line) + 1 for line in source.split("\n"))]
    parts: list[str] = []
    done = n_masked = 0
    for token in _texts(source):
        start, end = (starts[row - 1] + column for row, column in (token.start, token.end))
        text, n = mask_personal(source[start:end])
        parts += [source[done:start], text]
        n_masked, done = n_masked + n, end
    return "".join([*parts, source[done:]]), n_masked


def _texts(source: str) -> Iterator[tokenize.TokenInfo]:
    """Its comments and texts, in their order."""
    return (token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type in _TEXTS)


def _masked_tree(tree: ast.Module) -> str:
    """The program as it is when all its texts are masked, wherever their quotes and line ends are."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            match node.value:
                case str(text):
                    node.value = mask_personal(text)[0]
                case bytes(content):
                    node.value = mask_personal(content.decode("latin-1"))[0].encode("latin-1")
                case int(number):
                    node.value = hex(number)  # Python writes no endless ones in decimals
    return ast.dump(tree)


def _n_header_lines(lines: list[str]) -> int:
    """How many lines the comments, or the docstring, at the top take."""
    n = next((number for number, line in enumerate(lines) if line.strip()), 0)
    quote = next((mark for mark in ('"""', "'''") if lines[n].lstrip("rRuU").startswith(mark)), "")
    if quote:
        ends = (number for number in range(n, min(len(lines), n + _HEADER_LINES)) if _closes(lines, number, n, quote))
        return next(ends, n - 1) + 1
    while n < len(lines) and (not lines[n].strip() or lines[n].lstrip().startswith("#")):
        n += 1
    return n


def _closes(lines: list[str], number: int, first: int, quote: str) -> bool:
    return lines[number].count(quote) >= (2 if number == first else 1)
