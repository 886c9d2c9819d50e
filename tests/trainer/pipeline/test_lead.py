"""The lead of a set: a mean that is one, the base, or one of the adapters."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load

from spa_lsp.adapters.check import check_adapter
from spa_lsp.errors import BadInput
from tests.tiny_set import LINEARS, RANK, make_adapters, make_set
from trainer.pipeline.lead import LEAD, mean_adapter, with_lead, with_lead_of_another


def product(adapter, path):
    name = f"base_model.model.{path}.lora_"
    return adapter[f"{name}B.weight"].float() @ adapter[f"{name}A.weight"].float()


@pytest.fixture
def files():
    return make_adapters(k=3)


@pytest.fixture
def adapters(files):
    return [load(data) for data in files.values()]


# #15
def test_in_enough_ranks_the_mean_is_the_mean_of_the_products(adapters):
    mean, share = mean_adapter(adapters, rank=3 * RANK)
    assert share == pytest.approx(1)
    for path in LINEARS:
        expected = sum(product(own, path) for own in adapters) / 3
        torch.testing.assert_close(product(mean, path), expected, atol=1e-5, rtol=1e-4)


# #15
def test_in_fewer_ranks_it_is_the_best_there_is_and_says_how_much_of_it(adapters):
    mean, share = mean_adapter(adapters, rank=RANK)
    kept = whole = 0.0
    for path in LINEARS:
        expected = sum(product(own, path) for own in adapters) / 3
        U, S, Vh = torch.linalg.svd(expected)
        best = (U[:, :RANK] * S[:RANK]) @ Vh[:RANK]
        torch.testing.assert_close(product(mean, path), best, atol=1e-5, rtol=1e-4)
        kept, whole = kept + float((S[:RANK] ** 2).sum()), whole + float((S**2).sum())
    assert share == pytest.approx(kept / whole) and share < 1


# #15
def test_the_mean_of_equal_adapters_is_the_adapter(adapters):
    mean, share = mean_adapter([adapters[0]] * 3, rank=RANK)
    assert share == pytest.approx(1)
    for path in LINEARS:
        torch.testing.assert_close(product(mean, path), product(adapters[0], path), atol=1e-5, rtol=1e-4)


# #15
@pytest.mark.parametrize("of", ["mean", "base"])
def test_mean_and_base_are_a_row_of_their_own_behind_the_others(files, of):
    made, found, _ = with_lead(make_set(files), files, of)
    assert [info.name for info in made.adapters] == ["a1", "a2", "a3", LEAD]
    assert (made.lead, made.lead_index) == (LEAD, 3)
    check_adapter(found[LEAD], made)


# #15
def test_the_base_as_a_row_changes_nothing(files):
    _, found, _ = with_lead(make_set(files), files, "base")
    assert not any(tensor.any() for tensor in load(found[LEAD]).values())


# #15
def test_an_adapter_may_lead_and_a_row_made_before_goes(files):
    led, found, _ = with_lead(make_set(files), files, "mean")
    again, found, _ = with_lead(led, found, "a2")
    assert (again.lead, again.k, list(found)) == ("a2", 3, ["a1", "a2", "a3"])


# #15
def test_another_mean_has_no_lead_in_it(files):
    led, found, _ = with_lead(make_set(files), files, "base")
    again, found, _ = with_lead(led, found, "mean")
    direct = with_lead(make_set(files), files, "mean")[1]
    assert found[LEAD] == direct[LEAD] and again.k == 4


# #15
@pytest.mark.parametrize("of", ["mean", "base"])
def test_an_adapter_that_is_named_as_the_row_would_be_is_not_lost(files, of):
    files[LEAD] = files.pop("a2")
    with pytest.raises(BadInput, match="an adapter of mine is named lead itself; choose one of a1, a3, lead"):
        with_lead(make_set(files), files, of)


# #15
def test_such_an_adapter_may_lead_and_stays(files):
    files[LEAD] = files.pop("a2")
    led, found, _ = with_lead(make_set(files), files, LEAD)
    again, found, _ = with_lead(led, found, "a1")
    assert (led.lead, again.lead, list(found)) == (LEAD, "a1", ["a1", "a3", LEAD])


# #15
def test_who_is_no_adapter_cannot_lead(files):
    with pytest.raises(BadInput, match="mine has no adapter 'nobody'; choose mean, base, a1, a2, a3, or a set of one"):
        with_lead(make_set(files), files, "nobody")


@pytest.fixture
def one():
    """A set of one adapter that is none of the set's own."""
    return make_set(make_adapters(k=1, seed=7), name="whole")


@pytest.fixture
def its_file():
    return make_adapters(k=1, seed=7)["a1"]


# #15
def test_the_adapter_of_another_set_leads_in_a_row_of_its_own(files, one, its_file):
    made, found = with_lead_of_another(make_set(files), files, one, its_file)
    assert [info.name for info in made.adapters] == ["a1", "a2", "a3", LEAD]
    assert (made.lead, found[LEAD]) == (LEAD, its_file)
    assert (made.adapters[3].label, made.adapters[3].figures) == ("label of a1", {"set": "whole"})


# #15
def test_such_a_row_goes_when_another_leads(files, one, its_file):
    led, found = with_lead_of_another(make_set(files), files, one, its_file)
    again, found, _ = with_lead(led, found, "a2")
    assert (again.lead, list(found)) == ("a2", ["a1", "a2", "a3"])
    led, found = with_lead_of_another(led, {**found, LEAD: its_file}, one, its_file)
    assert list(found) == ["a1", "a2", "a3", LEAD]


# #15
@pytest.mark.parametrize(
    "changes",
    [
        {"base_sha256": "2" * 64},
        {"rank": 4},
        {"alpha": 8},
        {"target_modules": ("q_proj",)},
        {"activation": "all"},
    ],
)
def test_an_adapter_that_is_otherwise_made_is_refused(files, one, its_file, changes):
    (name,) = changes
    with pytest.raises(BadInput, match=f"adapter set 'whole' has {name} "):
        with_lead_of_another(make_set(files), files, replace(one, **changes), its_file)


# #15
def test_the_order_in_which_linears_are_named_is_nothing(files, one, its_file):
    made, _ = with_lead_of_another(make_set(files), files, replace(one, target_modules=("up_proj", "q_proj")), its_file)
    assert made.target_modules == ("q_proj", "up_proj")


# #15
def test_of_several_adapters_none_is_meant(files):
    other = make_set(files, name="other")
    with pytest.raises(BadInput, match="adapter set 'other' has 3 adapters; only one of a single adapter can lead"):
        with_lead_of_another(make_set(files), files, other, files["a1"])
