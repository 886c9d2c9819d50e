"""Cursors in the middle of words, in files that everybody has: the standard library."""

import re
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from random import Random

# no tests, no data, and code that people write today
FILES = ("argparse", "calendar", "configparser", "csv", "difflib", "fnmatch", "gettext", "heapq", "mailbox", "shlex")
BEFORE, BEHIND = 600, 300  # characters of context
_WORD = re.compile(r"[A-Za-z]{5,}")


@dataclass(frozen=True, kw_only=True)
class MidWord:
    """A cursor behind some letters of a word; `rest` are the others."""

    prefix: str
    rest: str
    suffix: str


def mid_words(n, *, seed=0):
    """`n` cuts, of which every other one has nothing behind it on its line, as when one types a new one."""
    rng = Random(seed)
    texts = [(Path(sysconfig.get_path("stdlib")) / f"{name}.py").read_text(encoding="utf-8") for name in FILES]
    return [_cut(rng.choice(texts), rng, is_line_open=number % 2 == 0) for number in range(n)]


def _cut(text, rng, *, is_line_open):
    word = rng.choice([match for match in _WORD.finditer(text) if match.start() > BEFORE])
    cursor = rng.randint(word.start() + 2, word.end() - 1)
    end = text.index("\n", word.end()) if is_line_open else word.end()
    return MidWord(
        prefix=text[cursor - BEFORE : cursor], rest=text[cursor : word.end()], suffix=text[end : end + BEHIND]
    )


def is_right(cut, text):
    """Whether a completion writes the rest of the word and no more letters."""
    written = re.match(r"[A-Za-z]*", text)
    return written is not None and written[0] == cut.rest
