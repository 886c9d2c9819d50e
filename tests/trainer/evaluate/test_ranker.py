"""The ranker on invented offers, of which one feature says which is right."""

from dataclasses import replace

import numpy as np
import pytest

from spa_lsp.errors import BadInput
from spa_lsp.text.ranking import FEATURES
from tests.fakes import make_alternative
from trainer.evaluate.ranker import RankedProblem, fit, measure, named, rank_problem
from trainer.evaluate.views import shown_order

VOTES = FEATURES.index("votes")


def invented(rng, *, is_told):
    """Four offers, the second of them right; where that is told by the votes, it has the most."""
    known = rng.normal(size=(4, len(FEATURES)))
    known[:, VOTES] = [0, 1, 0, 0] if is_told else 0
    is_right = np.array([False, True, False, False])
    return RankedProblem(known=known, is_right=is_right, first_today=0, first_by_trust=2)


def problems(n, *, is_told):
    rng = np.random.default_rng(0)
    return [invented(rng, is_told=is_told) for _ in range(n)]


# #15
def test_what_tells_right_from_wrong_has_the_greatest_weight():
    weights = named(fit(problems(60, is_told=True)))
    assert max(weights, key=lambda name: abs(weights[name])) == "votes" and weights["votes"] > 0


# #15
def test_a_feature_that_is_always_the_same_has_no_weight():
    assert named(fit(problems(20, is_told=False)))["votes"] == 0


# #15
def test_a_ranker_that_knows_something_is_better_on_what_it_was_not_fitted_on():
    figures = measure(problems(60, is_told=True))
    assert (figures.today, figures.trust, figures.best) == (0, 0, 1)
    assert figures.ranker.mean > 0.9 and figures.is_better


# #15
def test_a_ranker_that_knows_nothing_is_not_better_than_an_order_that_is_as_good_as_chance():
    rng = np.random.default_rng(1)
    drawn = [replace(own, first_today=int(rng.integers(4)), first_by_trust=0) for own in problems(60, is_told=False)]
    assert not measure(drawn).is_better


# #15
def test_where_every_offer_is_right_or_none_there_is_nothing_to_learn():
    (one,) = problems(1, is_told=True)
    with pytest.raises(BadInput, match="no problem has a right alternative and a wrong one"):
        fit([replace(one, is_right=np.zeros(4, dtype=bool))])


# #15
def test_offers_are_ranked_as_an_editor_would_show_them(problem):
    texts = ("    result = 3\n", "    result = sum(numbers)\n", "    result = sum(numbers)  # all\n", "")
    made = [make_alternative(text, n) for n, text in enumerate(texts)]
    ranked = rank_problem(problem, made, ["fail", "pass", "pass", "fail"])
    assert ranked.is_right.tolist() == [False, True]  # two agree, and so come first by trust
    assert (ranked.first_by_trust, ranked.first_today) == (1, 0)
    assert ranked.known[:, VOTES].tolist() == [0, np.log(2)]


# #15
def test_what_was_not_judged_for_want_of_a_package_is_neither_right_nor_wrong(problem):
    texts = ("    result = np.sum(numbers)\n", "    result = sum(numbers)\n", "    result = 3\n")
    made = [make_alternative(text, n) for n, text in enumerate(texts)]
    ranked = rank_problem(problem, made, ["needs numpy", "pass", "fail"])
    assert ranked.is_right.tolist() == [True, False] and len(ranked.known) == 2
    assert (ranked.first_today, ranked.first_by_trust) == (0, 0)  # the first of those that were judged


# #15
def test_a_problem_of_which_nothing_was_judged_is_left_out(problem):
    made = [make_alternative("    result = np.sum(numbers)\n")]
    assert rank_problem(problem, made, ["needs numpy"]) is None


# #15
def test_a_ranker_is_measured_by_what_an_editor_shows_with_it(problem, monkeypatch):
    made = [make_alternative("    result = 3\n", 0), make_alternative("    result = sum(numbers)\n", 1)]
    weights = {"length": 0.1}  # less than a step between the two
    (first, *_) = shown_order(problem, made, has_lead=True, ranker=weights)
    monkeypatch.setattr("trainer.evaluate.ranker.fit", lambda problems: [weights.get(name, 0) for name in FEATURES])
    figures = measure([rank_problem(problem, made, ["fail", "pass"])])
    assert (figures.ranker.mean, first) == (0, 0)
