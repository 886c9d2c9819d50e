"""Static steps, without a graph, beside the eager ones: the same rows, whatever they are asked for."""

from dataclasses import replace

import pytest
import torch

from spa_lsp.completion import CompletionRequest
from spa_lsp.lm import sampling, static_decode
from spa_lsp.lm.completer import LocalCompleter
from spa_lsp.lm.load import load_base
from tests.conftest import TINY_ID
from tests.lm.test_completer import adapter_set, files, make_set  # noqa: F401  (fixtures)

REQUEST = CompletionRequest(
    prefix="def add(a, b):\n", suffix="\n    return a\n", max_tokens=16, stop="none", temperature=0.0
)


@pytest.fixture(autouse=True)
def small_buffers(monkeypatch):
    monkeypatch.setattr(static_decode, "PREFIX_TOKENS", 128)
    monkeypatch.setattr(static_decode, "OWN_TOKENS", 32)


@pytest.fixture
def both(adapter_set):  # noqa: F811
    """The alternatives of a request by eager and by static steps, and how many static steps were made."""
    eager, static = (
        LocalCompleter(load_base(TINY_ID, quantization="fp32", device="cpu"), adapter_set, is_static=is_static)
        for is_static in (False, True)
    )

    def complete(**changes):
        request = replace(REQUEST, **changes)
        return [each.complete(request).alternatives for each in (eager, static)]

    return complete


@pytest.fixture
def n_steps(monkeypatch):
    """The static steps made so far, one entry each time they are run."""
    made = []
    run = static_decode.StaticStep.run
    monkeypatch.setattr(static_decode.StaticStep, "run", lambda self, n: (made.append(n), run(self, n)))
    return made


def assert_same(eager, static):
    assert [(a.text, a.finish, a.adapter) for a in static] == [(a.text, a.finish, a.adapter) for a in eager]
    logprobs = [torch.tensor([a.mean_logprob for a in each]) for each in (eager, static)]
    torch.testing.assert_close(*logprobs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use_base": True, "k": 3},
        {"k": 1},
        {"adapters": ("a3", "a0", "a3")},
        {"lead_first": True},
        {"temperature": 0.8},
        {"temperature": 1.5, "top_p": 0.3, "seed": 7},
        {"lead_first": True, "temperature": 0.8},
        {"lead_first": True, "prefix": "def add(a, b):\n    retu"},
        {"stop": "single"},
        {"prefix": "def add(a, b):\n    retu"},
        {"begun": "    retu", "temperature": 0.8},
        {"prefix": "", "suffix": ""},
    ],
    ids=str,
)
def test_static_steps_write_what_eager_ones_write(both, n_steps, changes):
    if "adapters" in changes:
        names = [a.adapter for a in both(k=8)[0]]
        changes = {"adapters": (names[3], names[0], names[3])}
    assert_same(*both(**changes))
    assert n_steps


def test_rows_longer_than_the_room_are_ended_by_eager_steps(both, n_steps, monkeypatch):
    monkeypatch.setattr(static_decode, "OWN_TOKENS", 10)
    assert_same(*both(temperature=0.8))
    assert n_steps == [8, 2]


def test_a_row_that_few_tokens_do_not_serve_goes_on_eagerly(both, n_steps, monkeypatch):
    monkeypatch.setattr(sampling, "FEW_TOKENS", 4)
    assert_same(*both(temperature=2.0, top_p=1.0))
    assert len(n_steps) == 1


def test_a_prompt_too_long_for_the_buffers_is_decoded_eagerly(both, n_steps, monkeypatch):
    monkeypatch.setattr(static_decode, "PREFIX_TOKENS", 4)
    assert_same(*both())
    assert not n_steps


def test_a_request_behind_another_sees_nothing_of_it(both):
    both(prefix="x = [1, 2, 3]\n" * 4, temperature=0.8)
    assert_same(*both())


# #15
def test_where_no_step_can_be_captured_eager_ones_are_made_from_now_on(both, monkeypatch, caplog):
    def refuse(self, *arguments):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(static_decode.StaticStep, "__init__", refuse)
    assert_same(*both(lead_first=True))
    assert_same(*both())
    assert caplog.text.count("no step can be captured") == 1


# #15
@pytest.mark.parametrize(("quantization", "does_pay"), [("nf4", True), ("bf16", True), ("int8", False)])
def test_steps_are_captured_on_cuda_but_for_int8_which_looks_at_numbers_on_the_host(tiny_base, quantization, does_pay):
    base = load_base(TINY_ID, quantization="fp32", device="cpu")
    assert static_decode.pays(replace(base, device="cuda", quantization=quantization)) == does_pay
    assert not static_decode.pays(base)


# #15
def test_what_a_broken_row_leaves_in_the_buffers_breaks_no_later_request(both, monkeypatch):
    append = static_decode.StaticKeyValues.append

    def broken(self, layer, key, value):
        value[2] = torch.nan
        return append(self, layer, key, value)

    with monkeypatch.context() as patch:
        patch.setattr(static_decode.StaticKeyValues, "append", broken)
        assert both()[1][2].finish == "disabled"
    assert_same(*both())


def test_another_set_is_not_served_with_the_adapters_of_the_one_before(adapter_set, files, tmp_path):  # noqa: F811
    names = list(files)
    other = make_set({"only": files[names[5]]}, tmp_path / "other")
    base = load_base(TINY_ID, quantization="fp32", device="cpu")
    completer = LocalCompleter(base, adapter_set, is_static=True)
    fifth = completer.complete(REQUEST).alternatives[5].text
    completer.swap_set(other)
    assert completer.complete(REQUEST).alternatives[0].text == fifth


def test_what_is_cancelled_comes_back_unfinished(adapter_set, n_steps):  # noqa: F811
    completer = LocalCompleter(load_base(TINY_ID, quantization="fp32", device="cpu"), adapter_set, is_static=True)
    result = completer.complete(REQUEST, is_cancelled=lambda: bool(n_steps))
    assert result.is_cancelled and len(result.alternatives) < 8 and n_steps == [8]


def test_a_row_whose_numbers_are_broken_is_disabled_alone(adapter_set, monkeypatch):  # noqa: F811
    completer = LocalCompleter(load_base(TINY_ID, quantization="fp32", device="cpu"), adapter_set, is_static=True)
    logits = type(completer.base).logits

    def broken(self, hidden):
        made = logits(self, hidden).clone()
        made[2, 5] = torch.nan
        return made

    whole = [a.finish for a in completer.complete(REQUEST).alternatives]
    monkeypatch.setattr(type(completer.base), "logits", broken)
    finishes = [a.finish for a in completer.complete(REQUEST).alternatives]
    assert finishes == [*whole[:2], "disabled", *whole[3:]]
