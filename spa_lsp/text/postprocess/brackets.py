"""Brackets of a completion beside those that stand around it. Those in strings and comments do not count."""

import re
from functools import cache

from spa_lsp.text.normal_form import HASH_COMMENTS
from spa_lsp.text.postprocess.site import Site

CLOSING = {")": "(", "]": "[", "}": "{"}

# LSP language ids whose strings and comments are told apart here; elsewhere brackets say nothing
_C_LIKE = "c cpp csharp css dart go java kotlin php rust scala swift"
_SLASH_LANGUAGES = frozenset(f"{_C_LIKE} javascript javascriptreact typescript typescriptreact".split())
_READ_HASH_LANGUAGES = frozenset({"python", "julia", "r", "toml"})  # the others quote in ways of their own
_LONG = r'"""(?:\\.|[^\\])*?(?:"""|\Z)|' + r"'''(?:\\.|[^\\])*?(?:'''|\Z)|"
_DOUBLE = r'"(?:\\.|[^"\\\n])*(?:"|$)'
_SINGLE = r"'(?:\\.|[^'\\\n])*(?:'|$)"
_CHARACTER = r"'(?:\\[^'\n]{1,8}|[^'\\\n])'"  # a lifetime, `&'a str`, has no second quote


def is_read(language: str) -> bool:
    """Whether strings and comments of this language are known here."""
    return language in _SLASH_LANGUAGES or language in _READ_HASH_LANGUAGES


def blanked(text: str, language: str) -> str:
    """The text, as long as before, with spaces for what stands in strings and comments."""
    return _quiet(language).sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def is_in_comment(prefix: str, language: str) -> bool:
    """Whether a comment to the line's end begins before the end of this text."""
    found = list(_quiet(language).finditer(prefix)) if is_read(language) else []
    return bool(found) and found[-1].end() == len(prefix) and found[-1][0].startswith(("#", "//"))


@cache
def _quiet(language: str) -> re.Pattern[str]:
    if language in HASH_COMMENTS:
        return re.compile(rf"{_LONG}{_DOUBLE}|{_SINGLE}|#[^\n]*", re.DOTALL | re.MULTILINE)
    single = _CHARACTER if language == "rust" else _SINGLE
    return re.compile(rf"{_DOUBLE}|{single}|`[^`]*(?:`|\Z)|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL | re.MULTILINE)


def cut_surplus_brackets(text: str, site: Site) -> str:
    """Up to the first closing bracket that closes nothing, neither in the text nor before it."""
    if not is_read(site.language):
        return text
    code = blanked(site.prefix + text, site.language)
    start = len(site.prefix)
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
    """How many closing brackets behind the cursor an item's range takes in, because the text has them itself.

    An editor puts `)` behind the cursor with each `(`; a text like `items) {` closes that bracket in its middle, where
    nothing can be left out of it.
    """
    behind = re.match(r"[)\]}]*", site.rest)
    closers = behind[0] if behind else ""
    own = unmatched_closers(text)
    n_needed = n_open_on_line(site.line) + sum(1 for bracket in unclosed(text) if bracket in map(CLOSING.get, closers))
    n_surplus = len(own) + len(closers) - n_needed
    n = max(0, min(n_surplus, len(closers), len(own)))
    return n if own[:n] == closers[:n] else 0


def unmatched_closers(text: str) -> str:
    """The closing brackets of a text that close nothing in it."""
    return "".join(bracket for bracket in _unmatched(text) if bracket in CLOSING)


def unclosed(text: str) -> str:
    """The brackets that a text leaves open."""
    return "".join(bracket for bracket in _unmatched(text) if bracket not in CLOSING)


def _unmatched(text: str) -> list[str]:
    kept: list[str] = []
    for character in text:
        if character in CLOSING and kept and kept[-1] not in CLOSING:
            kept.pop()
        elif character in CLOSING or character in CLOSING.values():
            kept.append(character)
    return kept


def n_open_on_line(line: str) -> int:
    """How many brackets are open at the end of this line and were opened on it."""
    opened = 0
    for character in line:
        opened = opened + 1 if character in CLOSING.values() else max(0, opened - (character in CLOSING))
    return opened
