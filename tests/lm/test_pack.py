"""Packed linears give the numbers of plain ones."""

import pytest
import torch
from torch import nn

from spa_lsp.lm.pack import pack_linears

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this build of torch has no oneDNN"
)


@pytest.mark.parametrize("n_rows", [1, 8, 50])
def test_a_packed_linear_gives_the_same_numbers(n_rows):
    model = nn.Sequential(nn.Linear(24, 40), nn.Linear(40, 8, bias=False)).requires_grad_(False)
    x = torch.randn(2, n_rows, 24, generator=torch.Generator().manual_seed(0))
    expected = model(x)
    assert pack_linears(model) == 2
    torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-5)


def test_all_linears_of_the_base_are_packed_and_it_says_the_same(base, prompt):
    ids = torch.tensor([prompt])
    with torch.inference_mode():
        expected = base.model(input_ids=ids).logits
        assert pack_linears(base.model) == 2 * 7 + 1
        torch.testing.assert_close(base.model(input_ids=ids).logits, expected, atol=1e-4, rtol=1e-4)
