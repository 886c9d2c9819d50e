"""Packed linears give the numbers of plain ones."""

import pytest
import torch
from torch import nn

from spa_lsp.lm.pack import halve_embedding, pack_linears

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


def test_an_embedding_that_fits_into_bfloat16_is_halved_and_says_the_same(base, prompt):
    ids = torch.tensor([prompt])
    weight = base.model.get_input_embeddings().weight
    weight.copy_(weight.bfloat16())
    expected = base.model(input_ids=ids).logits
    assert halve_embedding(base.model)
    assert base.model.get_input_embeddings().weight.dtype == torch.bfloat16
    torch.testing.assert_close(base.model(input_ids=ids).logits, expected, atol=0, rtol=0)


def test_an_embedding_that_would_lose_digits_stays(base):
    base.model.get_input_embeddings().weight.fill_(1 / 3)
    assert not halve_embedding(base.model)
