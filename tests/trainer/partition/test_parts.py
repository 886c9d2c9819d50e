"""Influence to parts."""

import numpy as np
import pytest

from spa_lsp.errors import BadInput
from trainer.configs import PartitionConfig
from trainer.partition.normalize import comparable_items, normalize
from trainer.partition.parts import (
    assign_balanced,
    balanced_kmeans,
    check_k,
    choose_columns,
    moved_share,
    part_sizes,
    partition,
)
from trainer.partition.stability import N_BOOTSTRAPS, adjusted_rand_index, chance_stability, stability

ARGMAX = PartitionConfig(method="argmax", normalize="none")
BALANCED = PartitionConfig(method="balanced", normalize="none")
KMEANS = PartitionConfig(method="kmeans", normalize="none", k=3)
WHOLE = PartitionConfig(method="whole", k=3)


def matrix(*rows):
    return np.array(rows, dtype=np.float32)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_argmax_gives_each_sample_to_the_anchor_it_helps_most():
    assert partition(matrix([1, 3], [5, 2], [-4, -1]), ARGMAX).tolist() == [1, 0, 1]


def test_argmax_ties_go_to_the_lower_part():
    assert partition(matrix([2, 2], [0, 0]), ARGMAX).tolist() == [0, 0]


def test_zscore_takes_the_scale_from_a_column():
    scaled = noise(50, 3) * [1, 100, 0.01] + [0, 7, -3]
    expected = (scaled - scaled.mean(0)) / scaled.std(0)
    np.testing.assert_allclose(normalize(scaled.astype(np.float32), "zscore"), expected, atol=1e-4)


def test_zscore_of_a_constant_column_is_zero():
    assert normalize(matrix([5, 1], [5, 2]), "zscore")[:, 0].tolist() == [0, 0]


def test_without_zscore_a_large_column_attracts_everything():
    lopsided = noise(40, 2) + matrix([0, 50])
    sizes = [
        np.bincount(partition(lopsided, PartitionConfig(method="argmax", normalize=how)))[1]
        for how in ("none", "zscore")
    ]
    assert sizes[0] == 40 and 10 < sizes[1] < 30


@pytest.mark.parametrize("n_samples", [8, 9, 15, 16, 812])
def test_balanced_parts_differ_by_at_most_one(n_samples):
    sizes = np.bincount(assign_balanced(noise(n_samples, 8) * [9, 1, 1, 1, 1, 1, 1, 1]), minlength=8)
    assert (sizes.sum(), sizes.max() - sizes.min() <= 1) == (n_samples, True)


def test_balanced_lets_the_surest_choose_first():
    # all want part 0, which has two seats; margins 1, 3, 2, 0.5
    assert assign_balanced(matrix([2, 1], [3, 0], [3, 1], [1, 0.5])).tolist() == [1, 0, 0, 1]


def test_balanced_ties_go_to_the_earlier_sample():
    assert assign_balanced(matrix([1, 0], [1, 0], [1, 0], [1, 0])).tolist() == [0, 0, 1, 1]


def test_balanced_is_argmax_when_that_is_balanced():
    influence = matrix([1, 0, 0], [0, 1, 0], [0, 0, 1], [2, 0, 0], [0, 2, 0], [0, 0, 2])
    assert assign_balanced(influence).tolist() == influence.argmax(1).tolist()


def test_one_part_takes_all():
    assert partition(noise(5, 1), BALANCED).tolist() == [0] * 5


def test_fewer_parts_than_anchors_keep_the_most_varying():
    assert choose_columns(noise(30, 4) * matrix([1, 9, 0.1, 5]), 2) == [1, 3]


def test_more_parts_than_anchors_is_refused():
    with pytest.raises(BadInput, match="k is 3, but there are 2 anchors"):
        check_k(PartitionConfig(k=3), n_anchors=2, n_samples=9)


def test_more_parts_than_samples_is_refused():
    with pytest.raises(BadInput, match="only 3 samples"):
        check_k(PartitionConfig(k=8), n_anchors=8, n_samples=3)


def test_ranks_do_not_depend_on_the_shape_of_a_column():  # (#14)
    influence = noise(9, 3)
    stretched = np.exp(3 * influence)
    assert (normalize(influence, "rank") == normalize(stretched, "rank")).all()
    assert normalize(matrix([1], [5], [5], [9]), "rank").ravel().tolist() == [0.125, 0.5, 0.5, 0.875]


def test_figures_count_sizes_and_moved_samples():
    influence = matrix([2, 1], [3, 0], [3, 1], [1, 0.5])
    assignment = assign_balanced(influence)
    assert part_sizes(assignment, ["a", "b"], BALANCED) == {"a": 2, "b": 2}
    assert moved_share(assignment, influence, BALANCED) == 0.5


def test_rand_index_of_equal_partitions_is_one_whatever_the_names():
    assert adjusted_rand_index(np.array([0, 0, 1, 1, 2]), np.array([2, 2, 0, 0, 1])) == 1.0


def test_rand_index_equals_a_value_computed_by_hand():
    # table [[2, 1], [0, 3]]: together 1 + 3 = 4, rows 3 + 3, columns 1 + 6, 15 pairs; (4 - 42/15) / (6.5 - 42/15)
    value = adjusted_rand_index(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 1]))
    assert value == pytest.approx((4 - 42 / 15) / (6.5 - 42 / 15))


