"""Where alternatives are asked for, and how one place follows from another while the user types. Pure."""

import re
from dataclasses import dataclass

HEAD_CHARS = 4000  # enough to know a place again; a change farther away is hardly seen by the model
TAIL_CHARS = 1000
MAX_TYPED = 2000
MAX_PAIRED = 4
PAIRS = {")": "(", "]": "[", "}": "{", '"': '"', "'": "'", "`": "`"}


@dataclass(frozen=True, kw_only=True)
class Question:
    """A cursor in one version of a document; `start` and `end` differ where the client's menu would replace text."""

    uri: str
    version: int
    start: int
    end: int
    typed: str = ""  # chosen in the client's own menu


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A place by the text around it, as it stands in the document: the same text gets the same alternatives."""

    uri: str
    start: int  # characters before the cursor
    n_behind: int  # and behind it
    head: str
    tail: str


def spot_of(question: Question, text: str) -> Spot:
    """The place of a question in the text of its document."""
    head = text[max(0, question.start - HEAD_CHARS) : question.start] + question.typed
    return Spot(
        uri=question.uri,
        start=question.start + len(question.typed),
        n_behind=len(text) - question.end,
        head=head[-HEAD_CHARS:],
        tail=text[question.end : question.end + TAIL_CHARS],
    )


def is_inside_word(question: Question, text: str) -> bool:
    """Whether letters, digits or `_` stand on both sides of the cursor."""
    before = question.typed[-1:] or text[max(0, question.start - 1) : question.start]
    return bool(re.fullmatch(r"\w\w", before + text[question.end : question.end + 1]))


def typed_since(old: Spot, new: Spot) -> str | None:
    """What was inserted before the cursor since the old place; None when anything else is different.

    Brackets and quotes that the editor closed by itself are no difference; `new.n_behind` tells how many there are.
    """
    n = new.start - old.start
    if old.uri != new.uri or not 0 <= n <= MAX_TYPED:
        return None
    head, typed = (new.head[:-n], new.head[-n:]) if n else (new.head, "")
    if not (old.head.endswith(head) if len(head) < len(old.head) else head.endswith(old.head)):
        return None
    n_paired = new.n_behind - old.n_behind
    if not 0 <= n_paired <= MAX_PAIRED or not _are_paired(typed, new.tail[:n_paired]):
        return None
    if new.tail[n_paired:] != old.tail[: len(new.tail) - n_paired]:
        return None
    return typed.replace("\r\n", "\n").replace("\r", "\n")  # as alternatives have it


def _are_paired(typed: str, closers: str) -> bool:
    """Whether an editor puts these behind the cursor by itself when that is typed."""
    return all(PAIRS.get(closer, "\0") in typed for closer in closers)
