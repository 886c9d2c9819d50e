"""The four precisions, and what is said of a base or precision that cannot be had."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from spa_lsp.completion import CompletionRequest
from spa_lsp.errors import Damaged, NotFound
from spa_lsp.lm import backends, load
from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.backends import has_bf16
from spa_lsp.lm.completer import LocalCompleter
from spa_lsp.lm.forward import forward
from spa_lsp.lm.kernel import NoKernel, find_kernel
from spa_lsp.lm.load import load_base, pick_quantization
from tests.conftest import TINY_ID
from tests.lm.test_completer import adapter_set, files  # noqa: F401  (fixtures)

# bitsandbytes packs nf4 anew for such processors, in blocks of 64 that the tiny base's rows do not fill
NOT_PACKED = pytest.mark.skipif(has_bf16(), reason="bitsandbytes cannot pack rows of 32 for this processor")


@pytest.mark.parametrize("quantization", ["fp32", "bf16", pytest.param("nf4", marks=NOT_PACKED), "int8"])
def test_a_set_is_served_in_every_precision(adapter_set, quantization):  # noqa: F811
    completer = LocalCompleter.load(TINY_ID, adapter_set=adapter_set, quantization=quantization)
    result = completer.complete(CompletionRequest(prefix="def f(x):\n    ", max_tokens=3, stop="none"))
    assert result.quantization == quantization
    assert len(result.alternatives) == 8
    assert all(alternative.finish in ("length", "stop") for alternative in result.alternatives)


def test_auto_is_what_was_measured_on_a_cpu_and_nf4_on_cuda(monkeypatch):
    monkeypatch.setattr(load, "fastest_on_cpu", lambda: "int8")
    assert pick_quantization("cpu") == "int8"
    assert pick_quantization("cuda") == "nf4"


def test_training_takes_floats_on_a_cpu(tiny_base):
    base = load_base(TINY_ID, device="cpu", is_training=True)
    assert base.quantization == ("bf16" if has_bf16() else "fp32")
    assert type(base.model.lm_head) is nn.Linear


# #12
def test_without_bf16_the_fastest_is_int8_and_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(backends, "has_bf16", lambda: False)
    monkeypatch.setattr(backends, "_backend_ms", lambda backend: pytest.fail(f"{backend.name} was measured"))
    assert backends.fastest_on_cpu.__wrapped__() == "int8"


# #12
@pytest.mark.parametrize("expected", [["torch", "float32"], ["torch", "float32", "plain"]])
def test_no_backend_is_measured_twice(monkeypatch, expected):
    def find_kernel():
        if "plain" not in expected:
            raise NoKernel("there is no C++ compiler (c++)")
        return SimpleNamespace(path="plain", linear=None)

    measured = []
    monkeypatch.setattr(backends, "find_kernel", find_kernel)
    monkeypatch.setattr(backends, "find_backend", cache(backends.find_backend.__wrapped__))
    monkeypatch.setattr(backends, "has_bf16", lambda: True)
    monkeypatch.setattr(backends, "request_ms", lambda _: 1.0)
    monkeypatch.setattr(backends, "_backend_ms", lambda backend: measured.append(backend.name) or 1.0)
    backends.fastest_on_cpu.__wrapped__()
    assert measured == expected


@pytest.mark.parametrize(("bf16_ms", "expected"), [(0.9, "bf16"), (1.1, "int8")])
def test_bf16_is_taken_where_it_is_measured_to_be_far_faster(monkeypatch, bf16_ms, expected):
    monkeypatch.setattr(backends, "has_bf16", lambda: True)
    monkeypatch.setattr(backends, "find_backend", lambda: replace(backends.FLOAT32, request_ms=3.0))
    monkeypatch.setattr(backends, "request_ms", lambda _: bf16_ms)
    assert backends.fastest_on_cpu.__wrapped__() == expected


def test_a_torch_without_the_private_operation_has_no_bf16(monkeypatch):
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert not backends.has_bf16()


@pytest.mark.parametrize(("slow", "expected"), [("torch", "float32"), ("float32", "torch")])
def test_without_a_kernel_the_faster_other_backend_is_taken_and_that_is_said(monkeypatch, caplog, slow, expected):
    def find_kernel():
        raise NoKernel("there is no C++ compiler (c++)")

    monkeypatch.setattr(backends, "find_kernel", find_kernel)
    monkeypatch.setattr(backends, "_backend_ms", lambda backend: 9.0 if backend.name == slow else 1.0)
    assert backends.find_backend.__wrapped__().name == expected
    assert "there is no C++ compiler (c++); install a C++ compiler" in caplog.text


def test_a_kernel_that_is_slower_than_torch_is_not_taken(monkeypatch):
    monkeypatch.setattr(backends, "_backend_ms", lambda backend: {"torch": 1.0, "float32": 2.0}.get(backend.name, 5.0))
    monkeypatch.setattr(backends, "find_kernel", lambda: SimpleNamespace(path="plain", linear=None))
    assert backends.find_backend.__wrapped__().name == "torch"


def test_a_torch_without_the_operator_leaves_float32(monkeypatch):
    def make(*_):
        raise AttributeError("linear_prepack")

    assert backends._backend_ms(backends.Backend(name="torch", make=make)) == math.inf


def test_int8_says_what_float32_says_within_its_steps(tiny_base):
    expected, found = (logits(load_base(TINY_ID, quantization=name, device="cpu")) for name in ("fp32", "int8"))
    assert (found - expected).pow(2).mean().sqrt() < 0.1 * expected.std()  # these weights are 25 times the usual ones


@pytest.mark.parametrize(("backend", "tolerance"), [(backends.FLOAT32, 0.02), (backends.TORCH, 2.0)])
def test_every_backend_says_what_the_kernel_says(tiny_base, monkeypatch, backend, tolerance):
    try:
        find_kernel()
    except NoKernel as error:
        pytest.skip(str(error))
    found = logits(load_base(TINY_ID, quantization="int8", device="cpu"))
    monkeypatch.setattr(load, "find_backend", lambda: backend)
    expected = logits(load_base(TINY_ID, quantization="int8", device="cpu"))
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)  # torch's weights are rounded twice


def logits(base):
    with torch.inference_mode():
        return base.logits(forward(base, torch.tensor([[7, 8, 9, 10, 11, 12]]), KeyValues(base.n_layers)))


def test_int8_weights_are_mapped_and_not_copied(tiny_base):
    base = load_base(TINY_ID, quantization="int8", device="cpu")
    maps = Path("/proc/self/maps").read_text()
    assert "int8.safetensors" in maps
    assert all(not parameter.is_meta for parameter in base.model.parameters())
    assert all(not buffer.is_meta for buffer in base.model.buffers())


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
