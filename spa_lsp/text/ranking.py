"""From what the adapters wrote to what is offered: each really another program, the most trusted first. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from spa_lsp.completion import Alternative
from spa_lsp.text.normal_form import parses
from spa_lsp.text.shown import Offer, distinct, shown_infills
from spa_lsp.text.site import Site

# Nats. Alternatives whose trust differs by less are told apart by syntax and by what the user took before; a choice,
# not measured: two adapters that agree count for ln 2, almost three steps.
STEP = 0.25


def make_offers(
    alternatives: Sequence[Alternative],
    site: Site,
    *,
    counts: Mapping[str, int],
    kept: Sequence[Offer] = (),
    lead: Alternative | None = None,
) -> list[Offer]:
    """The distinct alternatives, polished, in the order in which they are shown.

    First by trust, which is the mean log-probability and the agreement of adapters, then what parses before what does
    not, then what the user accepted more often, then by the set's order.

    Args:
        alternatives: raw, of different adapters.
        site: where they are to stand.
        counts: how often alternatives of each adapter were accepted, by its name.
        kept: what is shown already and so keeps its place.
        lead: one of the alternatives, which comes first where nothing is shown yet.
    """
    if lead is not None and not kept:
        kept = make_offers([lead], site, counts=counts)
    shown = shown_infills(sorted(alternatives, key=lambda alternative: alternative.index), site)
    programs = {offer.form: offer for offer in distinct(shown)}
    first = [replace(offer, same=_others(offer, programs.pop(offer.form, None))) for offer in kept]
    return [*first, *sorted(programs.values(), key=lambda offer: _rank(offer, site, counts))]


def trust(mean_logprobs: Sequence[float]) -> float:
    """How probable a program is that adapters wrote with these mean log-probabilities, in nats; more is better."""
    return max(mean_logprobs) + math.log(len(mean_logprobs))


def _rank(offer: Offer, site: Site, counts: Mapping[str, int]) -> tuple[float, bool, int, int]:
    step = -round(trust([each.mean_logprob for each in offer.wordings]) / STEP)
    is_sound = parses(site.before, offer.text, site.suffix[offer.n_replaced :], site.language)
    n_accepted = max(counts.get(each.adapter, 0) for each in offer.wordings)
    return step, not is_sound, -n_accepted, offer.alternative.index


def _others(offer: Offer, found: Offer | None) -> tuple[Alternative, ...]:
    """Who else has written what is shown already."""
    wordings = found.wordings if found else ()
    return tuple(each for each in wordings if each.index != offer.alternative.index)
