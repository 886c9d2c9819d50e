import itertools
import math
import random

import numpy as np
import pytest

from trainer.evaluate import metrics


def test_distinct_exact_counts_texts():
    assert metrics.distinct_exact(["a", "b", "a", "a "]) == 3


def test_distinct_ast_leaves_out_what_does_not_parse():
    assert metrics.distinct_ast(["x", None, "y", "x", None]) == 2


def test_pass_at_1_is_the_share_that_passes():
    assert metrics.pass_at_1([True, False, False, True, False, False, False, False]) == 0.25


def test_pass_any_needs_one():
    assert metrics.pass_any([False, True])
    assert not metrics.pass_any([False, False])


def test_dc_at_k_counts_different_keys_among_the_passing():
    assert metrics.dc_at_k(["x", "y", "x", "z", None], [True, True, True, False, False]) == 2


def test_dc_at_k_agrees_with_the_largest_set_of_pairwise_different_passing_ones():
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


def test_stops_share_counts_own_stops_only():
    assert metrics.stops_share(["stop", "cut", "length", "stop", "disabled"]) == 0.4


def test_parse_share_counts_keys():
    assert metrics.parse_share(["x", None, "x", "y"]) == 0.75


def test_a_share_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no completions"):
        metrics.pass_at_1([])


def test_estimate_has_the_standard_error_of_the_mean():
    # 1, 2, 3, 6: mean 3, squared deviations 4 + 1 + 0 + 9 = 14, deviation sqrt(14 / 3)
    found = metrics.estimate([1, 2, 3, 6])
    assert found.mean == 3
    assert found.standard_error == pytest.approx(math.sqrt(14 / 3) / 2, rel=1e-12)


def test_one_problem_has_no_standard_error():
    assert metrics.estimate([0.5]) == metrics.Estimate(mean=0.5, standard_error=None)


def test_paired_bootstrap_of_a_constant_difference_is_that_constant():
    found = metrics.paired_bootstrap([1.0, 2.0, 5.0], [0.5, 1.5, 4.5], n_resamples=100)
    assert found == metrics.Interval(mean=0.5, low=0.5, high=0.5)


def test_paired_bootstrap_agrees_with_a_plain_loop():
    first, second = [0.0, 1.0, 0.5, 0.25, 1.0], [0.0, 0.5, 1.0, 0.0, 0.0]
    found = metrics.paired_bootstrap(first, second, n_resamples=400, seed=7)
    chosen = np.random.default_rng(7).integers(5, size=(400, 5))
    means = sorted(sum(first[n] - second[n] for n in row) / 5 for row in chosen)
    assert found.mean == pytest.approx(0.25)
    # numpy's quantile lies between the two neighbours of its rank
    assert means[9] <= found.low <= means[10]
    assert means[389] <= found.high <= means[390]


def test_paired_bootstrap_is_near_the_normal_interval_for_many_problems():
    values = np.random.default_rng(0).normal(0.3, 1.0, size=2000)
    found = metrics.paired_bootstrap(values, np.zeros(2000), n_resamples=4000)
    error = values.std(ddof=1) / math.sqrt(2000)
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_paired_bootstrap_refuses_different_problems():
    with pytest.raises(ValueError, match="got 2 and 1"):
        metrics.paired_bootstrap([1.0, 2.0], [1.0])
