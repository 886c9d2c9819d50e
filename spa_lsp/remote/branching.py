"""How rows at a server begin as the lead does and then otherwise: by text, since ids of tokens are not told. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from spa_lsp.remote.logprobs import is_text
from spa_lsp.remote.rows import Row
from spa_lsp.text.branching import Choice, branches
from spa_lsp.text.site import Site


@dataclass(frozen=True, kw_only=True)
class Lead:
    """What others need of one that has ended; a place without choices is none where one may branch off."""

    tokens: tuple[bytes, ...] = ()  # of what is owed and what came behind it
    logprobs: tuple[float, ...] = ()
    choices: tuple[tuple[Choice[bytes], ...], ...] = ()  # one place more where the lead went on
    text: bytes = b""  # what is owed and what is shown
    n_owed: int = 0  # bytes of that
    n_owing: int = 0  # first tokens that write it
    site: Site = Site()


def lead_of(row: Row) -> Lead:
    """A finished row as one to branch off, up to the first token that nobody knows.

    Where its tokens do not spell its text, what is said of others is not to be believed either: then it has no place.
    """
    known = list(takewhile(lambda each: each.spelled is not None and each.logprob is not None, row.token_logprobs))
    tokens = [each.spelled or b"" for each in known]
    spelled, raw, owed = b"".join(tokens), row.raw.encode(), row.ask.owed.encode()
    if not (spelled.startswith(raw) or raw.startswith(spelled)):
        return Lead()
    begun = [b"".join(tokens[:n]) for n in range(len(tokens) + 1)]  # before each place, and all of it
    specials = [special.encode() for special in row.ask.specials]
    return Lead(
        tokens=tuple(tokens),
        logprobs=tuple(each.logprob or 0.0 for each in known),
        choices=tuple(
            _plain(each.choices, specials) if len(before) >= len(owed) and is_text(before) else ()
            for each, before in zip(row.token_logprobs, begun, strict=False)
        ),
        text=owed + row.text.encode(),
        n_owed=len(owed),
        n_owing=sum(len(before) < len(owed) for before in begun[:-1]),
        site=row.ask.site,
    )


def _plain(choices: Sequence[Choice[bytes]], specials: Sequence[bytes]) -> tuple[Choice[bytes], ...]:
    return tuple(each for each in choices if not any(special in each.token for special in specials))


def branch_off(lead: Lead, rows: Sequence[Row]) -> None:
    """Let fresh rows begin as a lead does, each by its own branch; those for which there is none stay as they are."""
    likeliest = branches(
        lead.tokens,
        lead.logprobs,
        lead.choices,
        text=lead.text,
        n_owed=lead.n_owed,
        spell=b"".join,
        site=lead.site,
    )
    numbers = [row.ask.branch for row in rows if row.ask.branch is not None]
    found = list(islice(likeliest, max(numbers, default=-1) + 1))
    for row in rows:
        if row.ask.branch is None or row.ask.branch >= len(found):
            continue
        branch = found[row.ask.branch]
        begun = b"".join([*lead.tokens[: branch.place], branch.choice.token])
        row.begin(begun.decode(), [*lead.logprobs[lead.n_owing : branch.place], branch.choice.logprob])
