"""Files and folders that appear whole or not at all, and how one sees that a file has changed without reading it."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Stamp = tuple[int, int] | None  # time of the last change in ns, bytes; None: there is no such file


def file_stamp(path: Path | bytes) -> Stamp:
    """What is another when a file was written anew, made or removed; nothing is read."""
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it takes the place of `path` when the block ends well, else it is removed.

    The folder is made if there is none. What was written is on the disk before it is renamed.

    Raises:
        OSError: as the system says it; what stood at `path` is as it was.
    """
    if path.exists() and not path.is_file():  # root could put a file in the place of a device, as /dev/stdout is one
        raise OSError(errno.EINVAL, "is no file", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield unfinished
        sync(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def put_in_place(unfinished: Path, folder: Path) -> None:
    """Rename a folder that is finished, on the same disk, to `folder`; what stood there is removed.

    All that is in it is on the disk before.

    Raises:
        OSError: as the system says it; what stood at `folder` is as it was.
    """
    for path in (unfinished, *unfinished.rglob("*")):
        sync(path)
    aside = unfinished.with_name(f"{unfinished.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    if folder.exists():
        folder.rename(aside)
    try:
        unfinished.rename(folder)
    except OSError:
        if aside.exists():
            aside.rename(folder)
        raise
    sync(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's entries, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
