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
    text: bytes,
    n_owed: int,
    spell: Spell,
) -> list[tuple[int, ...]]:
    """How other rows may begin, the likeliest first: as the lead does, and then with another token.

    Whitespace, comments and docstrings make no other program. Nor does another token for what the lead says there:
    `)` instead of `)\\n`. Where a text only ends earlier, or goes on in a line that was cut off, there is nothing new.

    Args:
        tokens: of the lead, those that were cut off too; a stop token is none.
        logprobs: of these.
        choices: at each place, the one behind the last token too where there is one.
        text: what is shown of the lead, behind the text that it owed.
        n_owed: bytes of that; a token that spells no more than owed text could be followed by the lead's own.
        spell: what tokens spell; special ones spell nothing.
    """
    found: list[tuple[float, tuple[int, ...]]] = []
    likelihood, begun = 0.0, b""
    for place, at_place in enumerate(choices[:MAX_PLACES]):
        if len(begun) > max(len(text.rstrip()), n_owed):
            break
        taken = tokens[place] if place < len(tokens) else None
        for each in at_place:
            beginning = begun + spell([each.token])
            if each.token != taken and _is_other(beginning, text, n_begun=len(begun), n_owed=n_owed):
                found.append((likelihood + each.logprob, (*tokens[:place], each.token)))
        if taken is not None:
            likelihood, begun = likelihood + logprobs[place], begun + spell([taken])
    return [beginning for _, beginning in sorted(found, key=lambda each: -each[0])]


def _is_other(beginning: bytes, text: bytes, *, n_begun: int, n_owed: int) -> bool:
    if not beginning.startswith(text[:n_owed]) or text.startswith(beginning.rstrip()):
        return False
    added = beginning[max(n_begun, n_owed) :].decode(errors="replace").strip()
    return bool(added) and not added.startswith(_COMMENTS)