def test_rand_index_below_chance_is_negative():
    # table [[1, 1], [1, 1]]: together 0, rows 2, columns 2, 6 pairs; (0 - 4/6) / (2 - 4/6)
    assert adjusted_rand_index(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])) == pytest.approx(-0.5)


def test_rand_index_of_random_partitions_is_near_zero():
    rng = np.random.default_rng(0)
    assert abs(adjusted_rand_index(rng.integers(8, size=2000), rng.integers(8, size=2000))) < 0.01


def test_rand_index_of_single_parts_is_one():
    assert adjusted_rand_index(np.zeros(4, dtype=int), np.zeros(4, dtype=int)) == 1.0


def test_parts_are_stable_when_all_items_agree():
    assert stability(np.repeat(noise(60, 4)[:, :, None], 3, axis=2), ARGMAX, seed=0) == 1.0


def test_parts_are_less_stable_when_items_are_noise():
    assert stability(noise(300, 4, 3), ARGMAX, seed=0) < 0.6


def test_noise_is_as_stable_as_chance():
    values = noise(300, 4, 3)
    assert stability(values, ARGMAX, seed=0) == pytest.approx(chance_stability(values, ARGMAX, seed=0), abs=0.05)


def test_agreeing_items_are_more_stable_than_chance():
    agreeing = noise(300, 4, 1) + 0.3 * noise(300, 4, 3, seed=1)
    assert stability(agreeing, BALANCED, seed=0) > chance_stability(agreeing, BALANCED, seed=0) + 0.3


def test_every_bootstrap_is_reported():
    calls = []
    stability(noise(20, 2, 3), ARGMAX, seed=0, on_draw=lambda: calls.append(1))
    assert len(calls) == N_BOOTSTRAPS


def test_stability_of_one_part_is_unknown():  # #14
    assert stability(noise(10, 1, 3), PartitionConfig(k=1), seed=0) is None


def test_stability_of_one_item_is_unknown():
    assert stability(noise(10, 4, 1), ARGMAX, seed=0) is None


def test_contrast_is_what_a_sample_does_for_one_anchor_more_than_for_the_others():
    scores = normalize(np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32), "zscore")
    contrast = scores - scores.mean(axis=1, keepdims=True)
    expected = (contrast - contrast.mean(axis=0)) / contrast.std(axis=0)
    np.testing.assert_allclose(normalize(scores, "contrast"), expected, atol=1e-4)


def test_one_huge_gradient_changes_the_ranks_of_no_other_sample():
    items = np.random.default_rng(0).normal(size=(10, 3, 2)).astype(np.float32)
    outlier = items.copy()
    outlier[3] *= 1e6
    before, after = comparable_items(items, "contrast"), comparable_items(outlier, "contrast")
    others = [n for n in range(10) if n != 3]
    assert np.abs(before - after)[others].max() <= 0.1 + 1e-6  # at most one place


def test_equal_influence_gets_equal_ranks():
    items = np.array([0.0, 0.0, 5.0, 7.0], dtype=np.float32).reshape(4, 1, 1)
    assert comparable_items(items, "contrast").ravel().tolist() == [0.25, 0.25, 0.625, 0.875]


def test_other_normalisations_leave_the_items_alone():
    items = np.ones((2, 2, 2), dtype=np.float32)
    assert comparable_items(items, "zscore") is items


def test_kmeans_finds_clusters_that_lie_apart():
    centers = matrix([9, 0], [0, 9], [-9, -9])
    truth = np.arange(30) % 3
    found = partition(centers[truth] + 0.1 * noise(30, 2), KMEANS)
    assert adjusted_rand_index(truth, found) == 1


@pytest.mark.parametrize("n_samples", [3, 10, 41])
def test_kmeans_parts_are_of_one_size(n_samples):
    sizes = np.bincount(balanced_kmeans(noise(n_samples, 4), 3), minlength=3)
    assert sizes.max() - sizes.min() <= 1


def test_kmeans_ends_where_no_swap_of_two_samples_is_better_for_both_centers():
    rows = noise(12, 2, seed=4)
    found = balanced_kmeans(rows, 2)
    centers = np.stack([rows[found == part].mean(axis=0) for part in range(2)])
    cost = ((rows[:, None] - centers) ** 2).sum(axis=2)
    n = np.arange(12)
    for a, b in ((a, b) for a in n[found == 0] for b in n[found == 1]):
        assert cost[a, 0] + cost[b, 1] <= cost[a, 1] + cost[b, 0] + 1e-6


def test_kmeans_of_equal_samples_still_divides():
    assert np.bincount(balanced_kmeans(np.ones((6, 2), dtype=np.float32), 3)).tolist() == [2, 2, 2]


def test_without_division_every_part_has_all_samples_and_no_stability():
    influence = noise(7, 3)
    assignment = partition(influence, WHOLE)
    assert part_sizes(assignment, ["a", "b", "c"], WHOLE) == {"a": 7, "b": 7, "c": 7}
    assert moved_share(assignment, influence, WHOLE) is None
    assert stability(noise(7, 3, 2), WHOLE, seed=0) is None
