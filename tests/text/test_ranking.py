"""Which of the adapters' alternatives are offered, and in which order."""

import math
from dataclasses import replace

import pytest

from spa_lsp.outcomes import file as outcomes
from spa_lsp.outcomes.records import Outcome
from spa_lsp.server.accepted_counts import LearnedOrder
from spa_lsp.text.ranking import FEATURES, features, make_offers, trust
from spa_lsp.text.site import Site
from tests.fakes import make_alternative

SITE = Site(prefix="def add(a, b):\n    ", suffix="\n\n\nadd(1, 2)\n", language="python")


def offered(*texts, site=SITE, counts=None, kept=()):
    """Offers for these texts of `a1` …; a pair is a text and its mean log-probability."""
    pairs = [text if isinstance(text, tuple) else (text, -0.5) for text in texts]
    made = [replace(make_alternative(text, n), mean_logprob=logprob) for n, (text, logprob) in enumerate(pairs)]
    return make_offers(made, site, counts=counts or {}, kept=kept)


def texts(offers):
    return [offer.text for offer in offers]


def test_of_equals_the_sets_order_holds():
    offers = offered("return a + b", "return sum([a, b])")
    assert [(each.alternative.adapter, each.alternative.index) for each in offers] == [("a1", 0), ("a2", 1)]


def test_of_equal_programs_the_first_is_shown_with_the_number_of_those_who_agree():
    offers = offered("c = a + b\n    return c", "d = a + b  # sum\n    return d", "return a + b")
    assert [(each.text, len(each.same)) for each in offers] == [("c = a + b\n    return c", 1), ("return a + b", 0)]


def test_texts_that_do_not_parse_are_compared_by_their_tokens():
    offers = offered("return (a + b", "return ( a+b  # sum", "return [a")
    assert texts(offers) == ["return (a + b", "return [a"]


def test_texts_are_polished_and_empty_ones_left_out():
    assert texts(offered("return a + b\n\n\nadd(1, 2)\nmore", " \n", "")) == ["return a + b"]


def test_a_disabled_adapters_alternative_is_not_shown():
    broken = replace(make_alternative("return a"), finish="disabled")
    assert make_offers([broken], SITE, counts={}) == []


def test_what_several_adapters_agree_on_comes_first():
    assert texts(offered("return a", "return a + b", "return a+b"))[0] == "return a + b"


def test_what_is_more_probable_comes_first():
    assert texts(offered(("return a", -0.9), ("return a + b", -0.2)))[0] == "return a + b"


def test_much_probability_outweighs_agreement():
    assert texts(offered(("return a", -2), ("return a", -2), ("return a + b", -0.1)))[0] == "return a + b"


def test_trust_is_the_best_probability_times_the_number_of_those_who_agree():
    assert trust([-0.5, -0.9]) == pytest.approx(-0.5 + math.log(2))


# #15
def test_the_lead_comes_first_where_nothing_is_shown_yet():
    made = [make_alternative("return a", 0), make_alternative("return b", 1), make_alternative("return b", 2)]
    shown = make_offers(made[1:], SITE, counts={})
    assert texts(make_offers(made, SITE, counts={}, lead=made[0])) == ["return a", "return b"]
    assert texts(make_offers(made, SITE, counts={}, lead=made[0], kept=shown)) == ["return b", "return a"]


# #15
def test_a_ranker_orders_by_its_own_weights_and_the_lead_comes_not_before_others():
    made = [make_alternative("return a", 0), make_alternative("return missing", 1), make_alternative("return b", 2)]
    ranker = {"undefined": -2.0, "length": 1.0}
    assert texts(make_offers(made, SITE, counts={}, lead=made[0])) == ["return a", "return missing", "return b"]
    ranked = make_offers(made, SITE, counts={}, lead=made[0], ranker=ranker)
    assert texts(ranked) == ["return a", "return b", "return missing"]
    assert texts(make_offers(made, SITE, counts={}, lead=made[0], ranker={"leads": -1.0}))[-1] == "return a"


# #15
def test_what_is_on_the_screen_stays_first_whatever_the_ranker_says():
    made = [make_alternative("return a", 0), make_alternative("return b", 1)]
    shown = make_offers(made[:1], SITE, counts={})
    assert texts(make_offers(made, SITE, counts={}, kept=shown, ranker={"leads": -9.0}, lead=made[0]))[0] == "return a"


# #15
def test_what_a_ranker_knows_of_an_offer():
    made = [
        replace(make_alternative("return a + c", 0, finish="cut"), mean_logprob=-0.5, n_tokens=4),
        replace(make_alternative("return a+c", 1), mean_logprob=-0.1, n_tokens=5),
    ]
    (offer,) = make_offers(made, SITE, counts={})
    assert features(offer, SITE, made[1]) == {
        "mean_logprob": -0.1,
        "total_logprob": -0.5,
        "length": math.log1p(12),
        "votes": math.log(2),
        "stops": 1,
        "parses": 1,
        "undefined": 1,
        "leads": 1,
    }
    assert tuple(features(offer, SITE, None)) == FEATURES


# #15
def test_what_parses_comes_first_however_probable_the_others_are():
    assert texts(offered(("return (a + b", -0.1), ("return a", -2))) == ["return a", "return (a + b"]


def test_where_nothing_parses_the_rest_of_the_order_holds():
    site = replace(SITE, prefix="def add(a, b:\n    ")
    assert texts(offered("return a", "return b", site=site)) == ["return a", "return b"]


def test_what_the_user_accepted_more_often_comes_first():
    assert texts(offered("return a", "return b", counts={"a2": 1}))[0] == "return b"


def test_habit_comes_after_syntax():
    assert texts(offered("return a", "return (b", counts={"a2": 9}))[0] == "return a"


def test_habit_comes_after_trust():
    assert texts(offered(("return a", -0.1), ("return b", -0.9), counts={"a2": 9}))[0] == "return a"


def test_what_is_shown_already_keeps_its_place():
    kept = offered(("return a", -3))
    offers = offered(("return a", -3), ("return b", -0.1), ("return a  # a", -0.1), kept=kept)
    assert texts(offers) == ["return a", "return b"] and len(offers[0].same) == 1


def test_brackets_behind_the_cursor_go_with_the_offer():
    site = Site(prefix="function sort(", suffix=")\n", language="javascript")
    (offer,) = offered("array) {", site=site)
    assert (offer.text, offer.n_replaced) == ("array) {", 1)


def test_the_order_is_learned_from_the_store_and_kept_up():
    outcomes.write([Outcome(kind="accepted", set_id="s", index=0, adapter="a1", language="python")])
    learned = LearnedOrder()
    assert learned.of("python") == {}
    learned.load()
    learned.add("python", "a1")
    assert learned.of("python") == {"a1": 2} and learned.of("go") == {}
