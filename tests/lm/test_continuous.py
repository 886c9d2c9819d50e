"""Many requests at once on the tiny base: who begins when, and that nobody's text depends on it."""

from dataclasses import replace

import pytest
import torch

from spa_lsp.completion import CompletionRequest
from spa_lsp.lm import completer as completer_module
from spa_lsp.lm import continuous
from spa_lsp.lm.bank import Lanes
from spa_lsp.lm.completer import LocalCompleter
from spa_lsp.lm.continuous import decode_many
from tests.conftest import TINY_ID
from tests.tiny_serving import install_set

LENGTHS = (2, 9, 3, 2, 5, 4, 2)
REQUESTS = [
    CompletionRequest(prefix=f"def f{n}(a):\n", suffix="\n", max_tokens=length, stop="none")
    for n, length in enumerate(LENGTHS)
]


@pytest.fixture
def completer(tiny_base, tiny_peft_adapters):
    served = install_set("tiny", list(tiny_peft_adapters.values()))
    completer = LocalCompleter.load(TINY_ID, adapter_set=served, quantization="fp32")
    # so that every row has all its tokens
    completer.base = replace(completer.base, stop_ids=frozenset())
    return completer


@pytest.fixture
def steps(monkeypatch):
    """The open rows of every step."""
    found, step = [], continuous._step

    def noted(base, bank, going, vocabulary):
        found.append(sum(len(asked.going) for asked in going))
        step(base, bank, going, vocabulary)

    monkeypatch.setattr(continuous, "_step", noted)
    return found


def room_for(monkeypatch, n_rows):
    monkeypatch.setattr(
        completer_module, "decode_many", lambda *args, **options: decode_many(*args, **options, open_rows=n_rows)
    )


def texts(result):
    return [(alternative.adapter, alternative.text, alternative.n_tokens) for alternative in result.alternatives]


# #15
def test_a_request_begins_where_others_have_ended(completer, steps, monkeypatch):
    room_for(monkeypatch, 2)
    completer.complete_many([replace(request, use_base=True) for request in REQUESTS])
    assert sum(steps) == sum(LENGTHS)
    assert steps == [2] * 13 + [1]  # in batches of two it would be 9 + 3 + 5 + 2 steps


# #15
@pytest.mark.parametrize("n_rows", [1, 5, 16, 100])
def test_what_is_written_does_not_depend_on_who_is_beside(completer, monkeypatch, n_rows):
    room_for(monkeypatch, n_rows)
    adapters = [("a2", "a7"), ("a7",), ("a1", "a7", "a7"), (), ("a2",), ("a5", "a1"), ("a7",)]
    requests = [replace(each, adapters=own, temperature=0.8) for each, own in zip(REQUESTS, adapters, strict=True)]
    assert list(map(texts, completer.complete_many(requests))) == [texts(completer.complete(own)) for own in requests]


# #15
def test_a_lead_is_greedy_in_a_batch_too(completer):
    requests = [replace(request, lead_first=True, temperature=0.9) for request in REQUESTS[:3]]
    assert list(map(texts, completer.complete_many(requests))) == [texts(completer.complete(own)) for own in requests]


# #15
def test_results_are_told_when_they_are_there(completer):
    told = []
    results = completer.complete_many(REQUESTS, on_result=lambda number, result: told.append((number, result)))
    assert [number for number, _ in told] == [0, 3, 6, 2, 5, 4, 1]
    assert [results[number] for number, _ in told] == [result for _, result in told]


# #15
def test_who_is_told_of_a_result_may_ask_the_completer(completer):
    alone = [texts(completer.complete(request)) for request in REQUESTS]
    found = completer.complete_many(
        REQUESTS, on_result=lambda number, _: list(completer.next_token_logprobs(REQUESTS[number], "x = 1"))
    )
    assert list(map(texts, found)) == alone


# #15
def test_rows_of_one_adapter_are_multiplied_together():
    lanes = Lanes.of([0, 2, 2, 0, 2], n_lanes=3, device="cpu")
    assert (lanes.cells.tolist(), lanes.shape) == ([0, 6, 7, 1, 8], (3, 3))
    x, A, B = torch.randn(5, 1, 4), torch.randn(3, 4, 2), torch.randn(3, 2, 6)
    rows = [0, 2, 2, 0, 2]
    torch.testing.assert_close(lanes.product(x, A, B), x @ A[rows] @ B[rows])
