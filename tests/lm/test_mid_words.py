"""How often the rest of a half typed word is right on the default base, with and without healing; some minutes."""

from dataclasses import replace

import pytest

from spa_lsp.completion import CompletionRequest
from tests.lm.mid_words import is_right, mid_words

pytestmark = pytest.mark.model
REQUEST = CompletionRequest(prefix="", use_base=True, max_tokens=12, stop="single", temperature=0.0)
BATCH = 25


@pytest.fixture
def completer():
    from spa_lsp.lm.completer import LocalCompleter

    return LocalCompleter.load(adapter_set="")


def share_right(completer, cuts):
    requests = [replace(REQUEST, prefix=cut.prefix, suffix=cut.suffix) for cut in cuts]
    batches = [requests[start : start + BATCH] for start in range(0, len(requests), BATCH)]
    results = [result for batch in batches for result in completer.complete_many(batch)]
    right = [is_right(cut, result.alternatives[0].text) for cut, result in zip(cuts, results, strict=True)]
    return sum(right) / len(right)


def test_half_typed_words_are_finished_more_often_when_they_are_healed(request, completer, monkeypatch, found):
    cuts = mid_words(24 if request.config.getoption("--quick") else 200)
    after = share_right(completer, cuts)
    monkeypatch.setattr(completer._vocabulary, "can_spell_all", False)
    before = share_right(completer, cuts)
    found(f"rest of {len(cuts)} half typed words right: {before:.1%} as they are, {after:.1%} healed")
    assert after >= 0.75 and after - before >= 0.1
