"""Parts by solution: the best balanced choice, checked against trying all of them. (#14)"""

from itertools import product

import numpy as np
import pytest

from trainer.solutions import assign_solutions


def best_by_trying(affinity):
    """The highest sum over all choices with a balanced load."""
    m, K = affinity.shape
    allowed = {K // m, K // m + (K % m > 0)}
    choices = (
        choice for choice in product(range(m), repeat=K) if set(np.bincount(choice, minlength=m).tolist()) <= allowed
    )
    return max(affinity[list(choice), range(K)].sum() for choice in choices)


@pytest.mark.parametrize(("m", "k"), [(1, 1), (1, 3), (2, 2), (2, 4), (2, 5), (3, 4), (3, 5), (4, 2), (4, 4), (5, 3)])
@pytest.mark.parametrize("seed", range(4))
def test_the_choice_is_the_best_of_all_balanced_ones(m, k, seed):
    affinity = np.random.default_rng(seed).normal(size=(m, k))
    (choice,) = assign_solutions([affinity])
    assert affinity[choice, range(k)].sum() == pytest.approx(best_by_trying(affinity), abs=1e-9)


@pytest.mark.parametrize(("m", "k"), [(2, 8), (3, 8), (5, 16), (8, 8), (8, 16)])
def test_every_part_sees_every_task_and_no_solution_is_used_too_often(m, k):
    rng = np.random.default_rng(0)
    choices = assign_solutions([rng.normal(size=(m, k)) for _ in range(20)])
    loads = [np.bincount(choice, minlength=m) for choice in choices]
    assert all(choice.shape == (k,) for choice in choices)
    assert {int(n) for load in loads for n in load} <= {k // m, k // m + (k % m > 0)}


def test_more_solutions_than_parts_are_used_once_at_most():
    (choice,) = assign_solutions([np.random.default_rng(1).normal(size=(8, 3))])
    assert len(set(choice.tolist())) == 3


def test_tasks_may_have_different_numbers_of_solutions():
    one, two = assign_solutions([np.zeros((1, 2)), np.array([[0.0, 1.0], [1.0, 0.0]])])
    assert (one.tolist(), two.tolist()) == ([0, 0], [1, 0])


def test_parts_with_one_taste_each_get_it_in_every_task():
    tasks = [np.eye(4)[order] for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2])]
    assert all(task[choice, range(4)].all() for task, choice in zip(tasks, assign_solutions(tasks), strict=True))


@pytest.mark.parametrize("wrong", [[np.zeros((0, 2))], [np.full((2, 2), np.nan)], [np.zeros((1, 2)), np.zeros((1, 3))]])
def test_what_cannot_be_assigned_is_refused(wrong):
    with pytest.raises(ValueError):
        assign_solutions(wrong)
