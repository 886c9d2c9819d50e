"""Adapters in groups: the same weights bit for bit, and as many at once as memory allows."""

from dataclasses import replace

import pytest
import torch

from tests.trainer.train.test_training import new_bank
from trainer.train.memory import adapters_at_once, kept_bytes
from trainer.train.training import passes, plan_steps, train


def weights(base, items, config, at_once):
    bank = new_bank(base, range(5))
    plan = plan_steps([items[k : k + 2] for k in range(5)], n_steps=2, accumulate=2, seed=0)
    if config.objective == "mcl":
        plan = [[[own[0]] * 5 for own in step] for step in plan]
    train(base, bank, plan, config, at_once=at_once)
    return bank.state()


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize(
    "asked", [{}, {"activation": "all"}, {"objective": "mcl"}, {"shared_rank": 1}], ids=["parts", "all", "mcl", "core"]
)
def test_groups_end_with_the_weights_of_one_pass_bit_for_bit(base, items, small, asked, at_once):
    config = replace(small, **asked)
    torch.testing.assert_close(
        weights(base, items, config, at_once), weights(base, items, config, None), atol=0, rtol=0
    )


def test_every_adapter_is_in_one_pass():
    assert passes(5, 2) == [slice(0, 2), slice(2, 4), slice(4, 5)] and passes(5, None) == [slice(0, 5)]


@pytest.mark.parametrize(("rows", "expected"), [(0.5, 1), (1, 1), (2.5, 2), (99, 6)])
def test_as_many_adapters_as_half_of_the_free_memory_holds(base, items, rows, expected):
    bank = new_bank(base, range(6))
    one = 2 * kept_bytes(base, bank, items, "completion")
    assert adapters_at_once(base, bank, items, "completion", free=int(rows * one * 2)) == expected


def test_twice_the_tokens_keep_about_twice_the_bytes(base, items):
    bank = new_bank(base, [0])
    long = replace(items[0], completion=(20,) * 40)
    twice = replace(items[0], completion=(20,) * 80)
    ratio = kept_bytes(base, bank, [twice], "completion") / kept_bytes(base, bank, [long], "completion")
    assert 1.7 < ratio < 2.6
