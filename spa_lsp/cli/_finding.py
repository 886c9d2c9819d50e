"""What one check of `spa-lsp doctor` found."""

from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["ok", "note", "bad"]

GB = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found: `note` is worth knowing, `bad` keeps completions from working."""

    name: str
    text: str
    state: State = "ok"
    fix: str = ""  # what to do, where it is known
    details: dict[str, Any] = field(default_factory=dict)
