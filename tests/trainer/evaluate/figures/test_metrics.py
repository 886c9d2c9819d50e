import itertools
import random
from math import log

import numpy as np
import pytest

from trainer.evaluate.figures import metrics


def test_distinct_leaves_out_what_has_no_class():
    assert metrics.distinct_at_k(["x", None, "y", "x", None]) == 2


def test_dc_counts_different_keys_among_the_passing():
    assert metrics.dc_at_k(["x", "y", "x", "z", None], [True, True, True, False, False]) == 2


def test_dc_agrees_with_the_largest_set_of_pairwise_different_passing_ones():
    rng = random.Random(0)
    keys = [rng.choice(["x", "y", "z", None]) for _ in range(8)]
    passes = [key is not None and rng.random() < 0.5 for key in keys]
    groups = [
        group
        for size in range(9)
        for group in itertools.combinations(range(8), size)
        if all(passes[n] for n in group) and all(keys[a] != keys[b] for a, b in itertools.combinations(group, 2))
    ]
    assert metrics.dc_at_k(keys, passes) == max(map(len, groups))


def test_keys_and_passes_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        metrics.dc_at_k(["x", "y"], [True])


def test_utility_is_1_when_all_are_right_and_different():
    assert metrics.utility_at_k([0, 1, 2, 3], [True] * 4) == pytest.approx(1, rel=1e-12)


def test_utility_of_a_hand_computed_case():
    # first and third earn: (1 + 0.64) of 1 + 0.8 + 0.64 + 0.512; the second repeats, the fourth fails
    assert metrics.utility_at_k([0, 0, 1, 2], [True, True, True, False]) == pytest.approx(1.64 / 2.952, rel=1e-12)


def test_a_failed_completion_uses_up_its_class():
    assert metrics.utility_at_k([0, 0], [False, True]) == 0


def test_utility_agrees_with_a_reader_who_goes_on_by_chance():
    keys, passes = [0, 1, 1, None, 2], [True, False, True, False, True]
    # the reader stops after place n with chance (1-p)pⁿ, cut off at k and scaled; expected gain summed by place
    weights = [0.8**n for n in range(5)]
    gains = [1, 0, 0, 0, 1]
    slow = sum(w * g for w, g in zip(weights, gains, strict=True)) / sum(weights)
    assert metrics.utility_at_k(keys, passes) == pytest.approx(slow, rel=1e-12)


def test_pass_at_1_is_the_share_that_passes():
    assert metrics.pass_at_1([True, False, False, True, False, False, False, False]) == 0.25


def test_pass_any_needs_one():
    assert metrics.pass_any([False, True])
    assert not metrics.pass_any([False, False])


def test_pass_at_n_of_a_hand_computed_case():
    # 2 of 4 pass; two draws miss both in 1 of 6 pairs
    assert metrics.pass_at_n([True, False, True, False], 2) == pytest.approx(5 / 6, rel=1e-12)


@pytest.mark.parametrize("n_right", range(9))
def test_pass_at_5_agrees_with_all_draws(n_right):
    passes = [n < n_right for n in range(8)]
    draws = [any(draw) for draw in itertools.combinations(passes, 5)]
    assert metrics.pass_at_n(passes, 5) == pytest.approx(sum(draws) / len(draws), abs=1e-12)


def test_more_attempts_than_completions_are_refused():
    with pytest.raises(ValueError, match="5 attempts cannot be drawn from 4"):
        metrics.pass_at_n([True] * 4, 5)


def test_diversity_of_a_hand_computed_case():
    # a a b: 1 duplicate pair of 3
    assert metrics.diversity(["a", "a", "b"]) == pytest.approx(2 / 3, rel=1e-12)


def test_diversity_agrees_with_a_loop_over_pairs():
    texts = random.Random(1).choices("abcd", k=9)
    pairs = list(itertools.combinations(texts, 2))
    assert metrics.diversity(texts) == pytest.approx(sum(a != b for a, b in pairs) / len(pairs), rel=1e-12)


def test_one_completion_has_no_diversity():
    assert metrics.diversity(["a"]) is None


def test_average_kl_of_a_hand_computed_case():
    # one place, two tokens: (1/2, 1/2) and (1/4, 3/4); KL = ½ln2 + ½ln(2/3) one way, ¼ln½ + ¾ln(3/2) the other
    first, second = 0.5 * log(2) + 0.5 * log(2 / 3), 0.25 * log(0.5) + 0.75 * log(1.5)
    found = metrics.average_kl(np.log([[[0.5, 0.5]], [[0.25, 0.75]]]))
    assert found == pytest.approx((first + second) / 2, rel=1e-12)


def test_average_kl_agrees_with_plain_loops():
    logits = np.random.default_rng(0).normal(size=(4, 5, 7))
    logprobs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    pairs = list(itertools.permutations(range(4), 2))
    slow = 0.0
    for i, j in pairs:
        for t in range(5):
            slow += sum(np.exp(a) * (a - b) for a, b in zip(logprobs[i, t], logprobs[j, t], strict=True)) / 5
    assert metrics.average_kl(logprobs) == pytest.approx(slow / len(pairs), rel=1e-10)


def test_a_token_that_no_adapter_allows_adds_nothing():
    with np.errstate(divide="ignore"):
        logprobs = np.log([[[0.5, 0.5, 0.0]], [[0.25, 0.75, 0.0]]])
    assert metrics.average_kl(logprobs) == pytest.approx(metrics.average_kl(logprobs[:, :, :2]), rel=1e-12)


def test_equal_adapters_have_no_kl_and_one_adapter_none_at_all():
    logprobs = np.log(np.full((3, 2, 4), 0.25))
    assert metrics.average_kl(logprobs) == pytest.approx(0, abs=1e-12)
    assert metrics.average_kl(logprobs[:1]) is None


def test_stops_share_counts_own_stops_only():
    assert metrics.stops_share(["stop", "cut", "length", "stop", "disabled"]) == 0.4


def test_parse_share_counts_keys():
    assert metrics.parse_share(["x", None, "x", "y"]) == 0.75


def test_a_share_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no completions"):
        metrics.pass_at_1([])
