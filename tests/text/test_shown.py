from dataclasses import replace

from spa_lsp.completion import Timing
from spa_lsp.text.indentation import indent_of_cursor
from spa_lsp.text.shown import (
    differing,
    distinct,
    duration,
    first_same,
    labelled,
    shown_answers,
    shown_infills,
    times,
    title,
)
from spa_lsp.text.site import Site
from tests.fakes import make_alternative

PREFIX = "def add(a, b):\n    "


def infills(*texts, prefix=PREFIX, suffix="\n"):
    alternatives = [make_alternative(text, index) for index, text in enumerate(texts)]
    return shown_infills(alternatives, Site(prefix=prefix, suffix=suffix, language="python"))


def test_programs_that_differ_only_in_names_and_comments_are_the_same():
    shown = infills("x = a + b\n    return x", "return sum([a, b])", "y = a + b  # sum\n    return y")
    assert [first_same(shown, number) for number in (1, 2, 3)] == [1, 2, 1]
    assert [each.wordings for each in distinct(shown)] == [
        (shown[0].alternative, shown[2].alternative),
        (shown[1].alternative,),
    ]


def test_texts_are_polished_for_their_place():
    (shown,) = infills("a + b)\nprint(", prefix="print(", suffix=")\n")
    assert shown.text == "a + b"


def test_nothing_to_insert_is_no_alternative():
    shown = infills("   ", "return a")
    assert distinct(shown) == shown[1:]
    assert title(shown, 1) == "1/2 · label of a1 (a1) · nothing to insert"


def test_a_disabled_adapter_is_no_alternative():
    broken = replace(make_alternative("return a"), finish="disabled")
    shown = shown_infills([broken], Site(prefix=PREFIX, language="python"))
    assert shown[0].text == "" and "disabled" in title(shown, 1)


def test_title_says_which_one_it_repeats():
    assert title(infills("return a", "return a"), 2) == "2/2 · label of a2 (a2) · same as 1"


def test_title_says_that_the_length_ended_it():
    long = replace(make_alternative("return a"), finish="length")
    assert title(shown_answers([long]), 1).endswith("not finished (length)")


# #11
def test_title_says_that_the_time_was_over_before_anything_came():
    shown = shown_infills([make_alternative("", finish="deadline")], Site(language="python"))
    assert title(shown, 1).endswith("not finished (deadline)")


def test_answers_are_shown_whole():
    text = "Here it is:\n```python\nx = 1\n```"
    assert shown_answers([make_alternative(text + "\n")])[0].text == text


def test_words_that_the_other_lacks_are_found():
    assert differing("return a + b", "return sum") == [("return ", False), ("a + b", True)]


def test_equal_texts_do_not_differ():
    assert differing("return a", "return a") == [("return a", False)]


def test_pieces_give_the_text_back():
    text = "for item in items:\n    total += item.price"
    assert "".join(piece for piece, _ in differing(text, "return sum(item.price for item in items)")) == text


def test_indentation_is_that_of_the_cursors_line():
    assert [indent_of_cursor(prefix) for prefix in ("", "a\n    ", "a\n  b = ")] == ["", "    ", "  "]


def test_times_name_what_was_cached():
    timing = Timing(prefill_ms=38.2, prompt_tokens=212, cached_tokens=200, decode_ms=1900, total_ms=1938.2)
    assert times(timing) == "prefill 38 ms (212 tokens, 200 cached) · decode 1.9 s · total 1.9 s"


def test_times_name_the_load_only_when_there_was_one():
    assert times(Timing(load_ms=12_300)).startswith("load 12 s · ")


def test_durations_have_the_unit_that_reads_best():
    assert [duration(n_ms) for n_ms in (0.4, 999.4, 999.6, 9_940, 9_960)] == [
        "0 ms",
        "999 ms",
        "1.0 s",
        "9.9 s",
        "10 s",
    ]


def test_a_completion_that_ran_out_of_tokens_is_shown_up_to_its_last_whole_line():
    cut_short = replace(make_alternative("a = 1\nb ="), finish="length")
    assert shown_infills([cut_short], Site(language="python"))[0].text == "a = 1"


def labels_of(*texts, label="base"):
    shown = shown_infills([replace(make_alternative(text), label=label) for text in texts], Site(language="python"))
    return [offer.alternative.label for offer in labelled(shown)]


# #15
def test_those_that_share_a_label_get_a_hint_where_they_begin_to_differ_from_the_first():
    found = labels_of(
        "total = 0\nfor x in xs:\n    total += x", "total = sum(xs)", "total = 0\nwhile xs:\n    total += xs.pop()"
    )
    assert found == ["base", "base: sum(xs)", "base: while xs:"]


# #15
def test_a_hint_fits_into_a_status_bar_and_has_nothing_that_it_would_obey():
    assert labels_of("return 1", "return tuple(sorted(items, key=len))")[1] == "base: tuple(sorted(items, key= …"
    assert labels_of("return 1", "return f(\ta,\x1b b)")[1] == "base: f( a,  b)"
    assert labels_of("return 1", "return 2", label="") == ["", "2"]


# #15
def test_what_only_ends_earlier_gets_no_hint():
    assert labels_of("return a + b", "return a") == ["base", "base"]


# #15
def test_labels_that_are_different_stay():
    shown = infills("return a", "return b")
    assert labelled(shown) == shown
