"""From text to the tokens of a prompt, the same for serving, training and evaluation. Pure: no model, no files.

A prompt ends with the token behind which the rows begin: `<|fim_middle|>` or the header of the assistant's turn, or
the last token of what is begun behind them. From that token on the adapters act (`activation: completion`), in training
as in serving. What is begun is thus read by the base alone: its keys and values are the same for all rows and stay
while one types, and it is a few tokens of text that plain prompts have in the prefix, where no adapter acts either.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Encode = Callable[[str], list[int]]


@dataclass(frozen=True, kw_only=True)
class PromptTokens:
    """What a base's prompts are made of: ids of its infill tokens, its instruct template, and its tokenizer."""

    encode: Encode  # text to ids; no special token is added
    fim_prefix: int | None
    fim_suffix: int | None
    fim_middle: int | None
    repository: int | None = None  # stands before the first file of context
    file: int | None = None  # and before each file; None: the base takes no files
    instruct_head: tuple[int, ...]  # ids before the instruction
    instruct_tail: tuple[int, ...]  # ids after it, up to where the answer begins
    neutral: tuple[str, ...]  # special tokens that text of the user must never turn into


def infill_prompt(
    tokens: PromptTokens,
    prefix: str,
    suffix: str,
    *,
    max_tokens: int,
    begun: str = "",
    context: Sequence[tuple[str, str]] = (),
    path: str = "",
) -> list[int]:
    """Ids of `<fim_prefix> prefix <fim_suffix> suffix <fim_middle> begun`, at most `max_tokens` of them before begun.

    Begun is kept whole and takes no room, so that all before it stays as it is while begun grows. What is too long
    loses its far ends: the prefix its beginning, the suffix its end, at line borders, with three quarters of the room
    for the prefix. Files of context stand before, in at most a quarter of all the room.

    Args:
        tokens: of the base.
        prefix: text before the cursor.
        suffix: text behind it.
        max_tokens: the room.
        begun: the beginning of the completion.
        context: path and text of other files; those that do not fit are left out, the first ones have precedence.
        path: of the file with the cursor, named only when there is context.

    Raises:
        ValueError: the base has no infill tokens.
    """
    if tokens.fim_prefix is None or tokens.fim_suffix is None or tokens.fim_middle is None:
        raise ValueError("this base has no infill tokens; use the instruct layout")
    head = _context_ids(tokens, context, path, max_tokens // 4)
    room = max_tokens - 3 - len(head)
    suffix_ids = _first_lines(tokens, suffix, max(room // 4, room - len(encode_text(tokens, prefix))))
    prefix_ids = _last_lines(tokens, prefix, room - len(suffix_ids))
    begun_ids = encode_text(tokens, begun)
    return [*head, tokens.fim_prefix, *prefix_ids, tokens.fim_suffix, *suffix_ids, tokens.fim_middle, *begun_ids]


def instruct_prompt(tokens: PromptTokens, instruction: str, *, max_tokens: int, begun: str = "") -> list[int]:
    """Ids of the chat turn that asks for `instruction`, and of the answer's beginning, which is kept whole.

    An instruction that is too long loses its beginning.
    """
    tail = [*tokens.instruct_tail, *encode_text(tokens, begun)]
    room = max_tokens - len(tokens.instruct_head) - len(tail)
    return [*tokens.instruct_head, *_last_lines(tokens, instruction, room), *tail]


def encode_text(tokens: PromptTokens, text: str) -> list[int]:
    """Ids of a user's text, in which nothing becomes a special token; decoding them gives the text back."""
    return [token for piece in neutral_pieces(text, tokens.neutral) for token in tokens.encode(piece)]


def neutral_pieces(text: str, special: Sequence[str]) -> list[str]:
    """The text cut behind the first character of every special token in it, so that no piece holds one whole."""
    present = [re.escape(literal) for literal in special if literal in text]
    if not present:
        return [text] if text else []
    cuts = [match.start() + 1 for match in re.finditer("|".join(present), text)]
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True) if start < end]


def clean_text(text: str) -> str:
    """The text with lone surrogates replaced: editors may send halves of an emoji, tokenizers refuse them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _context_ids(tokens: PromptTokens, context: Sequence[tuple[str, str]], path: str, room: int) -> list[int]:
    """Ids of `<repository> <file> path text … <file> path`, with the newlines that Qwen was trained with."""
    if tokens.file is None or not context:
        return []
    # a repository's name says nothing about the code in it: the token stands with an empty one
    head = [tokens.repository, *tokens.encode("\n")] if tokens.repository is not None else []
    tail = [tokens.file, *encode_text(tokens, f"{path}\n")]
    files: list[int] = []
    for name, text in context:
        ids = [tokens.file, *encode_text(tokens, f"{name}\n{text}\n")]
        if len(head) + len(files) + len(ids) + len(tail) <= room:
            files += ids
    return [*head, *files, *tail] if files else []


def _last_lines(tokens: PromptTokens, text: str, room: int) -> list[int]:
    """At most `room` ids of the text's end, beginning with a line unless not one line fits."""
    ids = encode_text(tokens, text)
    while len(ids) > room > 0:
        border = text.find("\n", _surplus(text, ids, room))
        if border < 0 or not text[border + 1 :].strip("\n"):
            break
        text = text[border + 1 :]
        ids = encode_text(tokens, text)
    return ids[-room:] if room > 0 else []


def _first_lines(tokens: PromptTokens, text: str, room: int) -> list[int]:
    """At most `room` ids of the text's beginning, ending with a line unless not one line fits."""
    ids = encode_text(tokens, text)
    while len(ids) > room > 0:
        border = text.rfind("\n", 0, len(text) - _surplus(text, ids, room))
        if border < 0 or not text[:border].strip("\n"):
            break
        text = text[:border]
        ids = encode_text(tokens, text)
    return ids[: max(room, 0)]


def _surplus(text: str, ids: Sequence[int], room: int) -> int:
    """How many characters may go in one round: half of what the tokens over the room take on average."""
    return len(text) * (len(ids) - room) // (2 * len(ids))
