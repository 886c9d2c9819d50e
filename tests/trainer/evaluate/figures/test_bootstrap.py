import math

import numpy as np
import pytest

from trainer.evaluate.figures.bootstrap import N_RESAMPLES, Interval, estimate, minimum_estimate, paired_bootstrap


def test_estimate_has_the_standard_error_of_the_mean():
    # 1, 2, 3, 6: mean 3, squared deviations 4 + 1 + 0 + 9 = 14, deviation sqrt(14 / 3)
    found = estimate([1, 2, 3, 6])
    assert found.mean == 3
    assert found.standard_error == pytest.approx(math.sqrt(14 / 3) / 2, rel=1e-12)


def test_the_interval_of_an_estimate_is_that_of_the_difference_to_nothing():
    values = [1.0, 2.0, 3.0, 6.0]
    found, other = estimate(values), paired_bootstrap(values, [0.0] * 4)
    assert (found.low, found.high) == (other.low, other.high)
    assert found.low < found.mean < found.high


def test_one_problem_has_no_standard_error():
    found = estimate([0.5])
    assert (found.mean, found.low, found.high, found.standard_error) == (0.5, 0.5, 0.5, None)


def test_an_estimate_of_nothing_is_refused():
    with pytest.raises(ValueError, match="got 0"):
        estimate([])


def test_paired_bootstrap_of_a_constant_difference_is_that_constant():
    found = paired_bootstrap([1.0, 2.0, 5.0], [0.5, 1.5, 4.5])
    assert found == Interval(mean=0.5, low=0.5, high=0.5)


def test_paired_bootstrap_agrees_with_a_plain_loop():
    first, second = [0.0, 1.0, 0.5, 0.25, 1.0], [0.0, 0.5, 1.0, 0.0, 0.0]
    found = paired_bootstrap(first, second, seed=7)
    chosen = np.random.default_rng(7).integers(5, size=(N_RESAMPLES, 5))
    means = sorted(sum(first[n] - second[n] for n in row) / 5 for row in chosen)
    assert found.mean == pytest.approx(0.25)
    # numpy's quantile lies between the two neighbours of its rank
    assert means[249] <= found.low <= means[250]
    assert means[9749] <= found.high <= means[9750]


def test_the_least_of_several_means_agrees_with_a_plain_loop():
    columns = [[0.0, 1.0, 0.5, 0.25, 1.0], [1.0, 0.5, 0.0, 0.0, 0.0]]  # means 0.55 and 0.3
    found = minimum_estimate(columns, seed=7)
    chosen = np.random.default_rng(7).integers(5, size=(N_RESAMPLES, 5))
    least = sorted(min(sum(column[n] for n in row) / 5 for column in columns) for row in chosen)
    assert found.mean == pytest.approx(0.3)
    assert least[249] <= found.low <= least[250] and least[9749] <= found.high <= least[9750]
    assert found.standard_error == pytest.approx(np.std(least, ddof=1))


def test_paired_bootstrap_is_near_the_normal_interval_for_many_problems():
    values = np.random.default_rng(0).normal(0.3, 1.0, size=2000)
    found = paired_bootstrap(values, np.zeros(2000))
    error = values.std(ddof=1) / math.sqrt(2000)
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_paired_bootstrap_refuses_different_problems():
    with pytest.raises(ValueError, match="got 2 and 1"):
        paired_bootstrap([1.0, 2.0], [1.0])


TASKS = ["a", "b", "a", "c", "a", "c"]
GAPS = [0.0, 1.0, 0.5, 0.25, 1.0, 0.0]


# #15
def test_whole_tasks_are_drawn_and_the_mean_is_still_over_problems():
    found = estimate(GAPS, tasks=TASKS, seed=7)
    own = [[gap for gap, task in zip(GAPS, TASKS, strict=True) if task == name] for name in "abc"]
    chosen = np.random.default_rng(7).integers(3, size=(N_RESAMPLES, 3))
    means = np.array([np.mean([gap for n in row for gap in own[n]]) for row in chosen.tolist()])
    assert found.mean == pytest.approx(np.mean(GAPS))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


# #15
def test_the_least_mean_and_paired_differences_draw_whole_tasks_too():
    alone = estimate(GAPS, tasks=TASKS)
    for found in (minimum_estimate([GAPS], tasks=TASKS), paired_bootstrap(GAPS, [0.0] * 6, tasks=TASKS)):
        assert (found.low, found.high) == (alone.low, alone.high)


# #15
def test_gaps_that_say_the_same_as_their_task_are_worth_one_of_it():
    values = [0.0, 1.0, 0.5, 0.25, 1.0]
    assert estimate(np.repeat(values, 4), tasks=np.repeat(range(5), 4).tolist()) == estimate(values)


# #15
def test_with_a_problem_of_each_task_every_bit_is_as_if_problems_were_drawn():
    columns = np.random.default_rng(3).normal(size=(2, 127))
    rows = np.random.default_rng(0).integers(127, size=(N_RESAMPLES, 127))
    found = estimate(columns[0], tasks=range(127))
    assert (found.low, found.high) == tuple(np.quantile(columns[0][rows].mean(axis=1), [0.025, 0.975]))
    assert found.standard_error == np.std(columns[0], ddof=1) / np.sqrt(127)


# #15
def test_one_task_has_no_standard_error_however_many_gaps_it_has():
    assert estimate([0.0, 1.0], tasks=["a", "a"]).standard_error is None
