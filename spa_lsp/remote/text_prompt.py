"""The prompt as text, for servers that have a tokenizer of their own: characters stand for tokens. Pure.

The layout, its cuts and the healing of half words are those of `prompt.py` and `text.healing`. A special token is an
id above all characters there, and its literal in the text. What a user's text has of such literals is broken by a
character without width, since a server would read them as tokens; it is taken out of what comes back.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from spa_lsp.bases.catalog import Base
from spa_lsp.completion import CompletionRequest
from spa_lsp.errors import BadInput
from spa_lsp.prompt import PromptTokens, clean_text, infill_prompt
from spa_lsp.text.healing import HealedText, heal

MAX_PROMPT_CHARS = 8192  # about the 2048 tokens that the engine reads here
BREAK = "\u2060"  # WORD JOINER

_FIRST_MARK = 0x110000  # above all characters
_MAX_BEGUN = 1024


@dataclass(frozen=True, kw_only=True)
class TextPrompt:
    """What a server is asked to go on from."""

    text: str
    owed: str = ""  # what every row must write first: the end of the text before the cursor, see `text.healing`


def text_prompt(request: CompletionRequest, base: Base, *, can_owe: bool) -> TextPrompt:
    """The prompt, cut to what is read; without `can_owe` it ends where the text does.

    Raises:
        BadInput: nothing to complete, or a layout that the base does not have.
    """
    if request.layout == "instruct":
        return _instruct_prompt(request, base)
    if base.infill is None:
        raise BadInput(f"{base.id} cannot infill; use the instruct layout or another base")
    marks = _Marks(base)
    specials = base.neutral_tokens
    prefix, begun = neutral(request.prefix, specials), neutral(request.begun, specials)
    if len(begun) > _MAX_BEGUN:
        prefix, begun = prefix + begun, ""
    text = heal(marks.tokens, prefix, begun) if can_owe else HealedText(prefix=prefix, begun=begun, owed="")
    ids = infill_prompt(
        marks.tokens,
        text.prefix,
        neutral(request.suffix, specials),
        max_tokens=MAX_PROMPT_CHARS,
        begun=text.begun,
        context=[(neutral(piece.path, specials), neutral(piece.text, specials)) for piece in request.context],
        path=neutral(request.path, specials),
    )
    return TextPrompt(text=marks.spell(ids), owed=text.owed)


def neutral(text: str, specials: Sequence[str]) -> str:
    """The text in which none of these is read as a special token."""
    pattern = "|".join(map(re.escape, specials))
    text = clean_text(text)
    return re.sub(pattern, lambda match: match[0][0] + BREAK + match[0][1:], text) if pattern else text


def without_breaks(text: str) -> str:
    """What comes back, as the user may have it."""
    return text.replace(BREAK, "")


def _instruct_prompt(request: CompletionRequest, base: Base) -> TextPrompt:
    if not base.instruct:
        raise BadInput(f"{base.id} takes no instructions; use another base")
    if not request.prefix.strip():
        raise BadInput("the instruction is empty; say what to write")
    head, _, tail = base.instruct.partition("{instruction}")
    instruction = neutral(request.prefix, base.neutral_tokens)[-MAX_PROMPT_CHARS:]
    return TextPrompt(text=f"{head}{instruction}{tail}{neutral(request.begun, base.neutral_tokens)}")


class _Marks:
    """The special tokens of a base as ids, and prompts of characters and such ids as text."""

    def __init__(self, base: Base) -> None:
        assert base.infill is not None
        infill = base.infill
        self._literals = [infill.prefix, infill.suffix, infill.middle, infill.repository, infill.file]
        prefix, suffix, middle, repository, file = range(_FIRST_MARK, _FIRST_MARK + len(self._literals))
        self.tokens = PromptTokens(
            encode=lambda text: [ord(character) for character in text],
            fim_prefix=prefix,
            fim_suffix=suffix,
            fim_middle=middle,
            repository=repository if infill.repository else None,
            file=file if infill.file else None,
            instruct_head=(),
            instruct_tail=(),
            neutral=(),
        )

    def spell(self, ids: list[int]) -> str:
        return "".join(chr(each) if each < _FIRST_MARK else self._literals[each - _FIRST_MARK] for each in ids)
