"""Which check is kept, against reading the losses one by one; and what training keeps."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from tests.trainer.train.test_training import new_bank
from trainer.train.stopping import best_check
from trainer.train.training import best_steps, plan_steps, train


def slow_best(losses, patience):
    """Wait for a better check as long as patience lasts, as one would by hand."""
    best, waited = 0, 0
    for place in range(1, len(losses)):
        better = losses[place] < losses[best]
        best, waited = (place, 0) if better else (best, waited + 1)
        if waited == patience:
            return best, True
    return best, False


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_the_best_check_is_that_of_the_slow_version(patience):
    for losses in itertools.product((1.0, 2.0, 3.0), repeat=6):
        assert best_check(losses, patience) == slow_best(losses, patience)


def test_where_nothing_is_held_out_the_last_check_counts():
    assert best_check([math.nan] * 5, 1) == (4, False)


def held_out_of(*rows):
    """A held-out loss that is read from these rows, check by check."""
    told = iter(rows)
    return lambda: torch.tensor(next(told))


def trained(base, items, config, **options):
    bank = new_bank(base, [1, 2])
    plan = plan_steps([items[:3], items[3:]], n_steps=config.steps, accumulate=2, seed=0)
    return bank, train(base, bank, plan, config, **options)


def test_each_adapter_ends_with_its_best_check(base, items, small):
    six = replace(small, steps=6, evaluate_every=1, patience=2)
    told = held_out_of([3.0, 3.0], [2.0, 2.0], [2.5, 1.0], [2.5, 1.5], [0.0, 1.5])
    bank, done = trained(base, items, six, held_out=told)
    assert (len(done), best_steps(done, six)) == (5, [2, 3])
    for k, n in enumerate(best_steps(done, six)):
        alone, _ = trained_until(base, items, six, n)
        torch.testing.assert_close(bank.export(k, torch.float32), alone.export(k, torch.float32), atol=0, rtol=0)


def trained_until(base, items, config, n):
    bank = new_bank(base, [1, 2])
    plan = plan_steps([items[:3], items[3:]], n_steps=config.steps, accumulate=2, seed=0)

    def stop(state):
        if state.step + 1 == n:
            raise StopIteration

    with pytest.raises(StopIteration):
        train(base, bank, plan, replace(config, patience=0, evaluate_every=0), on_step=stop)
    return bank, None


def test_without_patience_checks_change_no_weight(base, items, small):
    watched, done = trained(base, items, replace(small, evaluate_every=2), held_out=held_out_of([1.0, 1.0], [2.0, 2.0]))
    plain, _ = trained(base, items, small)
    assert [state.held_out for state in done] == [(), (1.0, 1.0), (), (2.0, 2.0)]
    torch.testing.assert_close(watched.state(), plain.state(), atol=0, rtol=0)
