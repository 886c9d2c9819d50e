"""The key that a server asks for: from the environment, or a file that nobody else can read. It is never logged."""

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
    key = (_read_file(Path(where).expanduser()) if "/" in where else os.environ.get(where, "")).strip()
    if not key:
        raise BadInput(f"engineKey: there is nothing in {where}; put the key there")
    if not key.isascii() or not key.isprintable():
        raise BadInput(f"engineKey: what is in {where} is not one line of printable ASCII; put the key alone there")
    return key


def _read_file(path: Path) -> str:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            _check_private(path, status)
            return file.read(_MAX_BYTES).decode(errors="replace")
    except OSError as error:
        raise BadInput(f"engineKey: {path} cannot be read ({error.strerror}); write the key there, mode 0600") from None


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise BadInput(f"engineKey: {path} is not a file; write the key into one, mode 0600")
    if status.st_mode & 0o077 or status.st_uid != os.getuid():
        raise BadInput(f"engineKey: others can read {path}; run: chmod 600 {path}")
