"""What every token of a tokenizer spells, in bytes, and which tokens agree with text that must come next."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

_SENTENCEPIECE_SPACE = "\u2581"
_FILLER = re.compile(r"\[PAD\d+\]")  # stands in a GGUF where the model has more rows than its tokenizer has tokens


class Vocabulary:
    """The tokens that spell something, sorted by what they spell; special tokens spell nothing."""

    def __init__(self, spelled: Mapping[int, bytes]) -> None:
        tokens = sorted((token for token, data in spelled.items() if data), key=spelled.__getitem__)
        self._spelled = dict(spelled)
        self._sorted = [spelled[token] for token in tokens]
        self._tokens = torch.tensor(tokens, dtype=torch.long)
        self.can_spell_all = all(len(self._equal(bytes([n]))) for n in range(256))

    def spell(self, tokens: Iterable[int]) -> bytes:
        """What the tokens spell together."""
        return b"".join(self._spelled.get(token, b"") for token in tokens)

    def agreeing(self, owed: bytes) -> Tensor:
        """The tokens that spell a beginning of `owed`, or all of it and more; some when `can_spell_all`."""
        start = bisect_left(self._sorted, owed)
        end = bisect_right(self._sorted, owed, lo=start, key=lambda data: data[: len(owed)])
        shorter = [self._equal(owed[:n]) for n in range(1, len(owed))]
        return torch.cat([*shorter, self._tokens[start:end]])

    def _equal(self, data: bytes) -> Tensor:
        return self._tokens[bisect_left(self._sorted, data) : bisect_right(self._sorted, data)]


def read_vocabulary(pieces: Mapping[int, str]) -> Vocabulary:
    """The vocabulary of a tokenizer's pieces by id: byte-level BPE, else as SentencePiece writes them."""
    named = {token: piece for token, piece in pieces.items() if not _FILLER.fullmatch(piece)}
    to_byte = _byte_characters()
    known = set(named.values())
    if all(character in known for character in to_byte):
        table = {ord(character): byte for character, byte in to_byte.items()}
        return Vocabulary(_byte_level(named, table))
    return Vocabulary({token: _sentencepiece(piece) for token, piece in named.items()})


def _byte_characters() -> dict[str, int]:
    """The characters that stand for bytes in byte-level BPE: printable Latin-1 for itself, others from U+0100 on.

    Source: `bytes_to_unicode` of GPT-2's encoder.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


def _byte_level(pieces: Mapping[int, str], table: Mapping[int, int]) -> dict[int, bytes]:
    """What byte-level pieces spell; a piece in plain text, added by hand, spells nothing."""
    known = frozenset(map(chr, table))
    spelled = {token: piece if known.issuperset(piece) else "" for token, piece in pieces.items()}
    # one translation for all: a hundred thousand of them take most of a second
    data, start = "".join(spelled.values()).translate(table).encode("latin-1"), 0
    found: dict[int, bytes] = {}
    for token, piece in spelled.items():
        end = start + len(piece)
        found[token], start = data[start:end], end
    return found


def _sentencepiece(piece: str) -> bytes:
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        return bytes([int(piece[3:5], 16)])
    return piece.replace(_SENTENCEPIECE_SPACE, " ").encode()
