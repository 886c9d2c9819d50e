"""LESS against the slow and obvious: torch's own optimizer takes the step. (#14)"""

from dataclasses import replace

import pytest
import torch

from spa_lsp.lm.bank import AdapterBank
from trainer.attribute.gradients import point_gradients, point_steps, read_points, warm_up, warm_up_steps
from trainer.attribute.less import MAX_NORM, adam_updates, less
from trainer.attribute.projection import project
from trainer.configs import AttributeConfig
from trainer.train.loss import item_losses

CONFIG = AttributeConfig(
    method="less", batch=2, warmup_rank=3, projected=4, learning_rate=2e-2, checkpoints=2, max_tokens=150
)


@pytest.fixture
def warm(base, items, tmp_path):
    """A bank after a warm-up of four steps, and the points of it."""
    bank = AdapterBank(base.model)
    path = tmp_path / "warm-up.safetensors"
    warm_up(base, bank, [*items, *items[:2]], CONFIG, seed=0, checkpoint=path)
    return bank, read_points(path, warm_up_steps(8, CONFIG), CONFIG)


def own_gradients(base, bank, item):
    """The gradients of one item, of row 0 of every parameter, clipped as in training."""
    losses = item_losses(base, bank, [item] * bank.n_adapters, "completion")
    found = [own[:1] for own in torch.autograd.grad(losses[0], bank.parameters())]
    norm = torch.cat([own.flatten() for own in found]).norm()
    return [own * min(1.0, MAX_NORM / float(norm)) for own in found]


def step_of_adam(parameters, gradients, point):
    """What AdamW without decay, at a learning rate of one, takes from each parameter."""
    copies = [torch.nn.Parameter(own.detach().clone()) for own in parameters]
    adam = torch.optim.AdamW(copies, lr=1.0, weight_decay=0.0)
    for copy, gradient, (mean, square) in zip(copies, gradients, point.moments, strict=True):
        adam.state[copy] = {
            "step": torch.tensor(float(point.step)),
            "exp_avg": mean.clone(),
            "exp_avg_sq": square.clone(),
        }
        copy.grad = gradient.clone()
    before = [copy.detach().clone() for copy in copies]
    adam.step()
    return [old - copy.detach() for old, copy in zip(before, copies, strict=True)]


def test_an_update_is_the_step_that_adam_takes(base, items, warm):
    bank, points = warm
    bank.restore(points[0].weights)
    gradients = own_gradients(base, bank, items[2])
    expected = step_of_adam([own[:1] for own in bank.parameters()], gradients, points[0])
    for found, wanted in zip(adam_updates(gradients, points[0]), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_points_keep_the_adapter_of_their_step_with_their_learning_rate(warm):
    bank, points = warm
    assert [point.step for point in points] == [2, 4]
    assert points[0].learning_rate > points[1].learning_rate > 0  # warm-up and cosine
    name = next(iter(points[1].weights))
    assert torch.equal(points[1].weights[name][0], bank.state()[name][0])
    assert not torch.equal(points[0].weights[name], points[1].weights[name])


def test_gradients_at_points_are_those_of_their_adapters_alone(base, items, warm):
    bank, points = warm
    found = point_gradients(base, bank, items[:2], CONFIG, seed=0, points=points, are_updates=True)
    bank.restore(points[1].weights)
    updates = adam_updates(own_gradients(base, bank, items[1]), points[1])
    name, n_linears = sorted(bank.linears)[0], len(bank.linears)
    down = project(updates[0].transpose(1, 2), f"{name}.A", n_columns=4, seed=0)
    assert found.shape[1] == 2 * n_linears
    torch.testing.assert_close(found[1, n_linears][: down.numel()], down.flatten(), atol=1e-4, rtol=1e-3)


def test_influence_is_the_cosine_at_each_point_by_its_learning_rate():
    generator = torch.Generator().manual_seed(0)
    train, query = (torch.randn(n, 3, 2, 5, generator=generator) for n in (4, 2))
    rates = [0.1, 0.4, 0.2]
    expected = [
        [
            sum(r * torch.cosine_similarity(t[c].flatten(), q[c].flatten(), dim=0) for c, r in enumerate(rates)) / 0.7
            for q in query
        ]
        for t in train
    ]
    torch.testing.assert_close(less(train, query, rates), torch.tensor(expected), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("n_steps", "expected"), [(6, [2, 3, 5, 6]), (4, [1, 2, 3, 4]), (2, [1, 2]), (1, [1])])
def test_points_are_evenly_spread_and_never_more_than_steps(n_steps, expected):
    assert point_steps(n_steps, replace(CONFIG, checkpoints=4)) == expected
