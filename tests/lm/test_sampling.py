"""The sampled arms: what may be drawn, how often, and from the same seed again."""

import pytest
import torch

from spa_lsp.lm.decode import Rules, _nucleus, _sample
from spa_lsp.lm.stopping import make_cut

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0])


def rules(**changes):
    return Rules(max_tokens=1, cut=make_cut("none", "infill", prefix="", suffix=""), **changes)


def draws(n, **changes):
    generator = torch.Generator().manual_seed(0)
    return [_sample(LOGITS, rules(**changes), generator) for _ in range(n)]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_the_softmax_says(temperature):
    counts = torch.bincount(torch.tensor(draws(4000, temperature=temperature)), minlength=4) / 4000
    torch.testing.assert_close(counts, torch.softmax(LOGITS / temperature, 0), atol=0.03, rtol=0)


def test_only_the_nucleus_is_drawn_from():
    # softmax: 0.64, 0.24, 0.09, 0.03; the first two have 0.88, so the third is needed for 0.9
    assert set(draws(2000, temperature=1.0, top_p=0.9)) == {0, 1, 2}
    assert set(draws(500, temperature=1.0, top_p=0.6)) == {0}


def test_the_nucleus_of_a_large_vocabulary_is_that_of_a_full_sort():
    probabilities = torch.softmax(torch.randn(5000, generator=torch.Generator().manual_seed(0)), 0)  # flat: many needed
    top, tokens = _nucleus(probabilities, 0.9)
    ordered, order = probabilities.sort(descending=True)
    n = int((ordered.cumsum(0) - ordered < 0.9).sum())
    assert set(tokens.tolist()) == set(order[:n].tolist())
    torch.testing.assert_close(top.sum(), ordered[:n].sum())
