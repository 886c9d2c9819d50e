"""All alternatives at a cursor side by side: texts, figures, and what differs from the first. Pure."""

from collections.abc import Callable
from difflib import SequenceMatcher
from typing import Any

from lsprotocol import types

from spa_lsp.completion import Alternative
from spa_lsp.server.answers import Answer
from spa_lsp.text.postprocess import n_replaced
from spa_lsp.text.shown import labelled

REQUEST = "spa-lsp/alternatives"

_SHOWN = ("adapter", "label", "index", "mean_logprob", "n_tokens", "finish", "text")


def empty_panel(reason: str, message: str = "") -> dict[str, Any]:
    """No alternatives; `reason` is a word of `refusal.py`, `message` what may be shown to the user, or empty."""
    return {"base": "", "adapter_set": "", "alternatives": [], "reason": reason, "message": message}


def to_panel(answer: Answer, base: str, range_of: Callable[[int], types.Range]) -> dict[str, Any]:
    """The answer: first what is offered, in that order, then the same programs from other adapters.

    Those have `same_as`: the number, from 1, of the offered one. `range` is what the text takes the place of.
    """
    first = answer.offers[0].text if answer.offers else ""

    def entry(alternative: Alternative, n: int, same_as: int | None) -> dict[str, Any]:
        about = {name: getattr(alternative, name) for name in _SHOWN}
        return {**about, "range": _plain(range_of(n)), "same_as": same_as, "diff": line_diff(first, alternative.text)}

    offered = [entry(offer.alternative, offer.n_replaced, None) for offer in labelled(answer.offers)]
    same = [
        entry(alternative, n_replaced(alternative.text, answer.spot.site), number)
        for number, offer in enumerate(answer.offers, start=1)
        for alternative in offer.same
    ]
    about = {"base": base, "adapter_set": answer.adapter_set}
    return {**about, "alternatives": [*offered, *same], "reason": "", "message": ""}


def _plain(found: types.Range) -> dict[str, dict[str, int]]:
    ends = (("start", found.start), ("end", found.end))
    return {name: {"line": end.line, "character": end.character} for name, end in ends}


def line_diff(first: str, text: str) -> list[dict[str, str]]:
    """The lines of both, in order: `=` in both, `-` only in the first, `+` only in the text."""
    before, after = first.split("\n"), text.split("\n")
    lines = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            lines += [{"kind": "=", "line": line} for line in before[i1:i2]]
            continue
        lines += [{"kind": "-", "line": line} for line in before[i1:i2]]
        lines += [{"kind": "+", "line": line} for line in after[j1:j2]]
    return lines
