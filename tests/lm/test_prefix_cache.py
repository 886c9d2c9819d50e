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


def test_a_cancel_between_chunks_keeps_what_was_computed(base):
    cache = PrefixCache(2)
    tokens = [7 + n % 200 for n in range(400)]
    entry = cache.entry_for(tokens)
    answers = iter([False, True])
    with torch.inference_mode():
        assert not prefill(base, entry, tokens, is_cancelled=lambda: next(answers))
    assert len(entry.tokens) == entry.key_values.length == 256


def test_common_length_stops_at_the_first_difference():
    assert common_length([1, 2, 3], [1, 2, 4, 3]) == 2
    assert common_length([], [1]) == 0
