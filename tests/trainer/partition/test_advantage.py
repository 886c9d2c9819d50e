"""What a part's own adapter is worth, against sums done by hand; and random divisions of the same sizes. (#14)"""

from itertools import permutations

import numpy as np
import pytest

from trainer.partition.advantage import (
    is_more_than_chance,
    item_advantages,
    of_parts,
    of_tasks,
    random_by_sample,
    random_by_solution,
    share_of_chance,
)

DIAGONAL = np.eye(2, dtype=bool)


def test_the_mean_is_the_loss_under_the_others_less_that_under_the_own():
    losses = np.array([[1.0, 1.4], [2.5, 2.3]])
    assert item_advantages(losses, DIAGONAL).mean() == pytest.approx((0.4 + 0.2) / 2)


def test_three_parts_are_compared_with_the_mean_of_the_two_others():
    losses = np.array([[1.0, 2.0, 3.0], [4.0, 1.0, 2.0], [0.0, 0.0, 0.6]])
    assert item_advantages(losses, np.eye(3, dtype=bool)).mean() == pytest.approx((1.5 + 2.0 - 0.6) / 3)


def test_an_adapter_that_is_better_at_everything_is_no_advantage_of_its_large_part():
    losses = np.array([[1.0, 1.5]] * 5 + [[2.0, 2.5]])
    is_own = np.array([[True, False]] * 5 + [[False, True]])
    assert item_advantages(losses, is_own) == pytest.approx(np.zeros(6))


def test_an_item_of_all_parts_has_no_advantage_but_counts():
    losses = np.array([[1.0, 1.4], [1.4, 1.0], [3.0, 3.0]])
    is_own = np.array([[True, False], [False, True], [True, True]])
    assert item_advantages(losses, is_own) == pytest.approx([0.6, 0.6, 0.0])  # its row stands for a third of the items


def test_where_all_items_have_the_same_part_nothing_can_be_compared():
    assert item_advantages(np.array([[1.0, 2.0]] * 3), np.array([[True, False]] * 3)).tolist() == [0, 0, 0]


def test_solutions_of_one_task_are_one_witness_and_the_mean_stays():
    values = np.array([1.0, 3.0, 5.0])
    assert of_tasks(values, [[0, 1], [2]]) == pytest.approx([8 / 3, 10 / 3])


def test_a_part_without_a_held_out_item_has_no_figure():
    is_own = np.array([[True, False, False], [True, True, False]])
    assert of_parts(np.array([1.0, 2.0]), is_own) == [1.5, 2.0, None]


def test_random_parts_keep_the_sizes_of_what_is_held_out_and_of_what_is_not():
    division = np.eye(3, dtype=bool)[np.repeat([0, 1, 2], [12, 6, 2])]
    is_held = np.arange(20) % 4 == 0
    dealt = random_by_sample(division, is_held, np.random.default_rng(0))
    assert (dealt != division).any() and (dealt.sum(1) == 1).all()
    assert dealt[is_held].sum(0).tolist() == division[is_held].sum(0).tolist()
    assert dealt[~is_held].sum(0).tolist() == division[~is_held].sum(0).tolist()


def test_random_parts_by_solution_have_one_solution_of_each_task():
    tasks = [[0, 1, 2], [3, 4], [5]]
    division = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=bool)
    dealt = random_by_solution(division, tasks, np.random.default_rng(1))
    assert (dealt != division).any()
    assert [dealt[task].sum(0).tolist() for task in tasks] == [[1, 1, 1]] * 3
    assert [dealt[task].sum() for task in tasks] == [3, 3, 3]
    assert sorted(dealt[3:5].sum(1)) == [1, 2]


def test_the_share_of_chance_is_that_of_all_deals():
    """Of the six ways to deal three items to three parts one is as good."""
    losses = 1 - np.eye(3)
    deals = iter([np.eye(3, dtype=bool)[list(order)] for order in permutations(range(3))] * 167)
    share = share_of_chance(losses, np.eye(3, dtype=bool), lambda _: next(deals))
    assert share == pytest.approx((1 + 167) / 1001)


@pytest.mark.parametrize(
    ("advantage", "low", "random", "chance", "expected"),
    [
        (0.3, 0.1, [0.0, 0.1, -0.1], 0.01, True),
        (0.3, -0.1, [0.0, 0.1, -0.1], 0.01, False),  # may be no more than their mean
        (0.3, 0.2, [0.0, 0.31, -0.1], 0.01, False),  # one of them is better
        (0.3, 0.1, [0.0, 0.1, -0.1], 0.06, False),  # other deals are as good
        (-0.1, -0.2, [-0.3, -0.4, -0.3], 0.01, True),
    ],
)
def test_more_than_chance_is_above_all_random_ones_and_no_accident(advantage, low, random, chance, expected):
    assert is_more_than_chance(advantage, low, random, chance) is expected
