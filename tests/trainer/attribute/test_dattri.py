"""DataInf and LiSSA against another implementation of them, the library dattri, on a model of two linears. (#14)"""

import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from trainer.attribute.datainf import datainf
from trainer.attribute.lissa import lissa

with warnings.catch_warnings():  # torch compiles as dattri is imported, and warns of itself
    warnings.simplefilter("ignore")
    pytest.importorskip("dattri", reason="dattri, which .ci/run installs, is not here")
    from dattri.algorithm.influence_function import IFAttributorDataInf, IFAttributorLiSSA
    from dattri.task import AttributionTask

N, Q, D, DAMPING = 24, 5, 4, 0.2


def whole(data):
    """All of a data set as one batch, which dattri wants in a loader."""
    return DataLoader(data, batch_size=len(data))


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    draw = lambda n: TensorDataset(*(torch.randn(n, D, generator=generator) for _ in range(2)))  # noqa: E731
    return draw(N), draw(Q)


def gradients(task, data):
    """Per-sample gradients by autograd, one after the other, `[N, L, P]`."""
    model = task.model
    found = []
    for inputs, targets in data:
        loss = (model(inputs) - targets).pow(2).sum()
        found.append(torch.stack([own.flatten() for own in torch.autograd.grad(loss, list(model.parameters()))]))
    return torch.stack(found)


def make_task(*layers):
    torch.manual_seed(1)
    model = nn.Sequential(*(layer() for layer in layers))

    def loss(parameters, sample):
        inputs, targets = sample
        return (torch.func.functional_call(model, parameters, inputs) - targets).pow(2).sum(-1).mean()

    return AttributionTask(loss_func=loss, model=model, checkpoints=model.state_dict())


def linear():
    return nn.Linear(D, D, bias=False)


def test_datainf_is_that_of_dattri(data):
    task = make_task(linear, nn.Tanh, linear)
    other = IFAttributorDataInf(task, regularization=DAMPING)
    other.cache(whole(data[0]))
    expected = other.attribute(whole(data[0]), whole(data[1]))
    train, query = (gradients(task, own) for own in data)
    found = torch.zeros(N, Q)
    for layer in range(2):  # dattri's λ is the same for all linears, ours a share of each one's mean square
        own, asked = train[:, layer : layer + 1], query[:, layer : layer + 1]
        found += datainf(own, asked, DAMPING / float(own.pow(2).mean())) * asked.flatten(1).norm(dim=1)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_lissa_is_that_of_dattri(data):
    """Of one linear and a squared loss the Gauss-Newton matrix is the Hessian, whose root is made of the inputs."""
    task = make_task(linear)
    other = IFAttributorLiSSA(task, batch_size=N, recursion_depth=200, damping=DAMPING / 10, scaling=10.0)
    other.cache(whole(data[0]))
    expected = other.attribute(whole(data[0]), whole(data[1]))
    train, query = (gradients(task, own) for own in data)
    inputs = data[0].tensors[0]
    roots = torch.stack([torch.kron(torch.eye(D), one) for one in inputs])  # [N, D, P], a row for each output
    curvature = roots.flatten(0, 1) * (2 * D) ** 0.5  # lissa takes the mean over rows, the loss a sum over outputs
    found = lissa(train, query, curvature=curvature, damping=DAMPING, depth=4000, repeats=1, batch=N * D)
    torch.testing.assert_close(found * query.flatten(1).norm(dim=1), expected, atol=1e-2, rtol=1e-2)
