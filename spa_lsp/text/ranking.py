"""From what the adapters wrote to what is offered: each really another program, the most trusted first. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from spa_lsp.completion import Alternative
from spa_lsp.text.normal_form import parses
from spa_lsp.text.shown import Offer, distinct, shown_infills
from spa_lsp.text.site import Site
from spa_lsp.text.undefined import undefined_names

# Nats. Alternatives whose trust differs by less are told apart by what the user took before; a choice, not measured:
# two adapters that agree count for ln 2, almost three steps.
STEP = 0.25
# of an offer, which a set's ranker has weights for; what they are is said in `features`
FEATURES = ("mean_logprob", "total_logprob", "length", "votes", "stops", "parses", "undefined", "leads")


def make_offers(
    alternatives: Sequence[Alternative],
    site: Site,
    *,
    counts: Mapping[str, int],
    kept: Sequence[Offer] = (),
    lead: Alternative | None = None,
    ranker: Mapping[str, float] | None = None,
) -> list[Offer]:
    """The distinct alternatives, polished, in the order in which they are shown.

    What parses comes before what does not. Then trust counts, which is the mean log-probability and the agreement of
    adapters, then what the user accepted more often, and the set's order. A set's ranker, where it has one, says both
    how much syntax counts and what is trusted.

    Args:
        alternatives: raw, of different adapters.
        site: where they are to stand.
        counts: how often alternatives of each adapter were accepted, by its name.
        kept: what is shown already and so keeps its place.
        lead: the one that answered first; it comes first where nothing is shown yet and there is no ranker.
        ranker: the weight of each feature.
    """
    if lead is not None and not kept and not ranker:
        kept = make_offers([lead], site, counts=counts)
    shown = shown_infills(sorted(alternatives, key=lambda alternative: alternative.index), site)
    programs = {offer.form: offer for offer in distinct(shown)}
    first = [replace(offer, same=_others(offer, programs.pop(offer.form, None))) for offer in kept]
    rank = partial(_rank, site=site, counts=counts, lead=lead, ranker=ranker)
    return [*first, *sorted(programs.values(), key=rank)]


def trust(mean_logprobs: Sequence[float]) -> float:
    """How probable a program is that adapters wrote with these mean log-probabilities, in nats; more is better."""
    return max(mean_logprobs) + math.log(len(mean_logprobs))


def features(offer: Offer, site: Site, lead: Alternative | None) -> dict[str, float]:
    """What a ranker knows of an offer, by the names in `FEATURES`; log-probabilities are those of its likeliest author.

    `length` is ln(1 + characters), `votes` ln of the number of authors; the last four are 0 or 1: one of them ended it
    by itself, it parses, it reads a name that is defined nowhere, the lead wrote it.
    """
    place = site.filled(offer.text, offer.n_replaced)
    return {
        "mean_logprob": max(each.mean_logprob for each in offer.wordings),
        "total_logprob": max(each.mean_logprob * each.n_tokens for each in offer.wordings),
        "length": math.log1p(len(offer.text)),
        "votes": math.log(len(offer.wordings)),
        "stops": float(any(each.finish == "stop" for each in offer.wordings)),
        "parses": float(parses(*place)),
        "undefined": float(bool(undefined_names(*place))),
        "leads": float(lead is not None and any(each.index == lead.index for each in offer.wordings)),
    }


def _rank(
    offer: Offer,
    *,
    site: Site,
    counts: Mapping[str, int],
    lead: Alternative | None,
    ranker: Mapping[str, float] | None,
) -> tuple[bool, int, int, int]:
    n_accepted = max(counts.get(each.adapter, 0) for each in offer.wordings)
    if ranker:
        own = features(offer, site, lead)
        score, is_sound = sum(weight * own[name] for name, weight in ranker.items()), True
    else:
        score = trust([each.mean_logprob for each in offer.wordings])
        is_sound = parses(*site.filled(offer.text, offer.n_replaced))
    return not is_sound, -round(score / STEP), -n_accepted, offer.alternative.index


def _others(offer: Offer, found: Offer | None) -> tuple[Alternative, ...]:
    """Who else has written what is shown already."""
    wordings = found.wordings if found else ()
    return tuple(each for each in wordings if each.index != offer.alternative.index)
