"""Where the user has been lately: chunks of documents, the likeliest to be of use elsewhere. Pure.

After llama.vim: a chunk is taken where the cursor leaves, one that is nearly the same as a newer one goes, and those
like the text at the cursor are not shown to the model, which would repeat them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

MAX_CHUNKS = 16  # llama.vim's
CHUNK_LINES = 24  # llama.vim has 64, of which not one would fit into the default budget
SAME = 0.9  # of the lines in common: the older of two chunks goes (llama.vim's)
DISTRACTING = 0.5  # in common with the text at the cursor (llama.vim's)
_MIN_LINES = 3


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some lines of a document, with `\\n` as their only line end."""

    uri: str
    language: str
    text: str


class ChunkRing:
    """The last chunks, oldest first. `version` grows with every change."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.version = 0

    def add(self, chunk: Chunk) -> None:
        """Take a chunk in; one that is there already changes nothing."""
        lines = _lines(chunk.text)
        if len(lines) < _MIN_LINES or any(chunk == known for known in self.chunks):
            return
        kept = [known for known in self.chunks if similarity(_lines(known.text), lines) <= SAME]
        self.chunks = [*kept, chunk][-MAX_CHUNKS:]
        self.version += 1

    def drop(self, uris: Collection[str]) -> None:
        """Forget the chunks of these documents."""
        self.chunks = [chunk for chunk in self.chunks if chunk.uri not in uris]
        self.version += 1


def chunk_at(text: str, cursor: int) -> str:
    """`CHUNK_LINES` whole lines of a text, with the cursor's in the middle."""
    start = end = cursor
    for _ in range(CHUNK_LINES // 2):
        start = text.rfind("\n", 0, max(0, start - 1)) + 1 if start else 0
        found = text.find("\n", end)
        end = len(text) if found < 0 else found + 1
    return text[start:end].rstrip("\n")


def pick(chunks: Sequence[Chunk], *, language: str, window: str, near: str, n_chars: int) -> list[Chunk]:
    """The newest chunks that fit and help, oldest first, so that a new one changes only the end of the prompt's head.

    Args:
        chunks: of the ring.
        language: chunks in others are left out.
        window: what the model sees anyway; a chunk that overlaps it is left out.
        near: the lines around the cursor; what is much like them is left out.
        n_chars: the room.
    """
    shown, around = set(_lines(window)), _lines(near)
    picked: list[Chunk] = []
    for chunk in reversed(chunks):
        lines = _lines(chunk.text)
        is_news = sum(line in shown for line in lines) <= DISTRACTING * len(lines)
        fits = len(chunk.text) <= n_chars - sum(len(each.text) for each in picked)
        if chunk.language == language and fits and is_news and similarity(lines, around) <= DISTRACTING:
            picked.append(chunk)
    return picked[::-1]


def similarity(lines: Sequence[str], others: Sequence[str]) -> float:
    """Share of the lines of both that stand in the other, 0 to 1."""
    if not lines or not others:
        return 0.0
    known, wanted = set(others), set(lines)
    n_common = sum(line in known for line in lines) + sum(line in wanted for line in others)
    return n_common / (len(lines) + len(others))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]
