"""The ranker of a set: weights of what is known of an offer, fitted on problems whose completions were judged.

Pairwise logistic regression: of two offers at one cursor, of which one is right, that one should have the higher sum.
So how hard a problem is does not count. Whether it is better than today's order is measured on problems left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spa_lsp.completion import Alternative
from spa_lsp.errors import BadInput
from spa_lsp.text.ranking import FEATURES, STEP, features, make_offers
from spa_lsp.text.shown import Offer
from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.figures.bootstrap import Interval, paired_bootstrap
from trainer.evaluate.figures.estimates import is_judged
from trainer.evaluate.views import editor_site

Weights = NDArray[np.float64]  # in the order of FEATURES
N_FOLDS = 10
PENALTY = 1.0  # of the squared weights of features of deviation 1
_N_STEPS = 50  # Newton's method has converged long before


@dataclass(frozen=True, kw_only=True)
class RankedProblem:
    """The offers at one cursor, in the set's order: what is known of them, which are right, the places shown first."""

    known: NDArray[np.float64]  # [offers, features]
    is_right: NDArray[np.bool_]  # [offers]
    first_today: int  # as they are shown without a ranker, the lead first; -1: none is
    first_by_trust: int


@dataclass(frozen=True, kw_only=True)
class RankerFigures:
    """The share of problems where the first one shown is right; the ranker's on problems that it was not fitted on."""

    n_problems: int
    n_pairs: int  # that were fitted
    best: float  # where one is right at all: what an order could have
    today: float
    trust: float
    ranker: Interval
    minus_today: Interval
    minus_trust: Interval

    @property
    def is_better(self) -> bool:
        """Whether it is clearly better than both orders that there are without it."""
        return self.minus_today.low > 0 and self.minus_trust.low >= 0


def rank_problem(
    problem: Problem, alternatives: Sequence[Alternative], verdicts: Sequence[str]
) -> RankedProblem | None:
    """The offers of a problem's completions, of which the first is the lead's; verdicts are by their index.

    What was not judged, for want of a package, is left out; None: that is all of it.
    """
    site, lead = editor_site(problem), alternatives[0]
    found = make_offers(alternatives, site, counts={})
    trusted = _judged(found, verdicts)
    if found and not trusted:
        return None
    today = _judged(make_offers(alternatives, site, counts={}, lead=lead), verdicts)
    offers = sorted(trusted, key=lambda offer: offer.alternative.index)
    forms = [offer.form for offer in offers]
    rows = [list(features(offer, site, lead).values()) for offer in offers]
    return RankedProblem(
        known=np.array(rows, dtype=np.float64).reshape(len(offers), len(FEATURES)),
        is_right=np.array([verdicts[offer.alternative.index] == "pass" for offer in offers], dtype=bool),
        first_today=forms.index(today[0].form) if today else -1,
        first_by_trust=forms.index(trusted[0].form) if trusted else -1,
    )


def _judged(offers: Sequence[Offer], verdicts: Sequence[str]) -> list[Offer]:
    return [offer for offer in offers if is_judged(verdicts[offer.alternative.index])]


def fit(problems: Sequence[RankedProblem]) -> Weights:
    """The weights that order these problems' offers best, each problem counting alike.

    Raises:
        BadInput: no problem has a right offer and a wrong one.
    """
    pairs, shares = _pairs(problems)
    scale = np.concatenate([own.known for own in problems]).std(0)
    scale[scale == 0] = 1.0
    x = pairs / scale  # [pairs, features]
    w = np.zeros(x.shape[1])
    for _ in range(_N_STEPS):
        wrong = 1 / (1 + np.exp(np.clip(x @ w, -50, 50)))  # the chance that the pair stands the other way round
        gradient = PENALTY * w - x.T @ (shares * wrong)
        curvature = PENALTY * np.eye(len(w)) + (x * (shares * wrong * (1 - wrong))[:, None]).T @ x
        w -= np.linalg.solve(curvature, gradient)
    return np.asarray(w / scale, dtype=np.float64)


def measure(problems: Sequence[RankedProblem], *, seed: int = 0) -> RankerFigures:
    """How good a ranker is that was fitted on the other folds of these problems, beside the orders without one."""
    folds = np.random.default_rng(seed).permutation(len(problems)) % N_FOLDS
    ranked = np.zeros(len(problems))
    for fold in range(N_FOLDS):
        weights = fit([own for own, n in zip(problems, folds, strict=True) if n != fold])
        for place in np.flatnonzero(folds == fold).tolist():
            ranked[place] = _is_first_right(problems[place], _best(problems[place], weights))
    today = [_is_first_right(own, own.first_today) for own in problems]
    trusted = [_is_first_right(own, own.first_by_trust) for own in problems]
    return RankerFigures(
        n_problems=len(problems),
        n_pairs=len(_pairs(problems)[0]),
        best=float(np.mean([own.is_right.any() for own in problems])),
        today=float(np.mean(today)),
        trust=float(np.mean(trusted)),
        ranker=paired_bootstrap(ranked.tolist(), [0.0] * len(ranked)),
        minus_today=paired_bootstrap(ranked.tolist(), today),
        minus_trust=paired_bootstrap(ranked.tolist(), trusted),
    )


def named(weights: Weights) -> dict[str, float]:
    """The weights as a manifest has them."""
    return {name: round(float(weight), 4) for name, weight in zip(FEATURES, weights, strict=True)}


def _pairs(problems: Sequence[RankedProblem]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is known of a right offer minus what is of a wrong one, `[pairs, features]`, and the share of each pair."""
    found, shares = [], []
    for own in problems:
        right, wrong = own.known[own.is_right], own.known[~own.is_right]
        own_pairs = (right[:, None] - wrong[None]).reshape(-1, own.known.shape[1])
        found.append(own_pairs)
        shares += [1 / max(1, len(own_pairs))] * len(own_pairs)
    if not shares:
        raise BadInput("no problem has a right alternative and a wrong one; take more problems: --limit")
    return np.concatenate(found), np.array(shares)


def _best(problem: RankedProblem, weights: Weights) -> int:
    """The place that an editor shows first; sums that are the same in whole steps are told apart by the set's order."""
    return int(np.round(problem.known @ weights / STEP).argmax()) if len(problem.known) else -1


def _is_first_right(problem: RankedProblem, place: int) -> float:
    return float(place >= 0 and bool(problem.is_right[place]))
