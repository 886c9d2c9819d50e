"""What an error of SQLite means to a person, in one sentence. Imports nothing heavy: every command can ask."""

import shutil
from pathlib import Path

from spa_lsp.errors import Busy, Damaged, NoSpace, SpaError, Unavailable

_INDEX_BYTES = 1 << 15
_DRIVERS = ("sqlite3", "pysqlite3")


def explain(error: BaseException, path: Path) -> SpaError | None:
    """The error as ours, `path` being the file or its folder; None: it is a bug, or not one of SQLite.

    By its text, because pysqlite3 has no error codes.
    """
    if not any(kind.__module__.partition(".")[0] in _DRIVERS for kind in type(error).__mro__):
        return None
    text = str(error)
    if "disk is full" in text or ("I/O error" in text and _is_full(path)):
        return no_space(path)
    if "malformed" in text or "not a database" in text:
        return damaged(path, text)
    if "locking protocol" in text:  # before "locked": nobody holds it, the file system has no such locks
        way_out = "set SPA_HOME to a folder on a local disk"
        return Unavailable(f"{path} cannot be locked ({text}), as on a network's file system; {way_out}")
    if "locked" in text:
        way_out = "wait for the process that uses it, or set SPA_HOME to a folder on a local disk"
        return Busy(f"{path} was locked for too long ({text}); {way_out}")
    if "unable to open" in text or "readonly" in text or "I/O error" in text:
        way_out = "check that its folder can be read and written, or set SPA_HOME to one that can"
        return Unavailable(f"cannot use {path} ({text}); {way_out}")
    return None


def _is_full(path: Path) -> bool:
    """Whether there is no room for the index of the log (`-shm`), which readers need too."""
    folder = path if path.is_dir() else path.parent
    return folder.is_dir() and shutil.disk_usage(folder).free < _INDEX_BYTES


def damaged(path: Path, reason: object) -> Damaged:
    """The file is not what was written."""
    way_out = "move it away, put a backup in its place, or set SPA_HOME to another folder"
    return Damaged(f"{path} is damaged ({reason}); {way_out}")


def no_space(path: Path) -> NoSpace:
    """There is no room left for it."""
    way_out = "make room and run the command again, or set SPA_HOME to a folder on another disk"
    return NoSpace(f"no room left for {path}, nothing published was lost; {way_out}")
