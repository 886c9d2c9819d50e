"""The cursor in the middle of a word: what of it stands behind the cursor is replaced, whatever the completion is."""

import re
from dataclasses import replace

from spa_lsp.text.site import Site

_WORD_BEFORE = re.compile(r"\w{1,200}\Z")
_WORD_BEHIND = re.compile(r"\w*")
_TELLING_CHARACTERS = 2  # one letter before the cursor may well be the completion's first


def word_behind(site: Site) -> str:
    """What stands behind the cursor of a word that begins before it; empty where the cursor is in none."""
    return _behind(site) if _WORD_BEFORE.search(site.line[-1:]) else ""


def beyond_word(site: Site) -> Site:
    """The same place without that rest of a word."""
    return replace(site, suffix=site.suffix[len(word_behind(site)) :])


def fit_word(text: str, site: Site) -> str:
    """What takes the place of that rest; only a word where the line goes on behind it as the text does."""
    behind = word_behind(site)
    if not behind:
        return text
    text = _without_word_before(text, site)
    word = _WORD_BEHIND.match(text)
    assert word is not None
    following = text[word.end() : word.end() + 1]
    if following and site.rest[len(behind) :].startswith(following):
        text = word[0]
    return "" if text == behind else text


def _behind(site: Site) -> str:
    found = _WORD_BEHIND.match(site.rest)
    return found[0] if found else ""


def _without_word_before(text: str, site: Site) -> str:
    """Without what the model repeats of the word before the cursor: `calc‸ulate` and `calculate_total`."""
    found = _WORD_BEFORE.search(site.line[-200:])
    before = found[0] if found else ""
    return text.removeprefix(before) if len(before) >= _TELLING_CHARACTERS else text
