import pytest

from spa_lsp.server.context import is_usable, make_request, make_site
from spa_lsp.server.documents import Document
from spa_lsp.settings.schema import Settings


def window(marked, **options):
    text, cursor = marked.replace("‸", ""), marked.index("‸")
    return make_site(text, cursor, cursor, **{"prefix_chars": 6000, "suffix_chars": 2000, **options})


def document(text="x", **fields):
    return Document(**{"uri": "u", "language": "python", "version": 1, "text": text, **fields})


def test_the_window_is_the_text_before_and_after_the_cursor():
    found = window("def add(a, b):\n    return ‸\n\nadd(1, 2)\n")
    assert (found.prefix, found.suffix) == ("def add(a, b):\n    return ", "\n\nadd(1, 2)\n")


def test_line_ends_become_line_feeds():
    found = window("a\r\nb‸\rc\r\n")
    assert (found.prefix, found.suffix) == ("a\nb", "\nc\n")


def test_a_long_prefix_begins_with_a_whole_line():
    found = window("".join(f"line {n}\n" for n in range(100)) + "‸", prefix_chars=90)
    assert found.prefix.startswith("line ") and 60 <= len(found.prefix) <= 90


def test_a_long_suffix_ends_with_a_whole_line():
    found = window("‸" + "".join(f"line {n}\n" for n in range(100)), suffix_chars=30)
    assert found.suffix == "line 0\nline 1\nline 2\nline 3"


def test_a_line_that_is_too_long_is_cut():
    found = window("x" * 500 + "‸" + "y" * 500, prefix_chars=90, suffix_chars=30)
    assert len(found.prefix) <= 90 and len(found.suffix) == 30


def test_the_prefix_begins_at_the_same_place_while_one_types():
    lines = "".join(f"line {n}\n" for n in range(1000))
    starts = {len(lines) + n - len(window(lines + "x" * n + "‸").prefix) for n in range(100)}
    assert len(starts) <= 2


def test_a_short_document_is_seen_whole():
    assert window("a\n" * 10 + "‸", prefix_chars=200).prefix == "a\n" * 10


@pytest.mark.parametrize("cursor", [0, 1, 2])
def test_every_place_of_a_tiny_document_has_a_window(cursor):
    found = make_site("ab", cursor, cursor, prefix_chars=200, suffix_chars=0)
    assert (found.prefix, found.suffix) == ("ab"[:cursor], "" if cursor < 2 else "")


def test_what_the_editors_menu_would_insert_stands_before_the_cursor():
    found = make_site("import o\n", 7, 8, prefix_chars=6000, suffix_chars=2000, typed="os")
    assert (found.prefix, found.suffix) == ("import os", "\n")


def test_half_an_emoji_is_replaced():
    assert window("\ud83d‸").prefix == "�"


def test_the_request_names_the_document_and_has_the_settings():
    request = make_request(window("a‸b"), document(), Settings(max_tokens=7, alternatives=3))
    assert (request.document, request.max_tokens, request.k, request.layout) == ("u", 7, 3, "infill")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [({}, True), ({"is_desynced": True}, False), ({"text": "x" * 2_000_001}, False)],
)
def test_which_documents_are_usable(changed, expected):
    assert is_usable(document(**changed)) is expected
