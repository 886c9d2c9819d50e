"""Where the other rows leave the lead: each takes another token at one of its places, the likeliest first.

Rows drawn from one model are mostly one program again and again. These begin apart by construction, and at places
where the model itself was undecided. As Priority Sampling (arXiv:2402.18734), but that all of them branch off the lead,
so that they can be computed at once, and go on as drawn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from spa_lsp.lm.sampling import likeliest

N_CHOICES = 4  # tokens that are noted at each place of a lead
MAX_PLACES = 64  # of a lead; behind them rows would have nearly all of it in common
_COMMENTS = ("#", '"""', "'''")  # how Python writes what no program depends on

Spell = Callable[[Sequence[int]], bytes]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A token that could stand at a place, and how likely it is there, in nats."""

    token: int
    logprob: float


def choices_of(logits: Tensor, log_sum: float) -> list[Choice]:
    """The likeliest tokens by the logits `[V]` of one row."""
    values, tokens = (found[0].tolist() for found in likeliest(logits[None], N_CHOICES))
    return [Choice(token=token, logprob=value - log_sum) for value, token in zip(values, tokens, strict=True)]


def branches(
    tokens: Sequence[int],
    logprobs: Sequence[float],
    choices: Sequence[Sequence[Choice]],
    *,
    n: int,
    spell: Spell,
) -> list[tuple[int, ...]]:
    """How at most n other rows begin, the likeliest first: as the lead does, and then with another token.

    Whitespace, comments and docstrings make no other program, and where a text only ends earlier there is nothing new.

    Args:
        tokens: of the lead, as far as it is shown; a stop token is none.
        logprobs: of these.
        choices: at each place, the one behind the last token too where there is one; none where no other may stand.
        n: rows.
        spell: what tokens spell; special ones spell nothing.
    """
    found: list[tuple[float, tuple[int, ...]]] = []
    likelihood = 0.0
    for place, at_place in enumerate(choices[: min(len(tokens) + 1, MAX_PLACES)]):
        taken = tokens[place] if place < len(tokens) else None
        begun = tuple(tokens[:place])
        others = [each for each in at_place if each.token != taken and _is_code(spell([each.token]))]
        found += [(likelihood + each.logprob, (*begun, each.token)) for each in others]
        likelihood += logprobs[place] if taken is not None else 0.0
    return [beginning for _, beginning in sorted(found, key=lambda each: -each[0])[:n]]


def _is_code(spelled: bytes) -> bool:
    text = spelled.decode(errors="replace").strip()
    return bool(text) and not text.startswith(_COMMENTS)


def n_tokens_of(text: bytes, tokens: Sequence[int], spell: Spell) -> int:
    """How many of the first tokens spell all of a text that they begin with."""
    length = 0
    for n, token in enumerate(tokens):
        if length >= len(text):
            return n
        length += len(spell([token]))
    return len(tokens)
