"""Per-sample gradients, their projection, and influence against slow and obvious versions."""

from dataclasses import replace

import pytest
import torch

from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.load import load_base
from tests.conftest import TINY_ID
from tests.trainer.train.test_loss import random_bank
from trainer.attribute.datainf import datainf
from trainer.attribute.gradients import sample_gradients, warm_up
from trainer.attribute.projection import project, projection_matrix
from trainer.configs import AttributeConfig
from trainer.train.loss import item_losses

CONFIG = AttributeConfig(batch=6, warmup_rank=3, projected=4)


def test_a_row_of_the_batch_has_the_gradient_of_its_sample_alone(base, items):
    bank = random_bank(base, n_adapters=6, seeds=[0] * 6)
    with torch.no_grad():
        for linear in bank.linears.values():  # the same adapter in every row
            linear.B.copy_(linear.B[:1].expand_as(linear.B))
    together = sample_gradients(base, bank, items, CONFIG, seed=0)
    for n, item in enumerate(items):
        alone = sample_gradients(base, bank, [item], CONFIG, seed=0)[0]
        torch.testing.assert_close(together[n], alone, atol=1e-5, rtol=1e-3)


def test_the_projected_gradient_is_that_of_autograd(base, items):
    bank = random_bank(base, n_adapters=1)
    config = AttributeConfig(batch=1, projected=4)
    found = sample_gradients(base, bank, items[:1], config, seed=0)[0]
    name = sorted(bank.linears)[0]
    linear = bank.linears[name]
    loss = item_losses(base, bank, items[:1], "completion").sum()
    down, up = torch.autograd.grad(loss, [linear.A, linear.B])
    parts = [
        project(down.transpose(1, 2), f"{name}.A", n_columns=4, seed=0),
        project(up, f"{name}.B", n_columns=4, seed=0),
    ]
    torch.testing.assert_close(found[0], torch.cat([p.flatten() for p in parts]), atol=1e-6, rtol=1e-4)


def test_warm_up_leaves_one_adapter_in_all_rows_and_it_has_learned(base, items):
    bank = AdapterBank(base.model)
    config = AttributeConfig(batch=2, warmup_rank=3, learning_rate=2e-2)
    warm_up(base, bank, items * 4, config, seed=0)
    linear = next(iter(bank.linears.values()))
    torch.testing.assert_close(linear.B[0], linear.B[1])
    assert linear.B.abs().max() > 0


def test_projection_keeps_inner_products_on_average():
    left, right = torch.randn(2, 1, 3, 64, generator=torch.Generator().manual_seed(0))
    exact = (left * right).sum()
    products = [
        (project(left, "w", n_columns=8, seed=s) * project(right, "w", n_columns=8, seed=s)).sum() for s in range(800)
    ]
    spread = torch.stack(products).std() / 800**0.5
    assert abs(torch.stack(products).mean() - exact) < 4 * spread


def test_a_projection_belongs_to_its_name_and_seed():
    matrix = projection_matrix(5, "a", n_columns=2, seed=0)
    assert torch.equal(matrix, projection_matrix(5, "a", n_columns=2, seed=0))
    assert not torch.equal(matrix, projection_matrix(5, "b", n_columns=2, seed=0))


def slow_datainf(train, query, damping):
    N, L, P = train.shape
    influence = torch.zeros(N, len(query), dtype=torch.float64)
    for q in range(len(query)):
        gq = query[q] / query[q].norm()
        for layer in range(L):
            damp = damping * train[:, layer].pow(2).mean()
            inverse = torch.zeros(P, P, dtype=torch.float64)
            for g in train[:, layer]:  # the mean of N damped rank-one inverses, by Sherman and Morrison
                inverse += torch.linalg.inv(damp * torch.eye(P, dtype=torch.float64) + torch.outer(g, g)) / N
            for n in range(N):
                influence[n, q] += gq[layer] @ inverse @ train[n, layer]
    return influence


def test_datainf_equals_the_mean_of_explicit_inverses():
    generator = torch.Generator().manual_seed(0)
    train = torch.randn(5, 3, 4, generator=generator, dtype=torch.float64)
    query = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    found = datainf(train, query, 0.1).double()
    torch.testing.assert_close(found, slow_datainf(train, query, 0.1), atol=1e-3, rtol=1e-4)


def test_a_sample_that_is_the_query_helps_it_most():
    generator = torch.Generator().manual_seed(0)
    train = torch.randn(20, 3, 8, generator=generator)
    influence = datainf(train, train[4:5], 0.1)
    assert influence[:, 0].argmax() == 4
    assert influence[4, 0] > 0


def test_gradients_of_other_widths_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        datainf(torch.zeros(2, 3, 4), torch.zeros(2, 3, 5), 0.1)


def test_curvature_of_other_gradients_counts_where_it_is_given():  # (#14)
    generator = torch.Generator().manual_seed(0)
    train, curvature = (torch.randn(5, 2, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    query = torch.randn(1, 2, 4, generator=generator, dtype=torch.float64)
    whole = datainf(torch.cat([train[:2], curvature]), query, 0.1, curvature=curvature)
    torch.testing.assert_close(datainf(train[:2], query, 0.1, curvature=curvature), whole[:2])
    assert not torch.allclose(datainf(train, query, 0.1), datainf(train, query, 0.1, curvature=curvature))


@pytest.mark.parametrize("quantization", ["bf16", "fp32"])  # (#14)
def test_a_sample_has_the_same_gradient_whatever_its_neighbours(tiny_base, items, quantization):
    base = load_base(TINY_ID, quantization=quantization, device="cpu")
    bank = random_bank(base, n_adapters=6, seeds=[0] * 6)
    with torch.no_grad():
        for linear in bank.linears.values():
            linear.B.copy_(linear.B[:1].expand_as(linear.B))
    short, long = items[0], replace(items[0], prompt=items[0].prompt * 9, completion=items[0].completion * 4)
    found = sample_gradients(base, bank, [short, long, long], CONFIG, seed=0)[0]
    alone = sample_gradients(base, bank, [short], CONFIG, seed=0)[0]
    assert torch.cosine_similarity(found.flatten(), alone.flatten(), dim=0) > 0.999
    assert found.norm() / alone.norm() == pytest.approx(1, abs=0.01)
