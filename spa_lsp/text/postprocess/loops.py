"""Where a greedy model begins to say the same again and again."""

import re

from spa_lsp.text.site import Site

TIMES = 3  # twice the same is honest code
MAX_BLOCK_LINES = 4
# something of 8 to 60 characters, three times more, and then the beginning of it: the loop reaches the text's end
_WORDS = re.compile(r"(?P<unit>[^\n]{8,60}?)(?P=unit){3,}(?P<rest>[^\n]{0,60})\Z")
_LETTERS = re.compile(r"[^\W\d_]")


def cut_loops(text: str, site: Site) -> str:
    """With what repeats itself to no end only once."""
    return _cut_words(_cut_lines(text))


def _cut_lines(text: str) -> str:
    lines = text.split("\n")
    for start in range(len(lines)):
        for n in range(1, MAX_BLOCK_LINES + 1):
            block = lines[start : start + n]
            if any(map(_is_telling, block)) and lines[start : start + n * TIMES] == block * TIMES:
                return "\n".join(lines[: start + n])
    return text


def _cut_words(text: str) -> str:
    match = _WORDS.search(text)
    if match is None or not _is_telling(match["unit"]) or not match["unit"].startswith(match["rest"]):
        return text
    return text[: match.end("unit")]


def _is_telling(text: str) -> bool:
    """Rows of zeros, dashes and closing brackets repeat themselves rightly."""
    return len(_LETTERS.findall(text)) >= 3
