"""Where the other rows leave the lead: each takes another token at one of its places, the likeliest first. Pure.

Rows drawn from one model are mostly one program again and again. These begin apart by construction, and at places
where the model itself was undecided. As Priority Sampling (arXiv:2402.18734), but that all of them branch off the lead,
so that they can be computed at once, and go on as drawn. A token is whatever its row is made of: an id of the base
here, the bytes that it spells where a server elsewhere tells of no ids.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

N_CHOICES = 4  # tokens that are noted at each place of a lead
MAX_PLACES = 64  # of a lead; behind them rows would have nearly all of it in common
# of the temperature: rows that begin apart need not be drawn apart. Of 60 gaps of MBPP (`mbpp-gaps`, the shipped set,
# served at 0.8) all of it gives 1.37 different and right alternatives, three quarters 1.63, half of it 1.62.
BRANCH_SHARE = 0.75
_COMMENTS = ("#", '"""', "'''")  # how Python writes what no program depends on

Token = TypeVar("Token")


@dataclass(frozen=True, kw_only=True)
class Choice(Generic[Token]):
    """A token that could stand at a place, and how likely it is there, in nats."""

    token: Token
    logprob: float


@dataclass(frozen=True, kw_only=True)
class Branch(Generic[Token]):
    """How another row begins: as the lead does before this place, and there with this token."""

    place: int
    choice: Choice[Token]


def branches(
    tokens: Sequence[Token],
    logprobs: Sequence[float],
    choices: Sequence[Sequence[Choice[Token]]],
    *,
    n: int,
    spell: Callable[[Sequence[Token]], bytes],
) -> list[Branch[Token]]:
    """How at most n other rows begin, the likeliest first.

    Whitespace, comments and docstrings make no other program, and where a text only ends earlier there is nothing new.

    Args:
        tokens: of the lead, as far as it is shown; a stop token is none.
        logprobs: of these.
        choices: at each place, the one behind the last token too where there is one; none where no other may stand.
        n: rows.
        spell: what tokens spell; special ones spell nothing.
    """
    found: list[tuple[float, Branch[Token]]] = []
    likelihood = 0.0
    for place, at_place in enumerate(choices[: min(len(tokens) + 1, MAX_PLACES)]):
        taken = tokens[place] if place < len(tokens) else None
        others = [each for each in at_place if each.token != taken and _is_code(spell([each.token]))]
        found += [(likelihood + each.logprob, Branch(place=place, choice=each)) for each in others]
        likelihood += logprobs[place] if taken is not None else 0.0
    return [branch for _, branch in sorted(found, key=lambda each: -each[0])[:n]]


def _is_code(spelled: bytes) -> bool:
    text = spelled.decode(errors="replace").strip()
    return bool(text) and not text.startswith(_COMMENTS)


def n_tokens_of(text: bytes, tokens: Sequence[Token], spell: Callable[[Sequence[Token]], bytes]) -> int:
    """How many of the first tokens spell all of a text that they begin with."""
    length = 0
    for n, token in enumerate(tokens):
        if length >= len(text):
            return n
        length += len(spell([token]))
    return len(tokens)
