"""Where alternatives are asked for, and how one place follows from another while the user types. Pure."""

import re
from dataclasses import dataclass

from spa_lsp.server.documents import Document
from spa_lsp.text.site import Site

HEAD_CHARS = 4000  # enough to know a place again; a change farther away is hardly seen by the model
TAIL_CHARS = 1000
MAX_TYPED = 2000
MAX_PAIRED = 4
PAIRS = {")": "(", "]": "[", "}": "{", '"': '"', "'": "'", "`": "`"}


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """A cursor in one version of a document; `start` and `end` differ where the client's menu would replace text."""

    document: Document
    start: int
    end: int
    typed: str = ""  # chosen in the client's own menu


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A place that is known again in other versions: by the text around it and its distance from both ends.

    A `Site` alone would not do: the same text may stand twice in a document. Here it has the document's own line ends.
    """

    uri: str
    start: int  # characters before the cursor
    n_behind: int  # and behind it
    site: Site


def spot_of(cursor: Cursor) -> Spot:
    """The place of a cursor."""
    document, text = cursor.document, cursor.document.text
    head = text[max(0, cursor.start - HEAD_CHARS) : cursor.start] + cursor.typed
    tail = text[cursor.end : cursor.end + TAIL_CHARS]
    return Spot(
        uri=document.uri,
        start=cursor.start + len(cursor.typed),
        n_behind=len(text) - cursor.end,
        site=Site(prefix=head[-HEAD_CHARS:], suffix=tail, language=document.language),
    )


def is_inside_word(cursor: Cursor) -> bool:
    """Whether letters, digits or `_` stand on both sides of the cursor."""
    text = cursor.document.text
    before = cursor.typed[-1:] or text[max(0, cursor.start - 1) : cursor.start]
    return bool(re.fullmatch(r"\w\w", before + text[cursor.end : cursor.end + 1]))


def typed_since(old: Spot, new: Spot) -> str | None:
    """What was inserted before the cursor since the old place; None when anything else is different.

    Brackets and quotes that the editor closed by itself are no difference; `new.n_behind` tells how many there are.
    """
    n = new.start - old.start
    if old.uri != new.uri or not 0 <= n <= MAX_TYPED:
        return None
    before, head, tail = old.site.prefix, new.site.prefix, new.site.suffix
    head, typed = (head[:-n], head[-n:]) if n else (head, "")
    if not (before.endswith(head) if len(head) < len(before) else head.endswith(before)):
        return None
    n_paired = new.n_behind - old.n_behind
    if not 0 <= n_paired <= MAX_PAIRED or not _are_paired(typed, tail[:n_paired]):
        return None
    if tail[n_paired:] != old.site.suffix[: len(tail) - n_paired]:
        return None
    return typed.replace("\r\n", "\n").replace("\r", "\n")  # as alternatives have it


def _are_paired(typed: str, closers: str) -> bool:
    """Whether an editor puts these behind the cursor by itself when that is typed."""
    return all(PAIRS.get(closer, "\0") in typed for closer in closers)
