"""Folders and files that only the user can read: adapters and stores can give back the code they were made from."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from spa_lsp.errors import Busy

BUSY_S = 5.0  # a write takes milliseconds


def make_private_folder(folder: Path) -> None:
    """Make a folder that only the user can enter; one that exists keeps its mode, it may be shared on purpose."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def make_private_file(path: Path) -> None:
    """Make an empty file unless there is one; made before SQLite opens it, as -wal and -shm take their mode from it."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)


def write_private_file(path: Path, data: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else who asks changes this file meanwhile; its folder is made when it is not there.

    Raises:
        Busy: somebody else did not finish in time.
    """
    make_private_folder(path.parent)
    lock = FileLock(path.with_suffix(".lock"), mode=0o600)
    try:
        held = lock.acquire(timeout=BUSY_S, poll_interval=0.01)
    except Timeout:
        raise Busy(f"another process has been writing to {path} for {BUSY_S:.0f} s; try again later") from None
    with held:
        yield
