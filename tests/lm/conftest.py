"""The tiny base loaded once, its adapters in PEFT and as tensors, and the oracle: PEFT, one adapter at a time."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import TINY_ID

PROMPT = "def add(a, b):\n    return a + "
N_TOKENS = 16


@pytest.fixture
def base(tiny_base):
    """The tiny base in fp32 that never stops by itself, so that all rows are compared to their full length."""
    from spa_lsp.lm.load import load_base

    return replace(load_base(TINY_ID, quantization="fp32", device="cpu"), stop_ids=frozenset())


@pytest.fixture
def adapters(tiny_peft_adapters):
    """Tensors of the eight adapters, in PEFT's names."""
    return [load_file(folder / "adapter_model.safetensors") for folder in tiny_peft_adapters.values()]


@pytest.fixture
def prompt(base):
    return base.prompt.encode(PROMPT)


@pytest.fixture
def oracle(tiny_base, tiny_peft_adapters):
    """`oracle(n, ids, activation)`: greedy tokens of adapter n under PEFT, base prompt for `completion`."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, DynamicCache

    folders = list(tiny_peft_adapters.values())

    def greedy(n, ids, activation, folder=None):
        model = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32), folder or folders[n]
        ).eval()
        tokens = []
        with torch.inference_mode():
            cache = DynamicCache()
            if activation == "completion":
                with model.disable_adapter():
                    model(input_ids=torch.tensor([ids[:-1]]), past_key_values=cache, use_cache=True)
                step = torch.tensor([ids[-1:]])
            else:
                step = torch.tensor([ids])
            for _ in range(N_TOKENS):
                logits = model(input_ids=step, past_key_values=cache, use_cache=True).logits[:, -1]
                tokens.append(int(logits.argmax()))
                step = torch.tensor([[tokens[-1]]])
        return tokens

    return greedy
