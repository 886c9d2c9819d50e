"""The key that a server asks for: from the environment, or a file that nobody else can read. It is never logged.

Nor is what the setting says while nothing is there: it may be the key itself, put there by mistake.
"""

import os
import stat
from pathlib import Path

from spa_lsp.errors import BadInput

_MAX_BYTES = 10_000


def read_key(where: str) -> str:
    """The key that lies in this variable, or where there is a `/` in it, in this file; empty for an empty `where`.

    Raises:
        BadInput: it is not there, others can read it, or it is no key.
    """
    if not where:
        return ""
    is_file = "/" in where
    key = (_read_file(Path(where).expanduser()) if is_file else os.environ.get(where, "")).strip()
    if not key and is_file:
        raise BadInput("engineKey names a file that is empty; put the key there")
    if not key:
        raise BadInput("engineKey names an environment variable that is not set; put the key there, or into a file")
    if not key.isascii() or not key.isprintable():
        what = "a file" if is_file else "an environment variable"
        raise BadInput(f"engineKey names {what} that is not one line of printable ASCII; put the key alone there")
    return key


def _read_file(path: Path) -> str:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            _check_private(path, status)
            return file.read(_MAX_BYTES).decode(errors="replace")
    except OSError as error:
        way_out = "write the key there, mode 0600"
        raise BadInput(f"engineKey names a file that cannot be read ({error.strerror}); {way_out}") from None


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise BadInput("engineKey names something that is not a file; write the key into one, mode 0600")
    if status.st_mode & 0o077 or status.st_uid != os.getuid():
        raise BadInput(f"engineKey: others can read {path}; run: chmod 600 {path}")  # so it is a file's name
