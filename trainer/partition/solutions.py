"""Parts by solution: of each task's distinct right solutions every adapter gets one.

Every adapter so sees every task, hence every topic, and they differ in *how* it is done. Which solution goes to which
part is an assignment problem for each task by itself.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.configs import Normalize
from trainer.partition.normalize import Influence, normalize

Affinity = NDArray[np.float64]
Choice = NDArray[np.int64]
Tasks = Sequence[Sequence[int]]  # the samples, by number, that solve each task


def tasks_of(problems: Sequence[str]) -> list[list[int]]:
    """The samples of each problem, by number; problems and samples in their order."""
    found: dict[str, list[int]] = {}
    for n, problem in enumerate(problems):
        found.setdefault(problem, []).append(n)
    return list(found.values())


def with_several(tasks: Tasks) -> list[Sequence[int]]:
    """The tasks that have two solutions or more."""
    return [task for task in tasks if len(task) > 1]


def most_have_several(tasks: Tasks) -> bool:
    """Whether a partition by solution has something to divide in more than half of the tasks."""
    return 2 * len(with_several(tasks)) > len(tasks)


def choose_solutions(influence: Influence, tasks: Tasks, how: Normalize) -> Choice:
    """The sample that each part gets of each task, `[tasks, K]`, for influence on the chosen anchors, `[N, K]`.

    Of a solution's influence only that counts by which it differs from the task's others: the rest is the topic, which
    all parts share. What then fits which part best is `assign_solutions`; a task's only solution goes to all parts. Of
    two parts with the same influence the first gets the solution that fits better.
    """
    several = [n for task in with_several(tasks) for n in task]
    affinity = np.zeros(influence.shape, dtype=np.float64)
    if several:
        affinity[several] = normalize(without_topic(influence, tasks)[several], how) / _turns(influence)
    choices = assign_solutions([affinity[list(task)] for task in tasks])
    return np.stack([np.asarray(task)[choice] for task, choice in zip(tasks, choices, strict=True)])


def _turns(influence: Influence) -> NDArray[np.int64]:
    """1 for each part, 2 for the second one of the same anchor, and so on, `[K]`: where two want the same, it waits."""
    anchors = np.unique(influence, axis=1, return_inverse=True)[1].ravel()  # numpy 2.0 gives a row
    return np.array([(anchors[: n + 1] == anchor).sum() for n, anchor in enumerate(anchors)])


def without_topic(influence: Influence, tasks: Tasks) -> Influence:
    """Influence less its mean over the solutions of the same task."""
    means = np.zeros_like(influence)
    for task in tasks:
        means[list(task)] = influence[list(task)].mean(axis=0)
    return influence - means


def assign_solutions(affinities: Sequence[Affinity]) -> list[Choice]:
    """The number of the solution that each part gets, `[K]`, for each task with affinities `[solutions, K]`.

    The sum of the affinities is the highest that a balanced load allows: of m solutions for K parts each is used K // m
    times or once more, so with m >= K no solution is used twice. Ties go to the earlier solution. An affinity may be an
    influence, or how much a solution's approach is that of the part.

    Raises:
        ValueError: a task has no solution, tasks have different numbers of parts, or an affinity is not finite.
    """
    if len({affinity.shape[1] for affinity in affinities}) > 1:
        raise ValueError("all tasks must have affinities to the same parts")
    return [_assign(affinity) for affinity in affinities]


def _assign(affinity: Affinity) -> Choice:
    """Solutions are copied as often as they may be used; dummy parts take what is too many, but never a first copy."""
    m, K = affinity.shape
    if m == 0 or not np.isfinite(affinity).all():
        raise ValueError("a task needs at least one solution, and finite affinities")
    if m == 1:
        return np.zeros(K, dtype=np.int64)  # most tasks of an imported file
    n_each, n_more = divmod(K, m)
    n_copies = n_each + (n_more > 0)
    # one solution, used at least n_each times: only its copy above that may go to a dummy, unless there is no such need
    solution = np.repeat(np.arange(m), n_copies)  # of each copy
    is_needed = np.tile(np.arange(n_copies) < n_each, m)
    n_dummies = len(solution) - K
    span = float(np.ptp(affinity)) + 1.0
    cost = np.zeros((K + n_dummies, len(solution)))
    cost[:K] = -affinity.T[:, solution]
    cost[K:, is_needed] = 2 * span * (K + 1)  # dearer than any other choice of all parts
    return solution[_cheapest(cost)[:K]]


def _cheapest(cost: Affinity) -> Choice:
    """The column of each row in a square matrix such that the sum is lowest; O(n³), for the few rows of one task.

    Source: the Hungarian method with potentials, Kuhn 1955, as shortest augmenting paths.
    """
    n = len(cost)
    of_row, of_column = np.zeros(n + 1), np.zeros(n + 1)  # potentials; column 0 is none
    row_of = np.zeros(n + 1, dtype=np.int64)  # of each column, from 1; 0 is free
    for row in range(1, n + 1):
        row_of[0], column = row, 0
        shortest, before = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=np.int64)
        is_used = np.zeros(n + 1, dtype=bool)
        while row_of[column] != 0:
            is_used[column] = True
            reduced = cost[row_of[column] - 1] - of_row[row_of[column]] - of_column[1:]
            closer = ~is_used[1:] & (reduced < shortest[1:])
            shortest[1:][closer], before[1:][closer] = reduced[closer], column
            following = int(np.where(is_used, np.inf, shortest)[1:].argmin()) + 1
            step = shortest[following]
            of_row[row_of[is_used]] += step
            of_column[is_used] -= step
            shortest[~is_used] -= step
            column = following
        while column:
            row_of[column] = row_of[before[column]]
            column = int(before[column])
    columns: Choice = np.empty(n, dtype=np.int64)
    columns[row_of[1:] - 1] = np.arange(n)
    return columns
