"""What is noted of alternatives and answers: plain records without SQLite, which a front needs only to write them."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

# rejected: shown, and nothing came of it · edited: accepted, and soon no longer there as it was
EventKind = Literal["shown", "accepted", "partial", "dismissed", "rejected", "edited"]
KINDS = get_args(EventKind)

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.+#-]{0,80}")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one alternative. `prefix` and `text` only when the user lets them be stored."""

    kind: EventKind
    set_id: str
    index: int
    adapter: str
    language: str
    set_sha256: str | None = None  # which of all sets of that name, if it is known
    n_chars: int | None = None  # of a part that was accepted
    prefix: str | None = None
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One answer with alternatives, or without any."""

    set_id: str
    language: str
    latency_ms: float
    n_items: int
    is_cached: bool
    set_sha256: str | None = None  # as of an outcome


def check_names(record: Outcome | Answered) -> None:
    """Refuse a record that could carry code.

    Raises:
        ValueError: a name is not a short plain one.
    """
    named = {"set_id": record.set_id, "set_sha256": record.set_sha256 or "", "language": record.language}
    if isinstance(record, Outcome):
        named |= {"kind": record.kind, "adapter": record.adapter}
    for name, value in named.items():
        if not _PLAIN_NAME.fullmatch(value):
            raise ValueError(f"{name} {value!r} is not a plain name of at most 80 characters")
