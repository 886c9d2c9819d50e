"""Brackets of a completion beside those that stand around it. Those in strings and comments do not count."""

import re
from dataclasses import dataclass

from spa_lsp.text.languages import syntax_of
from spa_lsp.text.lexer import blanked, span_at_end, spans
from spa_lsp.text.postprocess.word import beyond_word, word_behind
from spa_lsp.text.site import Site

CLOSING = {")": "(", "]": "[", "}": "{"}
_SUFFIX_CHARS = 1000  # in which the end of the string is looked for that the cursor stands in
_QUOTING = re.compile(r"[\"'`\\]")


@dataclass(frozen=True, kw_only=True)
class Code:
    """A completion and its line before the cursor, both with spaces for what stands in strings and comments."""

    line: str
    text: str


def is_read(language: str) -> bool:
    """Whether brackets outside strings and comments of this language stand in pairs, as far as is known here."""
    return syntax_of(language).has_brackets


def is_in_line_comment(prefix: str, language: str) -> bool:
    """Whether a comment to the line's end begins before the end of this text."""
    span = span_at_end(prefix, language)
    return span is not None and span.is_line


def code_of(text: str, site: Site) -> Code | None:
    """What of a completion is code; None where that cannot be told."""
    if not is_read(site.language):
        return None if _QUOTING.search(site.line + text) else Code(line=site.line, text=text)
    start = len(site.before)
    code = blanked(site.before, text, site.language)
    return Code(line=code[start - len(site.line) : start], text=code[start:])


def cut_surplus_brackets(text: str, site: Site) -> str:
    """Up to the first closing bracket that closes nothing, neither in the text nor before it."""
    if not is_read(site.language):
        return text
    code = blanked(site.before, text, site.language)
    start = len(site.before)
    opened = open_brackets(code[:start])
    if opened is None:
        return text  # the window cut off what they close
    for n, character in enumerate(code[start:]):
        if character in CLOSING.values():
            opened.append(character)
        elif character in CLOSING and (not opened or opened.pop() != CLOSING[character]):
            return text[:n]
    return text


def open_brackets(code: str) -> list[str] | None:
    """The brackets that are still open at the end, outermost first; None when one closes what is not open."""
    opened: list[str] = []
    for character in code:
        if character in CLOSING.values():
            opened.append(character)
        elif character in CLOSING and (not opened or opened.pop() != CLOSING[character]):
            return None
    return opened


def n_replaced(text: str, site: Site) -> int:
    """How many characters behind the cursor an item's range takes in: the rest of a word, and closing brackets.

    An editor puts `)` behind the cursor with each `(`; a text like `items) {` closes that bracket in its middle, where
    nothing can be left out of it.
    """
    return len(word_behind(site)) + _n_closers_replaced(text, beyond_word(site))


def _n_closers_replaced(text: str, site: Site) -> int:
    code = code_of(text, site)
    closers = _closers_behind(site)
    if code is None or not closers:
        return 0
    own = unmatched_closers(code.text)
    n_needed = n_open_on_line(code.line) + sum(bracket in map(CLOSING.get, closers) for bracket in unclosed(code.text))
    n_surplus = len(own) + len(closers) - n_needed
    n = max(0, min(n_surplus, len(closers), len(own)))
    return n if own[:n] == closers[:n] else 0


def _closers_behind(site: Site) -> str:
    """The closing brackets right behind the cursor, unless they belong to a string that goes on there."""
    behind = re.match(r"[)\]}]*", site.rest)
    closers = behind[0] if behind else ""
    around = span_at_end(site.before, site.language) if closers else None
    if around is None:
        return closers
    found = spans(site.before, site.suffix[:_SUFFIX_CHARS], site.language)
    return closers if any(span.start == around.start and span.is_open for span in found) else ""


def unmatched_closers(code: str) -> str:
    """The closing brackets of some code that close nothing in it."""
    return "".join(bracket for bracket in _unmatched(code) if bracket in CLOSING)


def unclosed(code: str) -> str:
    """The brackets that some code leaves open."""
    return "".join(bracket for bracket in _unmatched(code) if bracket not in CLOSING)


def _unmatched(code: str) -> list[str]:
    kept: list[str] = []
    for character in code:
        if character in CLOSING and kept and kept[-1] not in CLOSING:
            kept.pop()
        elif character in CLOSING or character in CLOSING.values():
            kept.append(character)
    return kept


def n_open_on_line(code: str) -> int:
    """How many brackets are open at the end of this line and were opened on it."""
    opened = 0
    for character in code:
        opened = opened + 1 if character in CLOSING.values() else max(0, opened - (character in CLOSING))
    return opened
