import random
import re

import pytest
from lsprotocol import types

from spa_lsp.server.documents import Documents, offset_at, position_at

ENCODINGS = ("utf-8", "utf-16", "utf-32")
N_EDITS = 2700  # of each alphabet in each encoding: 72,900 in all
ALPHABETS = {
    "ascii": "ab \n",
    "latin": "aéß\n",
    "cjk": "a漢字\n",
    "astral": "a😋𝒳\n",
    "combining": ["e", "\u0301", "\u200d", "👩", "\n"],
    "right to left": "aאע\u202eب\n",
    "line ends": ["a", "\n", "\r", "\r\n"],
    "no line ends": ["a", "\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"],
    "surrogates": ["a", "\ud83d", "\ude0b", "😋", "\r\n"],
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
    name, n_bytes = ("utf-8", 1) if encoding == "utf-8" else ("utf-16-le", 2)
    return len(character.encode(name, "surrogatepass")) // n_bytes


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


def reference_edit(text, change, encoding):
    if not hasattr(change, "range"):
        return change.text
    places = (change.range.start, change.range.end)
    start, end = (reference_offset(text, place.line, place.character, encoding) for place in places)
    return text[:start] + change.text + text[end:]


def random_edit(rng, text, alphabet):
    """A replacement anywhere, also past the ends of lines and in the middle of characters; now and then all is new."""
    n_lines = len(reference_lines(text))
    if len(text) > 40 or rng.random() < 0.02:
        return types.TextDocumentContentChangeWholeDocument(text="".join(rng.choices(alphabet, k=rng.randint(0, 12))))
    places = sorted((rng.randrange(n_lines + 1), rng.choice([*range(13), 10**6])) for _ in range(2))
    new = "".join(rng.choices(alphabet, k=rng.randint(0, 4)))
    return types.TextDocumentContentChangePartial(
        range=types.Range(*(types.Position(*place) for place in places)), text=new
    )


@pytest.mark.protocol
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_random_edits_give_what_the_specification_says(alphabet, encoding, tally):
    rng = random.Random(f"{alphabet} {encoding}")
    documents, expected, n_failed = Documents(), "", 0
    documents.encoding = encoding
    documents.open(item(version=0, text=expected))
    for version in range(1, N_EDITS + 1):
        change = random_edit(rng, expected, ALPHABETS[alphabet])
        expected = reference_edit(expected, change, encoding)
        documents.change("u", version, [change])
        n_failed += documents.get("u").text != expected
    tally("random edits", N_EDITS, n_failed)
    assert n_failed == 0


@pytest.mark.parametrize(
    "text", ["a\nb\nc", "a\r\nb\r\nc", "a\rb\nc", "\n" * 3, "x" * 5000 + "\n" + "y" * 5000 + "\nz"]
)
def test_the_start_of_every_line_is_found_in_long_and_short_texts(text):
    starts = [offset_at(text, types.Position(line, 0), "utf-16") for line in range(len(reference_lines(text)))]
    assert starts == [start for start, _ in reference_lines(text)]


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


def test_a_document_out_of_step_is_fixed_by_its_whole_text(documents):
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


def test_a_document_of_which_a_change_was_lost_is_out_of_step(documents):
    documents.distrust("u")
    documents.distrust("unknown")
    assert documents.get("u").is_desynced and documents.get("unknown") is None
