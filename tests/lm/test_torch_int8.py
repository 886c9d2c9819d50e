"""torch's own int8 operator with activations in two terms, against the product in float64."""

import pytest
import torch

from spa_lsp.lm.int8 import pack, quantize
from spa_lsp.lm.torch_int8 import TorchInt8Linear


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def linear(weight, bias=None):
    return TorchInt8Linear(*pack(*quantize(weight)), bias, tuple(weight.shape))


def exact_weight():
    """Integers with 127 in every block: rounding them again changes nothing."""
    weight = (random(20, 64) * 30).round().clamp(-127, 127)
    weight[:, ::32] = 127
    return weight / 128


@pytest.mark.parametrize("n_rows", [1, 8, 17])
def test_two_terms_are_good_to_fourteen_bits(n_rows):
    weight, x, bias = exact_weight(), random(n_rows, 64, seed=1), random(20, seed=2)
    expected = x.double() @ weight.double().T + bias
    largest = x.abs().amax(-1, keepdim=True)
    error = (linear(weight, bias)(x) - expected).abs() / largest
    assert error.max() < 64**0.5 * 3 / 2**14


def test_leading_dimensions_and_no_rows_at_all():
    layer = linear(exact_weight())
    assert layer(random(2, 3, 64)).shape == (2, 3, 20)
    assert layer(random(0, 64)).shape == (0, 20)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_spoil_their_row_and_no_other(bad):
    layer, x = linear(exact_weight()), random(4, 64, seed=1)
    good = layer(x)
    x[2, 7] = bad
    spoiled = layer(x)
    assert not spoiled[2].isfinite().any()
    torch.testing.assert_close(spoiled[[0, 1, 3]], good[[0, 1, 3]])
