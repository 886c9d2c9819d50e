"""The sampled arms: what may be drawn, how often, and from the same seed again."""

import pytest
import torch

from spa_lsp.lm.decode import Row, RowRules, _sample
from spa_lsp.lm.sampling import argmax, choices_of, likeliest, log_sums
from spa_lsp.text.branching import N_CHOICES
from spa_lsp.text.site import Site
from spa_lsp.text.stopping import make_cut

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0])


def rules(**changes):
    return RowRules(max_tokens=1, cut=make_cut("none", "infill", Site()), **changes)


def row(seed=0, **changes):
    return Row(index=0, last_token=0, rules=rules(**changes), generator=torch.Generator().manual_seed(seed))


def draw(logits, rows):
    """One token for each row, which has it from now on."""
    tokens = _sample(logits, rows)
    for each in rows:
        each.logprobs.append(0.0)
    return tokens


def draws(n, **changes):
    drawn_from = row(**changes)
    return [token for _ in range(n) for token in draw(LOGITS[None], [drawn_from])]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_the_softmax_says(temperature):
    counts = torch.bincount(torch.tensor(draws(4000, temperature=temperature)), minlength=4) / 4000
    torch.testing.assert_close(counts, torch.softmax(LOGITS / temperature, 0), atol=0.03, rtol=0)


def test_only_the_nucleus_is_drawn_from():
    # softmax: 0.64, 0.24, 0.09, 0.03; the first two have 0.88, so the third is needed for 0.9
    assert set(draws(2000, temperature=1.0, top_p=0.9)) == {0, 1, 2}
    assert set(draws(500, temperature=1.0, top_p=0.6)) == {0}


def test_the_nucleus_of_a_large_vocabulary_is_that_of_a_full_sort():
    logits = torch.randn(5000, generator=torch.Generator().manual_seed(0))  # flat: many tokens are needed
    ordered, order = torch.softmax(logits, 0).sort(descending=True)
    nucleus = set(order[: int((ordered.cumsum(0) - ordered < 0.9).sum())].tolist())
    drawn_from = row(temperature=1.0, top_p=0.9)
    drawn = {draw(logits[None], [drawn_from])[0] for _ in range(2000)}
    assert drawn <= nucleus and len(drawn) > 1000  # 256 tokens would not do
    every = [row(seed, temperature=1.0, top_p=1.0) for seed in range(2000)]
    assert not set(draw(logits.expand(2000, -1), every)) <= nucleus


def test_rows_of_one_step_keep_their_own_temperature_and_seed():
    cold, hot = row(temperature=1e-3), row(temperature=100.0)
    drawn = [draw(LOGITS.expand(2, -1), [cold, hot]) for _ in range(200)]
    assert {token for token, _ in drawn} == {0} and {token for _, token in drawn} == {0, 1, 2, 3}
    alone = row(temperature=100.0)
    assert [token for _, token in drawn] == [draw(LOGITS[None], [alone])[0] for _ in range(200)]


def large_logits():
    return torch.randn(3, 64 * 300, generator=torch.Generator().manual_seed(1))


def test_the_likeliest_tokens_of_a_large_vocabulary_are_those_of_topk():
    values, tokens = likeliest(large_logits(), 256)
    expected = large_logits().topk(256)
    assert torch.equal(values, expected.values) and torch.equal(tokens, expected.indices)


@pytest.mark.parametrize("n_tokens", [64 * 300, 64 * 300 - 1])
def test_the_likeliest_token_is_that_of_argmax(n_tokens):
    logits = large_logits()[:, :n_tokens]
    assert torch.equal(argmax(logits), logits.argmax(-1))


def test_of_equal_tokens_the_first_is_the_likeliest():
    logits = torch.zeros(1, 640)
    logits[0, [70, 71, 200]] = 1.0
    assert argmax(logits).tolist() == [70]


def test_the_sum_of_exponentials_is_that_of_logsumexp():
    logits = large_logits()
    logits[1, 10:] = -torch.inf
    torch.testing.assert_close(log_sums(logits), torch.logsumexp(logits, -1))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_logit_that_is_not_finite_spoils_the_sum_of_its_row(bad):
    logits = large_logits()
    logits[1, 5] = bad
    assert log_sums(logits).isfinite().tolist() == [True, False, True]


def test_choices_are_the_likeliest_tokens():
    logits = torch.arange(12.0)
    found = choices_of(logits, float(logits.logsumexp(0)))
    expected = list(range(11, -1, -1))[:N_CHOICES]
    assert [each.token for each in found] == expected
    torch.testing.assert_close(torch.tensor([each.logprob for each in found]), torch.log_softmax(logits, 0)[expected])
