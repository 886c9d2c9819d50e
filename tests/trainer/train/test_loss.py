"""Losses of batches against the same items one at a time, as served and as PEFT computes them."""

import pytest
import torch
from safetensors.torch import save_file

from spa_lsp.lm.bank import AdapterBank, adapted_linears
from trainer.configs import ALL_LINEARS
from trainer.train.loss import adapter_losses, base_losses, item_losses


def random_bank(base, *, n_adapters, seeds=None):
    """Fresh adapters whose B is not zero, so that they change something."""
    bank = AdapterBank(base.model)
    names = adapted_linears(base.model, ALL_LINEARS)
    bank.create(names, n_adapters=n_adapters, rank=3, scaling=2.0, seeds=seeds or list(range(n_adapters)))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for linear in bank.linears.values():
            linear.B.copy_(torch.randn(linear.B.shape, generator=generator) * 0.1)
    return bank


@pytest.mark.parametrize("activation", ["completion", "all"])
def test_a_batch_gives_each_item_the_loss_it_has_alone(base, items, activation):
    bank = random_bank(base, n_adapters=6)
    together = item_losses(base, bank, items, activation)
    alone = [adapter_losses(base, bank, item, activation)[row] for row, item in enumerate(items)]
    torch.testing.assert_close(together.detach(), torch.stack(alone), atol=1e-5, rtol=1e-4)


def test_the_activations_differ(base, items):
    bank = random_bank(base, n_adapters=6)
    differ = item_losses(base, bank, items, "completion") - item_losses(base, bank, items, "all")
    assert differ.abs().min() > 1e-4


def test_fresh_adapters_have_the_loss_of_the_base(base, items):
    bank = AdapterBank(base.model)
    bank.create(adapted_linears(base.model, ALL_LINEARS), n_adapters=6, rank=3, scaling=2.0, seeds=list(range(6)))
    losses = item_losses(base, bank, items, "completion").detach()
    torch.testing.assert_close(losses, base_losses(base, items), atol=1e-5, rtol=1e-4)


def test_an_exported_adapter_has_the_same_loss_under_peft(base, items, tiny_base, tmp_path):
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    bank = random_bank(base, n_adapters=2)
    ours = item_losses(base, bank, [items[3]] * 2, "all")[1].item()
    plain = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    config = LoraConfig(r=3, lora_alpha=6, target_modules=list(ALL_LINEARS), task_type="CAUSAL_LM")
    get_peft_model(plain, config).save_pretrained(str(tmp_path))
    save_file(bank.export(1, torch.float32), tmp_path / "adapter_model.safetensors")
    fresh = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    model = PeftModel.from_pretrained(fresh, tmp_path).eval()
    prompt, completion = list(items[3].prompt), list(items[3].completion)
    labels = torch.tensor([[-100] * len(prompt) + completion])
    theirs = model(input_ids=torch.tensor([prompt + completion]), labels=labels).loss.item()
    assert ours == pytest.approx(theirs, abs=1e-4)
