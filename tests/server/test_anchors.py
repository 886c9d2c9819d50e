"""A prompt stays where it was anchored while one types on behind it."""

import pytest

from spa_lsp.server.anchors import MAX_BEGUN_CHARS, Anchors
from spa_lsp.server.documents import Document
from spa_lsp.server.spots import Cursor, spot_of
from spa_lsp.text.site import Site

URI = "file:///w/a.py"


def spot(drawn, uri=URI):
    before, _, behind = drawn.partition("‸")
    document = Document(uri=uri, language="python", version=1, text=before + behind)
    return spot_of(Cursor(document=document, start=len(before), end=len(before)))


def anchored(drawn):
    anchors = Anchors()
    before, _, behind = drawn.partition("‸")
    anchors.put(spot(drawn), Site(prefix=before, suffix=behind))
    return anchors


def begun(anchors, drawn):
    found = anchors.find(spot(drawn))
    return None if found is None else found.begun


@pytest.mark.parametrize(
    ("drawn", "typed"),
    [
        ("x = ‸\ny = 2\n", ""),
        ("x = compu‸\ny = 2\n", "compu"),
        ("x = f(‸)\ny = 2\n", "f("),  # the editor has closed the bracket
        ("x = 1\nz = ‸\ny = 2\n", "1\nz = "),
    ],
)
def test_what_was_typed_since_is_how_the_completion_has_begun(drawn, typed):
    assert begun(anchored("x = ‸\ny = 2\n"), drawn) == typed


@pytest.mark.parametrize(
    "drawn",
    [
        "x =‸ \ny = 2\n",  # before it
        "x = a\ny = 2‸\n",  # the cursor has left the place
        "x = a‸\ny = 3\n",  # the text behind is another
        "z = a‸\ny = 2\n",  # and the text before
        "x = " + "a" * (MAX_BEGUN_CHARS + 1) + "‸\ny = 2\n",
    ],
)
def test_another_place_wants_another_anchor(drawn):
    assert begun(anchored("x = ‸\ny = 2\n"), drawn) is None


def test_a_character_taken_back_leaves_the_anchor():
    anchors = anchored("x = ‸\n")
    assert (begun(anchors, "x = ab‸\n"), begun(anchors, "x = a‸\n")) == ("ab", "a")


def test_each_document_has_its_own():
    anchors = anchored("x = ‸\n")
    assert anchors.find(spot("x = ‸\n", uri="file:///w/b.py")) is None


def test_a_closed_document_has_none():
    anchors = anchored("x = ‸\n")
    anchors.forget(URI)
    assert begun(anchors, "x = ‸\n") is None
