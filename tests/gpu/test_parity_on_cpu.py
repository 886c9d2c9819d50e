"""The comparison that the GPU is judged by, where it can be run everywhere: a wrong one would prove nothing."""

import pytest

from tests.gpu import parity


@pytest.fixture
def folders(tiny_base, tiny_peft_adapters):
    return list(tiny_peft_adapters.values())[:3]


def test_in_fp32_peft_would_have_chosen_the_same_tokens(folders):
    found = parity.compare(folders, quantization="fp32", device="cpu")
    assert found.to_likeliest == 0.0 and found.of_logprobs < 1e-3
    assert len(set(found.rows)) == 3


def test_rounding_is_told_from_another_adapter(folders, monkeypatch):
    real = parity._our_rows
    monkeypatch.setattr(parity, "_our_rows", lambda base, adapters, prompt: real(base, adapters[::-1], prompt))
    found = parity.compare(folders, quantization="fp32", device="cpu")
    assert found.to_likeliest > 3.0 and found.of_logprobs > 3.0
