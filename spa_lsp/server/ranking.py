"""From what the adapters wrote to what is offered: each really another program, the most trusted first. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from spa_lsp.completion import Alternative
from spa_lsp.server.answers import Offer
from spa_lsp.text.normal_form import parses
from spa_lsp.text.shown import Shown, shown_infills

# Nats. Alternatives whose trust differs by less are told apart by syntax and by what the user took before; a choice,
# not measured: two adapters that agree count for ln 2, almost three steps.
STEP = 0.25


@dataclass(frozen=True, kw_only=True)
class Place:
    """The text between which an alternative is to stand, and its language."""

    prefix: str
    suffix: str
    language: str


def make_offers(
    alternatives: Sequence[Alternative], place: Place, *, counts: Mapping[str, int], kept: Sequence[Offer] = ()
) -> list[Offer]:
    """The distinct alternatives, polished, in the order in which they are shown.

    First by trust, which is the mean log-probability and the agreement of adapters, then what parses before what does
    not, then what the user accepted more often, then by the set's order.

    Args:
        alternatives: raw, of different adapters.
        place: where they are to stand.
        counts: how often alternatives of each adapter were accepted, by its name.
        kept: what is shown already and so keeps its place.
    """
    shown = shown_infills(
        sorted(alternatives, key=lambda alternative: alternative.index),
        prefix=place.prefix,
        suffix=place.suffix,
        language=place.language,
    )
    programs: dict[str, list[Shown]] = {}
    for each in shown:
        if each.text is not None:
            programs.setdefault(each.form, []).append(each)
    first = [replace(offer, same=_others(programs.pop(offer.form, []), offer.alternative.index)) for offer in kept]
    ranked = sorted(programs.values(), key=lambda program: _rank(program, place, counts))
    return [*first, *map(_offer, ranked)]


def trust(mean_logprobs: Sequence[float]) -> float:
    """How probable a program is that adapters wrote with these mean log-probabilities, in nats; more is better."""
    return max(mean_logprobs) + math.log(len(mean_logprobs))


def _rank(program: Sequence[Shown], place: Place, counts: Mapping[str, int]) -> tuple[float, bool, int, int]:
    text = program[0].text
    assert text is not None
    step = -round(trust([each.alternative.mean_logprob for each in program]) / STEP)
    is_sound = parses(place.prefix, text, place.suffix[program[0].n_replaced :], place.language)
    n_accepted = max(counts.get(each.alternative.adapter, 0) for each in program)
    return step, not is_sound, -n_accepted, program[0].alternative.index


def _offer(program: Sequence[Shown]) -> Offer:
    shown = program[0]
    return Offer(
        alternative=_as_shown(shown),
        form=shown.form,
        same=_others(program, shown.alternative.index),
        n_replaced=shown.n_replaced,
    )


def _others(program: Sequence[Shown], index: int) -> tuple[Alternative, ...]:
    return tuple(_as_shown(each) for each in program if each.alternative.index != index)


def _as_shown(shown: Shown) -> Alternative:
    assert shown.text is not None
    return replace(shown.alternative, text=shown.text)
