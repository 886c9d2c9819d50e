import random
import re

import pytest
from lsprotocol import types

from spa_lsp.server.documents import Documents, apply_change, offset_at, position_at

ENCODINGS = ("utf-8", "utf-16", "utf-32")
ALPHABETS = {
    "ascii": "ab \n",
    "crlf": ["a", "b", "\n", "\r\n"],
    "cr": ["a", "\n", "\r", "\r\n"],
    "unicode": ["a", "é", "漢", "😋", "\n"],
    "form feed": ["a", "\n", "\x0c", "\x0b"],
    "separators": ["a", "\n", "\u2028", "\u2029", "\x85", "\x1c"],
}


def reference_lines(text):
    """Start and end of every line, by the letter of the specification."""
    found, start = [], 0
    for match in re.finditer(r"\r\n|\n|\r", text):
        found.append((start, match.start()))
        start = match.end()
    return [*found, (start, len(text))]


def reference_units(character, encoding):
    if encoding == "utf-32":
        return 1
    return len(character.encode(encoding if encoding == "utf-8" else "utf-16-le")) // (2 if encoding == "utf-16" else 1)


def reference_offset(text, line, character, encoding):
    lines = reference_lines(text)
    if line >= len(lines):
        return len(text)
    start, end = lines[line]
    passed = 0
    while start < end and passed < character:
        passed += reference_units(text[start], encoding)
        start += 1
    return start


def random_position(rng, text, encoding):
    line = rng.randrange(len(reference_lines(text)) + 1)
    return types.Position(line=line, character=rng.choice([0, 1, 2, 3, 5, 8, 10**6]))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_random_edits_give_what_the_specification_says(alphabet, encoding):
    rng = random.Random(f"{alphabet} {encoding}")
    for _ in range(1000):
        text = "".join(rng.choices(ALPHABETS[alphabet], k=rng.randint(0, 12)))
        places = sorted((random_position(rng, text, encoding) for _ in range(2)), key=lambda p: (p.line, p.character))
        new = "".join(rng.choices(ALPHABETS[alphabet], k=rng.randint(0, 3)))
        change = types.TextDocumentContentChangePartial(range=types.Range(*places), text=new)
        start, end = (reference_offset(text, place.line, place.character, encoding) for place in places)
        assert apply_change(text, change, encoding) == text[:start] + new + text[end:]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_position_of_an_offset_leads_back_to_it(encoding):
    text = "aé漢😋\r\n\n b\u2028c\rd"
    offsets = [offset for offset in range(len(text) + 1) if text[offset - 1 : offset + 1] != "\r\n"]
    assert [offset_at(text, position_at(text, offset, encoding), encoding) for offset in offsets] == offsets


def test_an_emoji_has_four_two_and_one_units():
    assert [position_at("😋", 1, encoding).character for encoding in ENCODINGS] == [4, 2, 1]


def item(version=1, text="x\n"):
    return types.TextDocumentItem(uri="u", language_id="python", version=version, text=text)


def insertion(text):
    start = types.Position(line=0, character=0)
    return types.TextDocumentContentChangePartial(range=types.Range(start, start), text=text)


@pytest.fixture
def documents():
    documents = Documents()
    documents.open(item())
    return documents


def test_changes_of_one_notification_build_on_each_other(documents):
    documents.change("u", 2, [insertion("a"), insertion("b")])
    assert documents.get("u").text == "bax\n" and documents.get("u").version == 2


@pytest.mark.parametrize("version", [1, 0, -5])
def test_a_version_that_is_not_newer_is_not_used(documents, version):
    documents.change("u", version, [insertion("a")])
    assert documents.get("u").text == "x\n" and documents.get("u").is_desynced


def test_a_document_out_of_step_is_mended_by_its_whole_text(documents):
    documents.change("u", 1, [insertion("a")])
    documents.change("u", 2, [insertion("b")])
    assert documents.get("u").is_desynced
    documents.change("u", 3, [types.TextDocumentContentChangeWholeDocument(text="new")])
    assert documents.get("u").text == "new" and not documents.get("u").is_desynced


def test_opening_again_starts_anew(documents):
    documents.change("u", 1, [insertion("a")])
    documents.open(item(version=0, text="y"))
    assert documents.get("u").text == "y" and not documents.get("u").is_desynced


def test_a_closed_document_is_gone(documents):
    documents.close("u")
    documents.close("u")
    assert documents.get("u") is None
