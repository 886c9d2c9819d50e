"""Our forward pass of Qwen2 against transformers' over the same int8 weights: every bit, and none of its imports."""

import itertools
import json
import os
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch

from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.lm import int8_model
from spa_lsp.lm.attention import Interrupted, KeyValues
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.forward import forward
from spa_lsp.lm.load import load_base
from spa_lsp.lm.qwen2 import Qwen2, read_config
from tests.conftest import TINY_ID

TOKENS = torch.randint(0, 200, (1, 60), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def both(tiny_base, monkeypatch):
    """The tiny base in int8, with our modules and with those of transformers."""
    return load_both(monkeypatch, TINY_ID)


def load_both(monkeypatch, base_id):
    ours = load_base(base_id, quantization="int8", device="cpu")
    monkeypatch.setattr(int8_model, "read_config", lambda folder: None)
    theirs = load_base(base_id, quantization="int8", device="cpu")
    assert isinstance(ours.model, Qwen2) and not isinstance(theirs.model, Qwen2)
    return ours, theirs


def states(base, *, rows=1, bank=None):
    """Hidden states of a prompt in two chunks, then of `rows` rows behind it."""
    with torch.inference_mode():
        prompt = KeyValues(base.n_layers)
        read = [forward(base, chunk, prompt) for chunk in TOKENS.split((40, 20), 1)]
        own = KeyValues(base.n_layers, prefix=prompt)
        ids = torch.arange(2 * rows).view(rows, 2)
        with bank.on() if bank else nullcontext():
            return [*read, forward(base, ids, own), own.own(0)[0]]


def test_prompt_and_rows_are_those_of_transformers(both):
    ours, theirs = (states(base, rows=3) for base in both)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_adapters_act_where_they_act_on_transformers_modules(both, adapters):
    found = []
    for base in both:
        bank = AdapterBank(base.model)
        bank.load(adapters, [2.0] * len(adapters))
        found.append(states(base, rows=len(adapters), bank=bank))
    torch.testing.assert_close(*found, rtol=0, atol=0)
    assert not torch.equal(found[0][2], states(both[0], rows=len(adapters))[2])


@pytest.mark.model
def test_the_default_base_says_what_transformers_makes_it_say(monkeypatch):
    ours, theirs = (states(base) for base in load_both(monkeypatch, DEFAULT_BASE))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "llama"},
        {"hidden_act": "gelu"},
        {"use_sliding_window": True},
        {"layer_types": ["full_attention", "sliding_attention"]},
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0}},
        {"rope_parameters": None},
        {"layer_types": None},
        {"num_key_value_heads": None},
        {"head_dim": 16},
    ],
)
def test_what_is_not_of_this_kind_is_left_to_transformers(tiny_copy, changes):
    assert read_config(tiny_copy) is not None
    path = tiny_copy / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert read_config(tiny_copy) is None


def test_a_prompt_is_broken_off_between_two_layers_and_does_not_count(tiny_base):
    base, asked = load_base(TINY_ID, quantization="int8", device="cpu"), itertools.count()
    key_values = KeyValues(base.n_layers)
    key_values.is_cancelled = lambda: next(asked) > 0
    with pytest.raises(Interrupted), torch.inference_mode():
        forward(base, TOKENS, key_values)
    assert (next(asked), key_values.length) == (2, 0)


def test_an_engine_on_a_cpu_starts_without_transformers(tiny_base):
    """Its import takes longer than loading the base."""
    program = f"""
import sys
import spa_lsp.engine.__main__
from spa_lsp.completion import CompletionRequest
from spa_lsp.lm.completer import LocalCompleter
completer = LocalCompleter.load({TINY_ID!r}, adapter_set="", quantization="int8")
assert completer.complete(CompletionRequest(prefix="def f(x):", max_tokens=3)).alternatives
heavy = {{"transformers", "torch._dynamo", "sympy", "peft"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""})
