"""Winner-takes-all against a slow, obvious version, and what it does to training."""

import itertools
import random
from dataclasses import replace

import pytest
import torch

from tests.trainer.train.test_training import new_bank
from trainer.train.loss import adapter_losses
from trainer.train.objective import choose_winner, learning_shares
from trainer.train.training import plan_steps, train


def slow_winner(losses, won, load):
    """Try the adapters from the lowest loss on; take the first that has not had its fill."""
    so_far = sum(won) + 1
    for _, k in sorted((loss, k) for k, loss in enumerate(losses)):
        if won[k] < load * so_far / len(won):
            return k
    raise AssertionError("all have had their fill")


@pytest.mark.parametrize(("n_adapters", "load"), [*itertools.product((1, 2, 5, 8), (1.0, 1.5, 8.0))])
def test_the_winner_is_that_of_the_slow_version(n_adapters, load):
    rng, won = random.Random(0), [0] * n_adapters
    for _ in range(200):
        losses = [rng.choice((0.5, 1.0, 1.5)) for _ in range(n_adapters)]
        winner = choose_winner(losses, won, load)
        assert winner == slow_winner(losses, won, load)
        won[winner] += 1


@pytest.mark.parametrize("load", [1.0, 1.5, 3.0])
def test_an_adapter_that_is_always_best_wins_its_load_and_no_more(load):
    won = [0] * 4
    for _ in range(400):
        won[choose_winner([0.0, 1.0, 1.0, 1.0], won, load)] += 1
    assert won[0] == pytest.approx(load * 100, abs=1)


def test_the_winner_learns_most_and_the_others_the_rest_alike():
    assert learning_shares(1, 5, 0.2).tolist() == pytest.approx([0.05, 0.8, 0.05, 0.05, 0.05])
    assert learning_shares(0, 1, 0.2).tolist() == [1.0]


@pytest.mark.parametrize("at_once", [None, 2])
def test_one_step_of_mcl_gives_the_gradients_of_the_slow_version(base, items, small, at_once):
    mcl = replace(small, objective="mcl", mcl_epsilon=0.2, accumulate=2, steps=1)
    bank, plan = new_bank(base, [1, 2, 3]), [[[item] * 3 for item in items[:2]]]
    (state,) = train(base, bank, plan, mcl, at_once=at_once)
    slow = new_bank(base, [1, 2, 3])
    assert state.winners == tuple(slow_step(base, slow, items[:2], epsilon=0.2, load=mcl.mcl_load, config=small))
    torch.testing.assert_close(bank.state(), slow.state(), atol=1e-5, rtol=1e-3)


def slow_step(base, bank, items, *, epsilon, load, config):
    """Each item under each adapter by itself, each adapter's gradient clipped by itself."""
    from trainer.train.loss import item_losses

    won, winners, K = [0] * bank.n_adapters, [], bank.n_adapters
    optimizer = torch.optim.AdamW(bank.parameters(), lr=config.learning_rate / 2, weight_decay=config.weight_decay)
    total = 0
    for item in items:
        winner = slow_winner(adapter_losses(base, bank, item, "completion").tolist(), won, load)
        won[winner] += 1
        winners.append(winner)
        for k, loss in enumerate(item_losses(base, bank, [item] * K, "completion")):
            total = total + loss * ((1 - epsilon) if k == winner else epsilon / (K - 1)) / len(items)
    total.backward()
    for k in range(K):
        norm = sum(p.grad[k].pow(2).sum() for p in bank.parameters()).sqrt()
        for p in bank.parameters():
            p.grad[k] *= min(1.0, 1.0 / norm.item())
    optimizer.step()
    return winners


def test_mcl_lowers_the_loss_of_the_best_adapter(base, items, small):
    mcl = replace(small, objective="mcl", steps=12, accumulate=2, learning_rate=3e-2)
    plan = [[row * 3 for row in step] for step in plan_steps([items], n_steps=12, accumulate=2, seed=0)]
    bank = new_bank(base, [1, 2, 3])

    def best():
        return sum(adapter_losses(base, bank, item, "completion").min().item() for item in items)

    before = best()
    done = train(base, bank, plan, mcl)
    won = [winner for state in done for winner in state.winners]
    assert best() < 0.7 * before
    assert len(won) == 24 and max(map(won.count, range(3))) <= 12
