"""Near-duplicates among a few completions: winnowing over Python tokens. Pure; needs no syntax tree.

Two completions are near when the Jaccard index of their fingerprints is at least 0.8; classes are the single linkage of
that. Fingerprints: hashes of every 3 tokens in a row, of which each window of 4 keeps its least (Schleimer, Wilkerson &
Aiken 2003), so that 6 equal tokens in a row are always seen. A text of few grams keeps all, where a choice would be
chance. Tokens leave out comments and layout; names are V unless called or behind a dot, texts are S, numbers stay.
"""

import keyword
import re
import zlib
from collections.abc import Sequence

NEAR = 0.8
GRAM = 3  # tokens
WINDOW = 4  # grams
_FEW_GRAMS = 4 * WINDOW

_TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*)
    | (?P<text>[rbfuRBFU]{0,2}(?:\"{3}.*?(?:\"{3}|\Z)|'{3}.*?(?:'{3}|\Z)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))
    | (?P<number>\d[\w.]*)
    | (?P<name>[^\W\d]\w*)
    | (?P<sign>\*\*=?|//=?|<<=?|>>=?|->|:=|[=!<>+*/%&|^@-]=|[^\w\s])
    """,
    re.DOTALL | re.VERBOSE,
)


def near_classes(texts: Sequence[str], same: Sequence[object | None]) -> list[int | None]:
    """The class of each text, numbered by first member; texts with equal `same` are joined too, None has no class.

    With AST-normalised keys as `same` the classes of that level lie within these.
    """
    marks = [fingerprints(text) for text in texts]
    found: list[int | None] = []
    classes: list[list[int]] = []
    for n, key in enumerate(same):
        if key is None:
            continue
        near = [own for own in classes if any(same[m] == key or jaccard(marks[m], marks[n]) >= NEAR for m in own)]
        classes = [own for own in classes if own not in near] + [[n, *(m for own in near for m in own)]]
    found = [None] * len(texts)
    for number, own in enumerate(sorted(classes, key=min)):
        for n in own:
            found[n] = number
    return found


def fingerprints(text: str) -> frozenset[int]:
    """The hashes that stand for a text."""
    words = tokens(text)
    grams = [words[n : n + GRAM] for n in range(max(1, len(words) - GRAM + 1))]
    hashes = [zlib.crc32(" ".join(gram).encode("utf-8", "replace")) for gram in grams]
    if len(hashes) < _FEW_GRAMS:
        return frozenset(hashes)
    return frozenset(min(hashes[n : n + WINDOW]) for n in range(len(hashes) - WINDOW + 1))


def tokens(text: str) -> list[str]:
    """What is compared of a text, in its order."""
    found = [match for match in _TOKEN.finditer(text) if match.lastgroup != "comment"]
    values = [match[0] for match in found]
    return [
        _word(match, before, after)
        for match, before, after in zip(found, ["", *values], [*values[1:], ""], strict=False)
    ]


def jaccard(first: frozenset[int], second: frozenset[int]) -> float:
    """Share of common elements in all of both; 1 for two empty sets."""
    return len(first & second) / len(first | second) if first or second else 1.0


def _word(match: re.Match[str], before: str, after: str) -> str:
    if match.lastgroup == "text":
        return "S"
    is_own = match.lastgroup == "name" and not keyword.iskeyword(match[0]) and before != "." and after != "("
    return "V" if is_own else match[0]
