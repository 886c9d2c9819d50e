"""Whether a beginning can become another program than a text is: by tokens, as the text is all that is known. Pure."""

import builtins
import keyword
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal

from spa_lsp.text.normal_form import NEW_LINE, code_tokens
from spa_lsp.text.site import Site

# none: it says what the text says. slight: what it says otherwise is a name of the text's own or a needless bracket,
# and the same program is likely to follow
Difference = Literal["none", "slight", "real"]

_NAME = re.compile(r"[^\W\d]\w*")
_QUOTES_ALIKE = {"python", "starlark", "javascript", "javascriptreact", "typescript", "typescriptreact"}
_BEFORE_PARTS = (".", "->", "::", "@")
# words that a value follows, and no call's brackets
_BEFORE_VALUES = set(
    "and assert await case elif else if in is lambda match not or raise return until while yield".split()
)


def difference(beginning: Sequence[str], text: Sequence[str], is_known: Callable[[str], bool]) -> Difference:
    """How far the tokens of a beginning, see `tokens_of`, are other ones than a text has.

    The last token may be the beginning of a longer one if it is a name, a number or a string, but never if it is a
    sign: `<` is not `<=`.

    Args:
        beginning: of another text.
        text: all of it.
        is_known: whether a name stands around the text.
    """
    n = next((n for n, (one, other) in enumerate(zip(beginning, text, strict=False)) if one != other), len(text))
    rest, there = beginning[n:], text[n:]
    if _is_beginning(rest, there) or _ends_statement(rest, there):
        return "none"
    is_name = len(rest) == 1 and _NAME.fullmatch(rest[0])
    if (is_name and _is_own_name(text, n, is_known)) or _has_needless_bracket(rest, there, before=beginning[:n]):
        return "slight"
    return "real"


def tokens_of(text: str, before: str, language: str) -> list[str]:
    """The tokens of a text behind another, those the same that say the same."""
    tokens = code_tokens(before, text, language)
    return list(map(_in_usual_quotes, tokens)) if language in _QUOTES_ALIKE else tokens


def is_known_at(site: Site) -> Callable[[str], bool]:
    """Whether a name stands before or behind the cursor."""

    @cache
    def is_known(name: str) -> bool:
        word = re.compile(rf"\b{re.escape(name)}\b")
        return any(name in text and word.search(text) for text in (site.before, site.suffix))

    return is_known


@cache
def _of_python() -> frozenset[str]:
    return frozenset({*keyword.kwlist, *keyword.softkwlist, *dir(builtins)} - {"_"})


def _is_beginning(tokens: Sequence[str], text: Sequence[str]) -> bool:
    if not tokens:
        return True
    if len(tokens) > len(text) or list(tokens[:-1]) != list(text[: len(tokens) - 1]):
        return False
    last, there = tokens[-1], text[len(tokens) - 1]
    may_go_on = last[0].isalnum() or last[0] in "_\"'`"
    return last == there or (may_go_on and there.startswith(last))


def _ends_statement(tokens: Sequence[str], text: Sequence[str]) -> bool:
    """Whether there is but a `;`, where the text has a line's end."""
    return list(tokens) == [";"] and (not text or text[0].startswith(NEW_LINE))


def _has_needless_bracket(tokens: Sequence[str], text: Sequence[str], *, before: Sequence[str]) -> bool:
    """Whether one of the two has a bracket, which is no call's, before what the other says."""
    if _may_be_called(before):
        return False
    one, other = list(tokens), list(text)
    return (one[0] == "(" and _is_beginning(one[1:], other)) or (other[:1] == ["("] and _is_beginning(one, other[1:]))


def _may_be_called(before: Sequence[str]) -> bool:
    """Whether brackets behind these tokens are those of a call."""
    if not before:
        return True  # what stands before the cursor is not looked at
    return before[-1][-1] in ")]}" or bool(_NAME.fullmatch(before[-1]) and before[-1] not in _BEFORE_VALUES)


def _is_own_name(text: Sequence[str], n: int, is_known: Callable[[str], bool]) -> bool:
    """Whether the text gives this name to something itself: it is new, and neither called nor a part of anything."""
    if n >= len(text) or not _NAME.fullmatch(text[n]) or is_known(text[n]):
        return False
    before, behind = text[n - 1] if n else "", text[n + 1] if n + 1 < len(text) else ""
    if before in _BEFORE_PARTS or behind == "(":
        return False
    return behind == "=" or text[n] not in _of_python()  # those of other languages are seldom new


def _in_usual_quotes(token: str) -> str:
    if not token.startswith("'"):
        return token
    inside = token.strip("'")
    n_opening = len(token) - len(token.lstrip("'"))
    n_closing = len(token) - n_opening - len(inside)
    return '"' * n_opening + inside + '"' * n_closing
