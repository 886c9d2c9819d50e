"""The four precisions, and what is said of a base or precision that cannot be had."""

import pytest
import torch

from spa_lsp.completion import CompletionRequest
from spa_lsp.errors import Damaged, NotFound
from spa_lsp.lm.completer import LocalCompleter
from spa_lsp.lm.load import load_base, pick_quantization
from tests.conftest import TINY_ID
from tests.lm.test_completer import adapter_set, files  # noqa: F401  (fixtures)


@pytest.mark.parametrize("quantization", ["fp32", "bf16", "nf4", "int8"])
def test_a_set_is_served_in_every_precision(adapter_set, quantization):  # noqa: F811
    completer = LocalCompleter.load(TINY_ID, adapter_set=adapter_set, quantization=quantization)
    result = completer.complete(CompletionRequest(prefix="def f(x):\n    ", max_tokens=3, stop="none"))
    assert result.quantization == quantization
    assert len(result.alternatives) == 8
    assert all(alternative.finish in ("length", "stop") for alternative in result.alternatives)


def test_auto_on_a_cpu_is_what_the_processor_computes_in():
    expected = "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "fp32"
    assert pick_quantization("cpu") == expected
    assert pick_quantization("cuda") == "nf4"


def test_weights_that_cannot_be_read_are_named_with_the_way_out(tiny_copy):
    weights = tiny_copy / "model.safetensors"
    weights.write_bytes(b"\xff" * weights.stat().st_size)
    with pytest.raises(Damaged, match="--force"):
        load_base(TINY_ID, quantization="fp32")


def test_an_unknown_precision_is_a_wrong_argument(tiny_base):
    with pytest.raises(ValueError, match="choose auto"):
        load_base(TINY_ID, quantization="fp12")


def test_a_base_that_was_never_pulled_names_the_command():
    with pytest.raises(NotFound, match="models pull"):
        load_base("qwen2.5-coder-0.5b-instruct")


def test_special_tokens_are_single_ids(tiny_base):
    base = load_base(TINY_ID, quantization="fp32")
    assert len({base.prompt.fim_prefix, base.prompt.fim_suffix, base.prompt.fim_middle, base.end_id}) == 4
    assert base.end_id in base.stop_ids
    assert base.decode([base.end_id]) == ""
