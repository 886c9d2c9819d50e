"""Going on from a set: which adapter begins which part, what is the set's and what is refused."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save

from spa_lsp.errors import AdapterMismatch, BadInput
from tests.tiny_set import make_adapters, make_set
from tests.trainer.train.test_loss import random_bank
from trainer.configs import ALL_LINEARS, FinetuneConfig
from trainer.train.group_work import Start, begin_with, new_bank
from trainer.train.starting import lead_row, part_names, starts_of_parts, taken_over

OF_SET = make_set()  # rank 2, alpha 4, two linears


def test_rank_alpha_and_linears_are_the_sets():
    found = taken_over(FinetuneConfig(steps=7), OF_SET)
    assert (found.rank, found.alpha, found.target_modules, found.steps) == (2, 4, ("q_proj", "up_proj"), 7)


@pytest.mark.parametrize(("asked", "words"), [({"rank": 16}, "rank 2, not 16"), ({"activation": "all"}, "not all")])
def test_what_the_set_has_not_is_refused(asked, words):
    with pytest.raises(BadInput, match=words):
        taken_over(FinetuneConfig(**asked), OF_SET)


def test_an_alpha_between_whole_numbers_is_refused():
    with pytest.raises(BadInput, match="alpha 4.5"):
        taken_over(FinetuneConfig(), replace(OF_SET, alpha=4.5))


def test_a_part_begins_as_the_adapter_of_its_name_and_others_in_order():
    assert starts_of_parts(OF_SET, ["a3", "new", "a1"]) == ["a3", "a2", "a1"]


def test_another_number_of_parts_is_refused_with_the_way_out():
    with pytest.raises(BadInput, match="has 3 adapters and there are 2 parts; pass --k 3"):
        starts_of_parts(OF_SET, ["a1", "a2"])


def with_row(name, *, parts=None, lead=None, **described):
    """A set of `a1`, `a2` and one more adapter; `parts` are those that it says it was made of."""
    made = make_set(dict(zip(["a1", "a2", name], make_adapters().values(), strict=True)), lead=lead or name)
    row = replace(made.adapters[2], **described)
    figures = {} if parts is None else {"partition": {"sizes": dict.fromkeys(parts, 3)}}
    return replace(made, adapters=(*made.adapters[:2], row), figures=figures)


# #14
@pytest.mark.parametrize(
    "start",
    [
        with_row("lead", label="the base"),
        with_row("lead", figures={"n_adapters": 2, "share": 0.7}),
        with_row("lead", figures={"set": "whole"}),
        with_row("lead", parts=["a1", "a2", "a7"]),
        with_row("mine", parts=["a1", "a2"]),
    ],
)
def test_a_row_that_was_made_to_lead_begins_no_part(start):
    assert lead_row(start) == start.lead
    assert starts_of_parts(start, ["a2", "new"]) == ["a2", "a1"]


# #14
@pytest.mark.parametrize(
    "start",
    [
        OF_SET,
        replace(OF_SET, lead="a2"),
        with_row("lead"),
        with_row("lead", parts=["a1", "a2", "lead"], label="the base"),
        with_row("lead", lead="a1", label="the base"),
        with_row("lead", parts=["others"]),
    ],
)
def test_an_adapter_that_leads_and_has_learned_a_part_begins_one(start):
    assert lead_row(start) is None and len(part_names(start)) == 3


def set_of(bank, folder):
    """The adapters of a bank as a set in a folder, and its folder's files."""
    files = {f"a{k + 1}": save(bank.export(k)) for k in range(bank.n_adapters)}
    for name, data in files.items():
        (folder / f"{name}.safetensors").write_bytes(data)
    return make_set(files, rank=3, alpha=6, target_modules=ALL_LINEARS, folder=folder)


def test_adapters_begin_as_those_of_the_set(base, tmp_path, small):
    given = random_bank(base, n_adapters=2)
    made, expected = set_of(given, tmp_path), [given.export(k) for k in (1, 0)]
    bank = new_bank(base, small, n_adapters=2, seed=0)
    begin_with(bank, Start(adapter_set=made, names=["a2", "a1"]), small)
    torch.testing.assert_close([bank.export(k) for k in range(2)], expected, atol=0, rtol=0)


def test_a_set_of_other_shapes_is_refused(base, tmp_path, small):
    adapters = make_adapters(k=1)
    (tmp_path / "a1.safetensors").write_bytes(adapters["a1"])
    made = make_set(adapters, folder=tmp_path)
    bank = new_bank(base, replace(small, target_modules=made.target_modules, rank=2), n_adapters=1, seed=0)
    with pytest.raises(AdapterMismatch, match="has shape"):
        begin_with(bank, Start(adapter_set=made, names=["a1"]), small)


def test_adapters_without_a_common_core_are_refused_one(base, tmp_path, small):
    made = set_of(random_bank(base, n_adapters=2), tmp_path)
    bank = new_bank(base, small, n_adapters=2, seed=0)
    with pytest.raises(BadInput, match="share no core of rank 1"):
        begin_with(bank, Start(adapter_set=made, names=["a1", "a2"]), replace(small, shared_rank=1))


def test_a_core_without_specialists_is_refused(base, small):
    with pytest.raises(BadInput, match="--shared-rank 3 leaves nothing of rank 3"):
        new_bank(base, replace(small, shared_rank=3), n_adapters=2, seed=0)


def test_the_core_stays_one_and_the_rest_becomes_each_adapters_own(base, items, small):
    from trainer.train.training import plan_steps, train

    config = replace(small, shared_rank=1)
    bank = new_bank(base, config, n_adapters=2, seed=0)
    train(base, bank, plan_steps([items[:3], items[3:]], n_steps=3, accumulate=1, seed=0), config)
    for A, B in zip(bank.parameters()[::2], bank.parameters()[1::2], strict=True):
        assert torch.equal(A[0, :, :1], A[1, :, :1]) and torch.equal(B[0, :1], B[1, :1])
        assert not torch.equal(A[0, :, 1:], A[1, :, 1:]) and not torch.equal(B[0, 1:], B[1, 1:])
