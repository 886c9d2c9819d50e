"""What the user has changed since the last commit, by file, as diffs. Not for the event loop: Git is asked.

Off unless the setting `contextChars` gives it room.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spa_lsp.workspace.git import run_git

# nothing that configuration or attributes of the repository name is run; names as they are
_DIFF = (
    "-c core.quotePath=false diff --no-color --no-ext-diff --no-textconv --no-renames --no-prefix --relative -U1 HEAD"
)
_HEADER = re.compile(r"^diff --git ", re.MULTILINE)
_NAME = re.compile(r"^\+\+\+ ([^\"\n\t][^\n\t]*)\t?\n", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Change:
    """What changed in one file."""

    path: Path
    text: str  # its hunks


def find_changes(folders: Sequence[Path], *, n_chars: int, is_wanted: Callable[[Path], bool]) -> list[Change]:
    """The changes of the files written last that fit into `n_chars`, the newest at the end; a long one is cut."""
    found = [change for folder in folders for change in _changes_in(folder) if is_wanted(change.path)]
    kept: list[Change] = []
    for change in sorted(found, key=_written_at, reverse=True):
        room = n_chars - sum(len(each.text) for each in kept)
        text = change.text if len(change.text) <= room else change.text[: change.text.rfind("\n", 0, room + 1) + 1]
        if text.count("\n") > 1:  # more than the head of a hunk
            kept.append(Change(path=change.path, text=text.rstrip("\n")))
    return kept[::-1]


def parse_diff(diff: str) -> dict[str, str]:
    """The hunks by file; files that were removed, binary ones and odd names are left out."""
    parts = (part for part in _HEADER.split(diff)[1:])
    named = ((match, part) for part in parts if (match := _NAME.search(part)) and match[1] != "/dev/null")
    return {match[1]: part[match.end() :] for match, part in named}


def _changes_in(folder: Path) -> list[Change]:
    diff = run_git(str(folder).encode("utf-8", "surrogateescape"), *_DIFF.split())
    texts = parse_diff(diff.decode("utf-8", "replace")) if diff else {}
    return [Change(path=folder / name, text=text) for name, text in texts.items()]


def _written_at(change: Change) -> int:
    try:
        return change.path.stat().st_mtime_ns
    except OSError:
        return 0
