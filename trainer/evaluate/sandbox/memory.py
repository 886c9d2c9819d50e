"""Resident memory of a process and all of its descendants, from /proc; a limit of each process alone is no limit."""

import os
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PROC = Path("/proc")


def find_tree(pid: int) -> list[int]:
    """A process and its descendants, parents first; what ends meanwhile is left out. 0.1 ms for a few."""
    found, n_seen = [pid], 0
    while n_seen < len(found):
        found += _children(found[n_seen])
        n_seen += 1
    return found


def resident_bytes(pid: int, *, is_counted: bool = True) -> int:
    """Of a process, if it is counted, and its descendants; pages that several share are counted for each."""
    return sum(_resident_pages(member) for member in find_tree(pid)[0 if is_counted else 1 :]) * PAGE_BYTES


def can_find_trees() -> bool:
    """Whether this kernel names the children of a process."""
    return (PROC / "self" / "task" / str(os.getpid()) / "children").exists()


def _children(pid: int) -> list[int]:
    """Of all threads of a process."""
    folder = PROC / str(pid) / "task"
    try:
        threads = os.listdir(folder)
    except OSError:
        return []
    return [int(word) for thread in threads for word in _words(folder / thread / "children")]


def _resident_pages(pid: int) -> int:
    words = _words(PROC / str(pid) / "statm")
    return int(words[1]) if words else 0


def _words(path: Path) -> list[str]:
    """Of a file of a process that may be gone by now."""
    try:
        return path.read_text().split()
    except OSError:
        return []
