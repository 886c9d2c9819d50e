"""What an answer says at its place and while the user types on."""

from dataclasses import replace

import pytest

from spa_lsp.server.answers import CACHED_ANSWERS, Answer, AnswerCache
from spa_lsp.server.documents import Document
from spa_lsp.server.spots import Cursor, spot_of, typed_since
from spa_lsp.text.shown import Offer
from tests.fakes import make_alternative
from tests.work import count_calls

TEXTS = ("return a + b", "return sum([a, b])", "raise TypeError")


def spot(marked, uri="u", typed=""):
    before, _, after = marked.partition("‸")
    document = Document(uri=uri, language="python", version=1, text=before + after)
    return spot_of(Cursor(document=document, start=len(before), end=len(before), typed=typed))


def answer(marked="def f(a, b):\n    ‸\n", *texts, uri="u"):
    offers = tuple(Offer(alternative=make_alternative(text, index)) for index, text in enumerate(texts or TEXTS))
    return Answer(spot=spot(marked, uri), adapter_set="s", offers=offers)


def cache_of(*answers):
    cache = AnswerCache()
    for each in answers:
        cache.put(each)
    return cache


def texts_at(cache, marked, **options):
    found = cache.find(spot(marked, **options))
    return [offer.text for offer in found.offers] if found else None


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", list(TEXTS)),
        ("r", ["eturn a + b", "eturn sum([a, b])", "aise TypeError"]),
        ("return ", ["a + b", "sum([a, b])"]),
        ("return s", ["um([a, b])"]),
        ("return x", None),
        ("return a + b", None),  # all of it: nothing is left to say
    ],
)
def test_all_alternatives_that_begin_with_what_was_typed_are_offered(typed, expected):
    assert texts_at(cache_of(answer()), f"def f(a, b):\n    {typed}‸\n") == expected


@pytest.mark.parametrize(
    "changed", ["def f(a, b):\n   ‸\n", "def g(a, b):\n    ‸\n", "def f(a, b):\n    ‸\nx", "def f(a, b):\n    r‸x\n"]
)
def test_another_change_asks_anew(changed):
    assert texts_at(cache_of(answer()), changed) is None


def test_another_document_with_the_same_text_asks_anew():
    assert texts_at(cache_of(answer()), "def f(a, b):\n    ‸\n", uri="v") is None


def test_backspace_over_typed_text_gives_the_wider_set_again():
    cache = cache_of(answer())
    assert len(texts_at(cache, "def f(a, b):\n    return ‸\n")) == 2
    assert len(texts_at(cache, "def f(a, b):\n    re‸\n")) == 2
    assert len(texts_at(cache, "def f(a, b):\n    ‸\n")) == 3


def test_the_newest_answer_that_matches_is_taken():
    later = answer("def f(a, b):\n    return ‸\n", "max(a, b)")
    assert texts_at(cache_of(answer(), later), "def f(a, b):\n    return m‸\n") == ["ax(a, b)"]
    assert texts_at(cache_of(answer(), later), "def f(a, b):\n    return s‸\n") == ["um([a, b])"]


def test_what_the_menu_would_insert_counts_as_typed():
    assert texts_at(cache_of(answer()), "def f(a, b):\n    ‸\n", typed="return") == [" a + b", " sum([a, b])"]


@pytest.mark.parametrize(
    ("texts", "typed", "expected"),
    [
        (("f(x)", "f(y) + 1", "g(x)"), "f(‸)", [("x", 0), ("y) + 1", 1)]),
        (("f(a):\n    pass",), "f(‸)", [("a):\n    pass", 1)]),
        (('f("x")',), 'f("‸")', [("x", 0)]),
        (("f(x) + g(y)",), "f(‸)", [("x) + g(y", 0)]),
        (("[1, 2]",), "[‸]", [("1, 2", 0)]),
        (('f(":)")',), "f(‸)", [('":)"', 0)]),  # issue 13: a bracket in a string
        (('g("(", f(b))',), 'g("(", f(‸))', [("b", 0)]),
    ],
)
def test_brackets_that_the_editor_closes_are_no_other_change(texts, typed, expected):
    found = cache_of(answer("x = ‸\n", *texts)).find(spot(f"x = {typed}\n"))
    assert [(offer.text, offer.n_replaced) for offer in found.offers] == expected


