"""Near-duplicates by MinHash: texts that share most of their runs of five words. The library rensa computes."""

import re
from collections.abc import Iterable

from rensa import RMinHash, RMinHashLSH

SIMILAR = 0.7  # Jaccard, as Magicoder and The Stack have it
_PERMUTATIONS, _BANDS, _SEED = 128, 32, 1
_GRAM = 5  # words
_WORD = re.compile(r"\w+|[^\w\s]")


class Seen:
    """The texts that are known, without the texts."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._index = RMinHashLSH(threshold=SIMILAR, num_perm=_PERMUTATIONS, num_bands=_BANDS)
        self._hashes: list[RMinHash] = []
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """From now on it is known."""
        self._index.insert(len(self._hashes), found := _minhash(text))
        self._hashes.append(found)

    def is_near(self, text: str) -> bool:
        """Whether a known text is this one but for little."""
        own = _minhash(text)
        return any(self._hashes[number].jaccard(own) >= SIMILAR for number in self._index.query(own))


def _minhash(text: str) -> RMinHash:
    words = _WORD.findall(text.lower())
    grams = {" ".join(words[n : n + _GRAM]) for n in range(max(1, len(words) - _GRAM + 1))}
    found = RMinHash(num_perm=_PERMUTATIONS, seed=_SEED)
    found.update(sorted(grams))
    return found
