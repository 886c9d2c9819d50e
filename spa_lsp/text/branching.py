"""Where the other rows leave the lead: each takes another token at one of its places, the likeliest first. Pure.

Rows drawn from one model are mostly one program again and again. These begin apart by construction, and at places
where the model itself was undecided. As Priority Sampling (arXiv:2402.18734), but that all of them branch off the lead,
so that they can be computed at once, and go on as drawn. A token is whatever its row is made of: an id of the base
here, the bytes that it spells where a server elsewhere tells of no ids.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from spa_lsp.text.difference import Difference, difference, is_known_at, tokens_of
from spa_lsp.text.languages import canonical
from spa_lsp.text.lexer import Span, open_end, span_at_end, spans
from spa_lsp.text.site import Site

N_CHOICES = 8  # tokens that are noted at each place of a lead
MAX_PLACES = 64  # of a lead; behind them rows would have nearly all of it in common
# of the temperature: rows that begin apart need not be drawn apart. Of 60 gaps of MBPP (`mbpp-gaps`, the shipped set,
# served at 0.8) all of it gave 1.37 different and right alternatives, three quarters 1.63, half 1.62, when a branch
# could still say what the lead says; as branches are chosen now, three quarters give 1.78.
BRANCH_SHARE = 0.75
SLIGHT_NATS = 3.0  # by which a branch is less likely to be wanted that is likely to become the lead's program again
_DOCSTRINGS = ('"""', "'''")
_USUAL = "python"  # what a text is taken for when nobody says
_HALF_CHARACTER = "\ufffd"

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
    text: bytes,
    n_owed: int,
    spell: Callable[[Sequence[Token]], bytes],
    site: Site,
) -> Iterator[Branch[Token]]:
    """How other rows may begin, the likeliest first; only those that are asked for are read as code.

    Whitespace, comments and docstrings that the text begins itself make no other program, nor do other quotes or
    another token for what the lead says there: `)` instead of `)\\n`. Another word for a name of its own seldom does,
    or a bracket around what it says: those come later. Where a text only ends earlier, or goes on in a line that was
    cut off, there is nothing new.

    Args:
        tokens: of the lead, those that were cut off too; a stop token is none.
        logprobs: of these.
        choices: at each place, the one behind the last token too where there is one.
        text: what is shown of the lead, behind the text that it owed.
        n_owed: bytes of that; a token that spells no more than owed text could be followed by the lead's own.
        spell: what tokens spell; special ones spell nothing.
        site: what stands before the cursor and in which language says what a comment is.
    """
    found: list[tuple[float, int, bytes | None, Branch[Token]]] = []
    likelihood, begun = 0.0, b""
    for place, at_place in enumerate(choices[:MAX_PLACES]):
        if len(begun) > max(len(text.rstrip(b"\n")), n_owed):
            break
        taken = tokens[place] if place < len(tokens) else None
        for each in at_place:
            if each.token != taken and (beginning := begun + spell([each.token])).startswith(text[:n_owed]):
                branch = Branch(place=place, choice=each)
                found.append((-likelihood - each.logprob, len(found), beginning[n_owed:], branch))
        if taken is not None:
            likelihood, begun = likelihood + logprobs[place], begun + spell([taken])
    differ = _comparison(text[n_owed:], site)
    heapq.heapify(found)
    while found:
        cost, number, to_read, branch = heapq.heappop(found)
        how_far = "real" if to_read is None else differ(to_read)  # None: it has been read, and put back
        if how_far == "slight":
            heapq.heappush(found, (cost + SLIGHT_NATS, number, None, branch))
        elif how_far == "real":
            yield branch


def _comparison(text: bytes, site: Site) -> Callable[[bytes], Difference]:
    """What tells how far a beginning differs from this text and from those before it, all behind what is owed."""
    language = canonical(site.language or _USUAL)
    before = open_end(site.before, language)
    is_in_prose, is_known = span_at_end(before, language) is not None, is_known_at(site)

    def read(said: str) -> list[str]:
        return tokens_of(_code(before, said, language), before, language)

    lead = read(text.decode(errors="replace"))
    others: list[list[str]] = []

    def differ(beginning: bytes) -> Difference:
        said = beginning.decode(errors="replace")
        if is_in_prose or said.endswith(_HALF_CHARACTER):
            return "none" if text.startswith(beginning.rstrip()) else "real"
        tokens = read(said)
        found = difference(tokens, lead, is_known)
        if found == "real":
            if any(difference(tokens, other, is_known) != "real" for other in others):
                return "slight"
            others.append(tokens)
        return found

    return differ


def _code(before: str, text: str, language: str) -> str:
    """The text behind this one, with spaces for the comments and docstrings that it begins itself."""
    whole = before + text
    for span in spans(before, text, language):
        if span.start >= len(before) and _is_remark(whole, span, language):
            whole = whole[: span.start] + " " * (span.end - span.start) + whole[span.end :]
    return whole[len(before) :]


def _is_remark(text: str, span: Span, language: str) -> bool:
    """Whether no program depends on it: a comment, or a docstring, which stands where a statement does."""
    if span.kind == "comment" or language != "python":
        return span.kind == "comment"
    is_statement = not text[text.rfind("\n", 0, span.start) + 1 : span.start].strip()
    return is_statement and text.startswith(_DOCSTRINGS, span.start)
