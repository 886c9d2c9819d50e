"""All adapters in one pass come out as if each had been trained alone; a broken run ends like an unbroken one."""

from dataclasses import replace

import pytest
import torch

from spa_lsp.errors import BadInput, Damaged, NoSpace
from spa_lsp.lm.bank import AdapterBank, adapted_linears
from trainer.configs import ALL_LINEARS
from trainer.train.checkpoint import save_tensors
from trainer.train.training import plan_steps, schedule, train


def new_bank(base, seeds):
    bank = AdapterBank(base.model)
    bank.create(adapted_linears(base.model, ALL_LINEARS), n_adapters=len(seeds), rank=3, scaling=2.0, seeds=list(seeds))
    return bank


def test_three_adapters_at_once_equal_three_trained_alone(base, items, small):
    plan = plan_steps([items[:2], items[2:4], items[4:]], n_steps=4, accumulate=2, seed=0)
    together = new_bank(base, [10, 11, 12])
    train(base, together, plan, small)
    exported = [together.export(index, torch.float32) for index in range(3)]
    for index in range(3):
        alone = new_bank(base, [10 + index])
        train(base, alone, [[[micro[index]] for micro in step] for step in plan], small)
        # batches of other sizes sum in another order, and AdamW divides by gradients near zero: 2 % of one step
        torch.testing.assert_close(alone.export(0, torch.float32), exported[index], atol=2e-4, rtol=1e-3)


def test_training_lowers_the_loss(base, items, small):
    plan = plan_steps([items[:1]], n_steps=12, accumulate=1, seed=0)
    done = train(base, new_bank(base, [0]), plan, replace(small, learning_rate=3e-2))
    assert done[-1].losses[0] < 0.7 * done[0].losses[0]


class Broken(Exception):
    pass


@pytest.mark.resume
def test_a_run_broken_after_a_checkpoint_ends_bit_for_bit_like_an_unbroken_one(base, items, small, tmp_path):
    plan = plan_steps([items[:3], items[3:]], n_steps=4, accumulate=2, seed=0)
    whole = new_bank(base, [1, 2])
    losses = train(base, whole, plan, small)
    expected = [whole.export(index, torch.float32) for index in range(2)]

    def break_off(progress):
        if progress.step == 2:
            raise Broken

    with pytest.raises(Broken):
        train(base, new_bank(base, [1, 2]), plan, small, checkpoint=tmp_path / "c.safetensors", on_step=break_off)
    resumed = new_bank(base, [1, 2])
    assert train(base, resumed, plan, small, checkpoint=tmp_path / "c.safetensors") == losses
    for index in range(2):
        torch.testing.assert_close(resumed.export(index, torch.float32), expected[index], atol=0, rtol=0)


@pytest.mark.resume
def test_a_damaged_checkpoint_is_named_with_the_way_out(base, items, small, tmp_path):
    path = tmp_path / "c.safetensors"
    path.write_bytes(b"\x00" * 20)
    plan = plan_steps([items], n_steps=1, accumulate=1, seed=0)
    with pytest.raises(Damaged, match="delete it"):
        train(base, new_bank(base, [0]), plan, small, checkpoint=path)


@pytest.mark.resume
def test_a_checkpoint_from_another_precision_is_not_gone_on_with(base, items, small, tmp_path):
    plan = plan_steps([items[:1]], n_steps=2, accumulate=1, seed=0)
    train(base, new_bank(base, [0]), plan, small, checkpoint=tmp_path / "c.safetensors")
    elsewhere = replace(base, quantization="nf4", device="cuda")
    with pytest.raises(BadInput, match="begun in fp32 on cpu, this is nf4 on cuda"):
        train(elsewhere, new_bank(base, [0]), plan, small, checkpoint=tmp_path / "c.safetensors")


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    save_tensors(path, {"x": torch.ones(2)}, {"losses": "[]"})
    before = path.read_bytes()

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(NoSpace, match="make room"):
        save_tensors(path, {"x": torch.zeros(2)}, {"losses": "[]"})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_of_other_adapters_is_refused(base, items, small, tmp_path):
    save_tensors(tmp_path / "c.safetensors", {"weight.other.A": torch.ones(2)}, {"losses": "[]"})
    plan = plan_steps([items], n_steps=1, accumulate=1, seed=0)
    with pytest.raises(Damaged, match="delete it"):
        train(base, new_bank(base, [0]), plan, small, checkpoint=tmp_path / "c.safetensors")


def test_training_that_diverges_stops_and_says_so(base, items, small):
    plan = plan_steps([items], n_steps=3, accumulate=1, seed=0)
    with pytest.raises(BadInput, match="--learning-rate"):
        train(base, new_bank(base, [0]), plan, replace(small, learning_rate=1e30))


def test_every_adapter_gets_its_own_items_and_all_of_them(items):
    plan = plan_steps([items[:2], items[2:]], n_steps=4, accumulate=2, seed=0)
    seen = [[micro[k].item_id for step in plan for micro in step] for k in range(2)]
    assert sorted(seen[0]) == ["i0"] * 4 + ["i1"] * 4
    assert sorted(seen[1]) == sorted(["i2", "i3", "i4", "i5"] * 2)


def test_items_of_a_micro_step_are_of_like_length(items):
    plan = plan_steps([items[::2] * 4, items[1::2] * 4], n_steps=6, accumulate=2, seed=0)
    gaps = [abs(micro[0].n_tokens - micro[1].n_tokens) for step in plan for micro in step]
    assert max(gaps) <= 4


def test_the_learning_rate_rises_then_falls_to_a_tenth():
    factors = [schedule(step, 20, 4) for step in range(21)]
    assert factors[0] == pytest.approx(0.2)
    assert factors[4] == pytest.approx(1.0)
    assert factors[20] == pytest.approx(0.1)