@pytest.mark.parametrize("changed", ["x = f‸)\n", "x = f(‸]\n", "x = f(‸)y\n", "x = ‸)\n", "x = f(‸)))))\n"])
def test_other_text_behind_the_cursor_is_a_change(changed):
    assert texts_at(cache_of(answer("x = ‸\n", "f(x)")), changed) is None


def test_an_answer_lists_its_alternatives():
    assert [alternative.text for alternative in answer().alternatives] == list(TEXTS)


def test_line_ends_of_windows_count_as_line_feeds():
    cache = cache_of(answer("a\r\n‸\r\n", "if x:\n    y()"))
    assert texts_at(cache, "a\r\nif x:\r\n  ‸\r\n") == ["  y()"]


def test_the_rest_of_what_is_on_the_screen_comes_first():
    cache = cache_of(answer())
    cache.prefer("s", 1)
    assert texts_at(cache, "def f(a, b):\n    return ‸\n") == ["sum([a, b])", "a + b"]


def test_what_is_on_the_screen_keeps_the_order_at_its_own_place():
    cache = cache_of(answer())
    cache.prefer("s", 1)
    assert texts_at(cache, "def f(a, b):\n    ‸\n") == list(TEXTS)


def test_a_preference_for_another_set_is_none():
    cache = cache_of(answer())
    cache.prefer("t", 1)
    assert texts_at(cache, "def f(a, b):\n    return ‸\n")[0] == "a + b"


def test_the_oldest_answers_go():
    cache = cache_of(*(answer(f"{n}‸") for n in range(CACHED_ANSWERS + 1)))
    assert texts_at(cache, "0‸") is None and texts_at(cache, "1‸")


def test_an_answer_takes_the_place_of_the_part_of_it():
    part = replace(answer(), is_whole=False, offers=answer().offers[:1])
    assert len(texts_at(cache_of(part, answer()), "def f(a, b):\n    ‸\n")) == 3


def test_the_answers_of_a_closed_document_are_forgotten():
    cache = cache_of(answer(uri="a"), answer(uri="b"))
    cache.forget("a")
    assert texts_at(cache, "def f(a, b):\n    ‸\n", uri="a") is None
    assert texts_at(cache, "def f(a, b):\n    ‸\n", uri="b")


def test_a_place_in_a_long_document_is_known_again():
    head, tail = "x = 1\n" * 5000, "y = 2\n" * 5000
    assert typed_since(spot(head + "‸" + tail), spot(head + "ab‸" + tail)) == "ab"
    assert typed_since(spot(head + "ab‸" + tail), spot(head + "‸" + tail)) is None
    assert typed_since(spot(head + "‸" + tail), spot(head + "ab‸" + tail[:-1])) is None


def calls_of_a_hit(head, n_answers):
    """In a cache of so many answers, of which the oldest says what comes."""
    cache = cache_of(*(answer(f"{head}{n}‸") for n in range(n_answers)))
    document = Document(uri="u", language="python", version=1, text=head + "0re")
    cursor = Cursor(document=document, start=len(head) + 3, end=len(head) + 3)
    assert cache.find(spot_of(cursor)) is not None
    return count_calls(lambda: cache.find(spot_of(cursor)))


def test_a_hit_in_a_full_cache_costs_no_more_in_a_long_document():
    assert calls_of_a_hit("x = 1\n" * 50_000, CACHED_ANSWERS) == calls_of_a_hit("x = 1\n" * 5000, CACHED_ANSWERS)


def test_a_hit_costs_a_few_calls_for_each_answer_of_the_cache():
    few, many = (calls_of_a_hit("x = 1\n" * 5000, n) for n in (1, CACHED_ANSWERS))
    assert many - few < 50 * CACHED_ANSWERS


def test_an_alternative_in_other_words_replaces_the_brackets_that_it_has_itself():
    first, other = make_alternative("c = f(a)", 0), make_alternative("d = f(a", 1)
    offer = Offer(alternative=first, same=(other,), n_replaced=1)
    cache = cache_of(replace(answer("f(‸)"), offers=(offer,)))
    (found,) = cache.find(spot("f(d‸)")).offers
    assert (found.text, found.n_replaced, found.same) == (" = f(a", 0, ())


# #13
def test_what_the_user_came_back_to_is_the_latest():
    cache = cache_of(answer(uri="a"), answer(uri="b"))
    cache.find(spot("def f(a, b):\n    ‸\n", uri="a"))
    assert cache.latest("s", 0)[0].spot.uri == "a"
    assert cache.latest("s", 0, "b")[0].spot.uri == "b"
