"""Where text that is still being typed is cut, so that a model is never shown half a word as if it were whole. Pure.

Tokenizers cut `retu` otherwise than `return`, and a model that sees the tokens of the one seldom goes on to the other.
So the end of the text is taken back, and the completion must begin with it ("token healing"). Serving forces it to;
training cuts its items in the same places.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from spa_lsp.prompt import PromptTokens, encode_text

# What may still grow: a run of letters with the character before it, which tokenizers join to them (` return`, `.low`,
# `_id`), or spaces, all but one of which they part from the word behind. A run of more letters is text without spaces.
_OPEN = re.compile(r"(?:(?:[^\w\r\n]|_)?[^\W\d_]{1,24}|[ \t]+)\Z")
_NEAR = 256  # characters of a line that decide how its end is cut


@dataclass(frozen=True, kw_only=True)
class HealedText:
    """The text before a cursor, divided: `prefix + begun + owed` is what was given as prefix and begun."""

    prefix: str  # for the prompt, before the suffix
    begun: str  # for the prompt, behind the middle token
    owed: str  # with what a completion must begin; typed already, so no part of an alternative


def heal(tokens: PromptTokens, prefix: str, begun: str = "") -> HealedText:
    """Take back what may still be cut otherwise, from the prefix and then from what has been typed behind it.

    The prefix loses the same whatever `begun` is, so that the prompt up to the middle token stays while one types.
    """
    owed = taken_back(tokens, prefix)
    prefix = prefix.removesuffix(owed)
    if not begun:
        return HealedText(prefix=prefix, begun="", owed=owed)
    middle = owed + begun
    owed = taken_back(tokens, middle)
    return HealedText(prefix=prefix, begun=middle.removesuffix(owed), owed=owed)


def taken_back(tokens: PromptTokens, text: str) -> str:
    """The end of the text from the last place where its tokens do not depend on what will follow.

    That is the last token, and the word or the spaces that are open, always whole tokens. Behind a line end nothing is
    taken back: tokenizers of infill bases begin anew there.
    """
    line = re.split(r"[\r\n]", text[-_NEAR:])[-1]
    if not line:
        return ""
    ids = encode_text(tokens, line)
    is_open = _OPEN.search(line)
    start = is_open.start() if is_open else len(line) - 1
    return next(line[n:] for n in range(start, -1, -1) if _begins(ids, encode_text(tokens, line[:n])))


def _begins(ids: Sequence[int], first: Sequence[int]) -> bool:
    return list(ids[: len(first)]) == list(first)
