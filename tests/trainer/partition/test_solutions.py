"""Parts by solution: the best balanced choice, checked against trying all of them. (#14)"""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from trainer.configs import PartitionConfig
from trainer.partition.solutions import assign_solutions, choose_solutions, tasks_of
from trainer.partition.stability import chance_stability, stability


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


def test_a_part_gets_of_each_task_what_differs_from_the_others_and_not_the_topic():
    topics = np.repeat([[100.0, -100.0], [-50.0, 70.0]], 2, axis=0)
    influence = (topics + [[1, 0], [0, 1], [0, 1], [1, 0]]).astype(np.float32)
    assert choose_solutions(influence, [[0, 1], [2, 3]], "none").tolist() == [[0, 1], [3, 2]]


def test_the_only_solution_of_a_task_goes_to_all_parts():
    influence = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    choice = choose_solutions(influence, [[0, 2], [1]], "contrast")
    assert choice[1].tolist() == [1] * 4 and sorted(choice[0].tolist()) == [0, 0, 2, 2]


def test_tasks_are_the_samples_of_one_problem():
    assert tasks_of(["b", "a", "b", "c"]) == [[0, 2], [1], [3]]


def styled(n_tasks, strength, seed=0):
    """Influence `[N, 3, 4]` of tasks with three solutions, of which each helps one anchor."""
    noise = np.random.default_rng(seed).normal(size=(3 * n_tasks, 3, 4))
    return (noise + strength * np.tile(np.eye(3), (n_tasks, 1))[:, :, None]).astype(np.float32)


TASKS = [[3 * n, 3 * n + 1, 3 * n + 2] for n in range(60)]
CONFIG = PartitionConfig(method="solutions", normalize="zscore", k=3)


def test_solutions_that_items_agree_on_stay_with_their_parts():
    influence = styled(60, 6)
    own, chance = (f(influence, CONFIG, seed=0, tasks=TASKS) for f in (stability, chance_stability))
    assert own > 0.95 and chance < 0.7


def test_noise_is_as_stable_as_chance():
    influence = styled(60, 0)
    own, chance = (f(influence, CONFIG, seed=0, tasks=TASKS) for f in (stability, chance_stability))
    assert own == pytest.approx(chance, abs=0.1)


# #14
def test_an_anchor_of_two_parts_is_asked_for_both_with_the_same_items():
    influence = np.repeat(styled(60, 3), 2, axis=1)  # [N, 6, 4]
    tasks = [[*one, *other] for one, other in zip(TASKS[::2], TASKS[1::2], strict=True)]
    own = stability(influence, replace(CONFIG, k=6), seed=0, tasks=tasks)
    with_other_items = influence + 1e-6 * np.random.default_rng(1).normal(size=influence.shape).astype(np.float32)
    assert own > stability(with_other_items, replace(CONFIG, k=6), seed=0, tasks=tasks) + 0.1


def test_without_a_choice_there_is_no_stability():
    assert stability(styled(2, 1), CONFIG, seed=0, tasks=[[n] for n in range(6)]) is None


def test_of_two_parts_with_the_same_influence_the_first_gets_what_fits_better():
    influence = np.array([[1.0, 1.0], [3.0, 3.0], [5.0, 5.0], [4.0, 4.0]], dtype=np.float32)
    assert choose_solutions(influence, [[0, 1], [2, 3]], "none").tolist() == [[1, 0], [2, 3]]
