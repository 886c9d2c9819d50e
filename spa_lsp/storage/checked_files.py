"""sha256 of files, streamed, and copies that are only kept when their sha256 is the right one."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from spa_lsp.errors import Damaged
from spa_lsp.storage.whole_files import written_whole

CHUNK_BYTES = 1 << 20

# Called with the number of bytes read since the last call.
OnBytes = Callable[[int], object]


def read_chunks(path: Path, on_bytes: OnBytes | None = None) -> Iterator[bytes]:
    """The content of a file in pieces of at most 1 MiB."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
            if on_bytes:
                on_bytes(len(chunk))


def hash_file(path: Path, on_bytes: OnBytes | None = None) -> str:
    """Lower-case hex sha256 of a file."""
    hasher = hashlib.sha256()
    for chunk in read_chunks(path, on_bytes):
        hasher.update(chunk)
    return hasher.hexdigest()


def write_checked(path: Path, chunks: Iterable[bytes], *, sha256: str, what: str) -> None:
    """Write `path`; it appears only whole, synced, and with the right sha256.

    Args:
        path: where the file goes; an older one is replaced at the end, or kept if the new one is wrong.
        chunks: the content.
        sha256: what it must hash to; empty: not known, not checked.
        what: names the content in the error.

    Raises:
        Damaged: the content has another sha256.
    """
    with written_whole(path) as unfinished:
        found = _write(unfinished, chunks)
        if sha256 and found != sha256:
            raise Damaged(f"{what} has sha256 {found}, expected {sha256}; it was not kept")


def _write(path: Path, chunks: Iterable[bytes]) -> str:
    hasher = hashlib.sha256()
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            hasher.update(chunk)
    return hasher.hexdigest()
