import pytest

from spa_lsp.server.chunk_ring import CHUNK_LINES, MAX_CHUNKS, Chunk, ChunkRing, chunk_at, pick, similarity


def block(name, n_lines=5):
    return "\n".join(f"{name} line {n}" for n in range(n_lines))


def chunk(name="a", *, n_lines=5, uri="u", language="python", text=None):
    return Chunk(uri=uri, language=language, text=block(name, n_lines) if text is None else text)


def ring_of(*chunks):
    ring = ChunkRing()
    for each in chunks:
        ring.add(each)
    return ring


def picked(*chunks, language="python", window="", near="", n_chars=10_000):
    return list(pick(chunks, language=language, window=window, near=near, n_chars=n_chars))


def test_similarity_is_the_share_of_common_lines():
    assert similarity(["a", "b"], ["a", "b"]) == 1
    assert similarity(["a", "b", "c"], ["a"]) == 2 / 4
    assert similarity(["a"], ["b"]) == similarity([], ["b"]) == 0


def test_chunks_come_in_their_order_and_the_oldest_go():
    ring = ring_of(*(chunk(str(n)) for n in range(MAX_CHUNKS + 1)))
    assert [each.text.split()[0] for each in ring.chunks] == [str(n) for n in range(1, MAX_CHUNKS + 1)]


def test_of_two_chunks_that_are_nearly_the_same_the_newer_stays():
    old, new = chunk(n_lines=20), chunk(text=block("a", 20) + "\nmore")
    assert ring_of(old, chunk("b"), new).chunks == [chunk("b"), new]


def test_chunks_that_share_much_but_not_nearly_all_stay_both():
    assert len(ring_of(chunk(n_lines=20), chunk(n_lines=10)).chunks) == 2


def test_a_chunk_that_is_there_changes_nothing():
    ring = ring_of(chunk(), chunk("b"))
    version = ring.version
    ring.add(chunk())
    assert ring.version == version and ring.chunks == [chunk(), chunk("b")]


@pytest.mark.parametrize("text", ["", "\n\n\n\n", "one\n\ntwo"])
def test_a_chunk_of_a_few_lines_is_none(text):
    assert ring_of(chunk(text=text)).chunks == []


def test_the_newest_that_fit_are_picked_oldest_first():
    chunks = [chunk("a"), chunk("b"), chunk("c")]
    assert picked(*chunks, n_chars=2 * len(block("a"))) == chunks[1:]


def test_a_chunk_like_the_text_at_the_cursor_distracts():
    near = block("a", 3)  # three of its five lines: 6 of 8
    assert picked(chunk("a"), chunk("b"), near=near) == [chunk("b")]


def test_a_chunk_a_little_like_the_text_at_the_cursor_helps():
    assert picked(chunk("a"), near=block("a", 1) + "\n" + block("b", 9)) == [chunk("a")]


def test_what_the_window_shows_is_not_shown_twice():
    assert picked(chunk("a"), window=block("a", 3)) == []
    assert picked(chunk("a"), window=block("a", 2)) == [chunk("a")]


def test_other_languages_are_left_out():
    assert picked(chunk("a", language="go")) == []


@pytest.mark.parametrize("line", [0, 3, 50, 99])
def test_a_chunk_is_whole_lines_around_the_cursor(line):
    lines = [f"line {n:02}" for n in range(100)]
    text = chunk_at("\n".join(lines), line * 8 + 3)
    found = text.split("\n")
    assert lines[line] in found and set(found) <= set(lines)
    assert len(found) <= CHUNK_LINES and (len(found) >= CHUNK_LINES // 2 - 1)


def test_a_chunk_of_an_empty_document_is_empty():
    assert chunk_at("", 0) == ""
