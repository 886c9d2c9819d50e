"""Attribution against what it stands for: training again without the sample. (#14)"""

import pytest
import torch

from trainer.attribute.cosine import cosine
from trainer.attribute.lissa import lissa

N, Q, P, RIDGE = 40, 5, 4, 0.3


@pytest.fixture
def ridge():
    """Ridge regression: inputs, targets, queries."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    inputs, queries, weights = draw(N, P), draw(Q, P), draw(P)
    return inputs, inputs @ weights + draw(N), queries, queries @ weights + draw(Q)


def fit(inputs, targets):
    """The weights of least mean squared error / 2 + RIDGE / 2 |w|², with the sums over all N."""
    return torch.linalg.solve(inputs.T @ inputs / N + RIDGE * torch.eye(P).double(), inputs.T @ targets / N)


def gradients(inputs, targets, weights):
    return (inputs @ weights - targets)[:, None] * inputs


def retrained(ridge):
    """How much the loss of each query rises without each sample, `[N, Q]`."""
    inputs, targets, queries, wanted = ridge
    loss = lambda weights: (queries @ weights - wanted).pow(2) / 2  # noqa: E731
    kept = [[other for other in range(N) if other != n] for n in range(N)]
    return torch.stack([loss(fit(inputs[own], targets[own])) - loss(fit(inputs, targets)) for own in kept])


def attributed(ridge, **options):
    inputs, targets, queries, wanted = ridge
    weights = fit(inputs, targets)
    train, query = gradients(inputs, targets, weights), gradients(queries, wanted, weights)
    exact = {"curvature": inputs, "damping": RIDGE, "depth": 500, "repeats": 1, "batch": N} | options
    return lissa(train, query, **exact).double() * query.norm(dim=1) / N


def test_lissa_is_the_loss_of_leaving_a_sample_out(ridge):
    true, found = retrained(ridge), attributed(ridge)
    assert torch.corrcoef(torch.stack([true.flatten(), found.flatten()]))[0, 1] > 0.99
    assert (found - true).abs().max() < 0.25 * true.abs().max()


def test_lissa_is_positive_where_training_on_the_sample_helps(ridge):
    true, found = retrained(ridge), attributed(ridge)
    is_clear = true.abs() > 0.2 * true.abs().max()
    assert (true.sign() == found.sign())[is_clear].all()


def test_lissa_tends_to_the_same_whatever_the_batch(ridge):
    one, many = (attributed(ridge, batch=batch, depth=100, repeats=16) for batch in (8, N))
    assert torch.corrcoef(torch.stack([one.flatten(), many.flatten()]))[0, 1] > 0.99


def test_cosine_is_one_for_the_query_itself_and_blind_to_length():
    query = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(1))
    found = cosine(torch.cat([5 * query, -query]), query)
    assert torch.allclose(found.diagonal(), torch.ones(3)) and torch.allclose(found[3:].diagonal(), -torch.ones(3))


@pytest.mark.parametrize("method", [cosine, lissa])
def test_gradients_that_do_not_fit_are_refused(method):
    with pytest.raises(ValueError, match="do not fit"):
        method(torch.zeros(2, 3, 4), torch.zeros(2, 3, 5))
