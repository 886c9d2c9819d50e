"""What a server says of the tokens of a piece: how likely each was, and what could have stood in its place. Pure.

vLLM and SGLang have lists, as OpenAI's completions: tokens as text, and for each place a dictionary of the likeliest.
llama.cpp has an object for each token, with its bytes.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from spa_lsp.prompt import clean_text
from spa_lsp.text.branching import Choice

HALF_CHARACTER = "\ufffd"
_NEVER = -9999.0  # how vLLM writes a probability of 0
_BYTES = re.compile(r"bytes:((?:\\x[0-9a-fA-F]{2})+)")  # how OpenAI writes what is no text alone
_ID = re.compile(r"token_id:\d+")  # vLLM's, where it was started with --return-tokens-as-token-ids


@dataclass(frozen=True, kw_only=True)
class TokenLogprob:
    """One token, as it is told of."""

    spelled: bytes | None  # None: nobody can know it
    logprob: float | None  # None, too
    choices: tuple[Choice[bytes], ...]  # the likeliest at its place, itself among them; those that are text


def read_tokens(choice: Mapping[str, Any]) -> list[TokenLogprob]:
    """The tokens of a piece of an answer; none where nothing is said of them."""
    found = choice.get("logprobs") or {}
    logprobs = found.get("token_logprobs") or ()
    if not logprobs:
        return [_of_object(each) for each in found.get("content") or ()]
    tokens, tops = (_list(found.get(name))[: len(logprobs)] for name in ("tokens", "top_logprobs"))
    return [
        TokenLogprob(spelled=_spelled(token), logprob=_finite(logprob), choices=_choices(_pairs(top)))
        for logprob, token, top in zip_longest(logprobs, tokens, tops)
    ]


def _of_object(token: Mapping[str, Any]) -> TokenLogprob:
    tops = [each for each in _list(token.get("top_logprobs")) if isinstance(each, dict)]
    return TokenLogprob(
        spelled=_spelled(token.get("token"), token.get("bytes")),
        logprob=_finite(token["logprob"]),
        choices=_choices((_spelled(each.get("token"), each.get("bytes")), each.get("logprob")) for each in tops),
    )


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _pairs(top: Any) -> list[tuple[bytes | None, Any]]:
    return [(_spelled(token), logprob) for token, logprob in top.items()] if isinstance(top, dict) else []


def _choices(pairs: Iterable[tuple[bytes | None, Any]]) -> tuple[Choice[bytes], ...]:
    found = [(spelled, _finite(logprob)) for spelled, logprob in pairs]
    return tuple(
        Choice(token=spelled, logprob=logprob)
        for spelled, logprob in found
        if spelled is not None and is_text(spelled) and logprob is not None and logprob > _NEVER
    )


def _finite(value: Any) -> float | None:
    return number if value is not None and math.isfinite(number := float(value)) else None


def _spelled(token: Any, own_bytes: Any = None) -> bytes | None:
    """What a token adds to the text."""
    if isinstance(own_bytes, list):
        return bytes(own_bytes)
    if not isinstance(token, str) or HALF_CHARACTER in (token := clean_text(token)) or _ID.fullmatch(token):
        return None
    if found := _BYTES.fullmatch(token):
        return bytes.fromhex(found[1].replace(r"\x", ""))
    return token.encode()


def is_text(spelled: bytes) -> bool:
    """Whether it is whole characters."""
    try:
        spelled.decode()
    except UnicodeDecodeError:
        return False
    return True
