"""Folders and files that only the user can read: adapters and stores can give back the code they were made from."""

import os
from pathlib import Path


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
