"""What the prefix cache keeps between keystrokes and between documents."""

import torch

from spa_lsp.lm.prefix_cache import PrefixCache, common_length, prefill


def filled(base, cache, tokens):
    entry = cache.entry_for(tokens)
    n_cached = len(entry.tokens)
    with torch.inference_mode():
        assert prefill(base, entry, tokens)
    return n_cached


def test_a_keystroke_costs_only_the_new_tokens(base):
    cache = PrefixCache(2)
    assert filled(base, cache, list(range(10, 40))) == 0
    assert filled(base, cache, [*range(10, 40), 50, 51]) == 30


def test_an_edit_in_the_middle_keeps_what_stands_before_it(base):
    cache = PrefixCache(2)
    filled(base, cache, list(range(10, 40)))
    assert filled(base, cache, [*range(10, 30), 99, *range(31, 40)]) == 20


def test_a_document_with_the_same_header_does_not_push_the_first_out(base):
    cache = PrefixCache(2)
    first = list(range(10, 40))
    filled(base, cache, first)
    assert filled(base, cache, [*range(10, 15), *range(60, 90)]) == 5
    assert filled(base, cache, first) == 30


def test_the_least_recently_used_document_goes_first(base):
    cache = PrefixCache(2, max_entries=2)
    a, b, c = ([start] * 8 for start in (10, 11, 12))
    for tokens in (a, b, a, c):
        filled(base, cache, tokens)
    assert filled(base, cache, a) == 8
    assert filled(base, cache, b) == 0


def test_a_cancel_in_the_middle_of_a_chunk_keeps_the_chunks_before(base):
    tokens = [7 + n % 200 for n in range(400)]
    entry, whole = (PrefixCache(2).entry_for(tokens) for _ in range(2))
    layers = iter([False, False, False, True])  # two of the first chunk, two of the second
    with torch.inference_mode():
        assert not prefill(base, entry, tokens, is_cancelled=lambda: next(layers))
        assert len(entry.tokens) == entry.key_values.length == 256
        assert prefill(base, entry, tokens)
        assert prefill(base, whole, tokens)
    for found, expected in zip(entry.key_values.own(1), whole.key_values.own(1), strict=True):
        assert torch.equal(found, expected)


def test_common_length_stops_at_the_first_difference():
    assert common_length([1, 2, 3], [1, 2, 4, 3]) == 2
    assert common_length([], [1]) == 0
