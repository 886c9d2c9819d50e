"""int8 on a CPU says what fp32 says, on five files of the standard library; with --quick on two."""

import argparse
import heapq
import shutil
import statistics
import textwrap
from pathlib import Path

import pytest
import torch

from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.forward import forward
from spa_lsp.lm.load import load_base

pytestmark = [pytest.mark.model, pytest.mark.slow]

MODULES = (heapq, textwrap, statistics, argparse, shutil)
MAX_KL, MIN_AGREEMENT = 0.005, 0.97


def logprobs(base, module):
    """Of 512 tokens of the module's source, behind its first 200, in chunks as a prompt is computed."""
    ids = base.prompt.encode(Path(module.__file__).read_text())[200:712]
    with torch.inference_mode():
        key_values = KeyValues(base.n_layers)
        hidden = [forward(base, torch.tensor([ids[start : start + 256]]), key_values) for start in (0, 256)]
        return torch.log_softmax(base.model.lm_head(torch.cat(hidden, 1))[0].float(), -1)


def test_int8_is_as_good_as_fp32(request, found):
    modules = MODULES[:2] if request.config.getoption("--quick") else MODULES
    base = load_base(DEFAULT_BASE, quantization="fp32", device="cpu")
    expected = [logprobs(base, module) for module in modules]
    del base
    base = load_base(DEFAULT_BASE, quantization="int8", device="cpu")
    figures = [compare(one, logprobs(base, module)) for one, module in zip(expected, modules, strict=True)]
    divergence, agreement = torch.tensor(figures).mean(0).tolist()
    found(f"int8 ({base.kernel}): KL to fp32 {divergence:.5f} nats a token, agreement {agreement:.4f}")
    assert divergence <= MAX_KL
    assert agreement >= MIN_AGREEMENT


def compare(expected, found):
    divergence = (expected.exp() * (expected - found)).sum(-1).mean()
    return float(divergence), float((expected.argmax(-1) == found.argmax(-1)).float().mean())
