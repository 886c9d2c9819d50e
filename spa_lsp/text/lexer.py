"""Where strings and comments stand in a text of a known language. Not a parser, and for text that is not over.

Linear in the text: it is read at every key, and nobody knows what is in it. Pure.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Literal

from spa_lsp.text.languages import canonical, syntax_of
from spa_lsp.text.syntax import Piece

MAX_CHARS = 30_000  # of the text before that are looked at: some 10 ms, 300 where every character begins a string
_OPERAND_WINDOW = 80  # characters in which what stands before a `/` is looked for
# a value follows these, so that `/` begins a regular expression
_EXPECTS_OPERAND = re.compile(
    r"(?:[(,=:\[!&|?{};+\-*%^~\n]|=>|\A|(?<![\w.$])(?:return|typeof|case|in|of|delete|void|throw|new|do|else|await|yield"
    r"|if|when|and|or|not|unless|while))\Z"
)


@dataclass(frozen=True)
class Span:
    """One string or comment, with its quotes and signs."""

    start: int
    end: int
    kind: Literal["string", "comment"]
    is_open: bool  # it has not ended, where the text or, for strings of one line, the line ends
    is_line: bool = False  # a comment that the line's end ends


def spans(before: str, text: str, language: str) -> list[Span]:
    """The strings and comments of `before + text`, in their order; none in a language that is not known."""
    cut = max(0, len(before) - MAX_CHARS)
    known = _spans_of(before[cut:], canonical(language))
    start = _resume(before[cut:], known)
    kept = known[: bisect_right([span.end for span in known], start)]
    found = [*kept, *_scan(before[cut:] + text, start, canonical(language))]
    return [replace(each, start=each.start + cut, end=each.end + cut) for each in found] if cut else found


def blanked(before: str, text: str, language: str) -> str:
    """`before + text`, as long as it is, with spaces for what stands in strings and comments."""
    whole, parts, position = before + text, [], 0
    for span in spans(before, text, language):
        parts += [whole[position : span.start], re.sub(r"[^\n]", " ", whole[span.start : span.end])]
        position = span.end
    return "".join([*parts, whole[position:]])


def span_at_end(text: str, language: str) -> Span | None:
    """The string or comment that the end of this text stands in."""
    last = next(reversed(spans(text, "", language)), None)
    return last if last and last.is_open and last.end == len(text) else None


def open_end(text: str, language: str) -> str:
    """As much of its end as decides how what follows is read: its last line, or all from where what is open began."""
    end = text[-MAX_CHARS:]
    return end[_resume(end, _spans_of(end, canonical(language))) :]


@lru_cache(maxsize=8)
def _spans_of(text: str, language: str) -> tuple[Span, ...]:
    """Kept: of one place many completions are read, by several rules."""
    return tuple(_scan(text, 0, language))


def _resume(before: str, known: tuple[Span, ...]) -> int:
    """From where more text may change what was read: the line's start, or that of what reaches to the end."""
    start = before.rfind("\n") + 1
    for span in reversed(known):
        if span.end <= start:
            break
        if span.start < start or span.end == len(before):
            start = span.start if span.end == len(before) or span.is_open else span.end
    return start


def _scan(text: str, start: int, language: str) -> list[Span]:
    pattern, found = _pattern(language), []
    if pattern is None:
        return []
    pieces = syntax_of(language).pieces
    while match := pattern.search(text, start):
        name = match.lastgroup or ""
        piece = pieces[int(name[1:])]
        if piece.is_operand and not _expects_operand(text, match.start()):
            start = match.start() + 1
            continue
        start, is_open = match.end(), name[0] == "o"
        if piece.nested:
            start, is_open = _nested_end(text, start, piece.nested)
        elif not piece.closer:
            is_open = start == len(text)
        found.append(Span(match.start(), start, piece.kind, is_open, not piece.closer))
        start = max(start, match.start() + 1)
    return found


@cache
def _pattern(language: str) -> re.Pattern[str] | None:
    """All pieces of a language; the last group that matched is `c3` when the fourth is closed, else `o3`."""
    pieces = syntax_of(language).pieces
    alternatives = [_alternative(n, piece) for n, piece in enumerate(pieces)]
    return re.compile("|".join(alternatives), re.DOTALL) if pieces else None


def _alternative(n: int, piece: Piece) -> str:
    closer = f"(?P<c{n}>{piece.closer})?" if piece.closer and not piece.nested else ""
    inner = f"{piece.opener}{piece.body}"
    for name in ("tag", "delimiter", "hashes", "equals", "comment"):  # one name may stand once in the whole
        inner = inner.replace(f"(?P<{name}>", f"(?P<{name}{n}>").replace(f"(?P={name})", f"(?P={name}{n})")
        closer = closer.replace(f"(?P={name})", f"(?P={name}{n})")
    return f"(?P<o{n}>{inner}){closer}"


def _nested_end(text: str, start: int, signs: tuple[str, str]) -> tuple[int, bool]:
    depth = 1
    for match in re.compile("|".join(map(re.escape, signs))).finditer(text, start):
        depth += 1 if match[0] == signs[0] else -1
        if depth == 0:
            return match.end(), False
    return len(text), True


def _expects_operand(text: str, position: int) -> bool:
    window = text[max(0, position - _OPERAND_WINDOW) : position]
    shown = window.rstrip(" \t")
    return bool(_EXPECTS_OPERAND.search(shown[-12:] if shown else "\n" if "\n" in window or not window else ""))
