"""Publishes under `failing_io.c`, every write and sync failing in its turn.

python -m tests.storage.failing_publisher ENOSPC once prints a list with what each of them led to, the last being none.
"""

import ctypes
import errno
import json
import sys
from contextlib import closing

from spa_lsp.errors import SpaError
from spa_lsp.storage import store
from tests.storage.publisher import damage, publish, published


def main(error, is_lasting):
    io = ctypes.CDLL(None)
    found = []
    with closing(store.open_store(write=True)) as db:
        publish(db, 0)
    while not found or found[-1]["n_failed"]:
        found.append(attempt(io, len(found) + 1, error, is_lasting))
    json.dump(found, sys.stdout)


def attempt(io, n, error, is_lasting):
    """Publish set n while the n-th call fails: what was said, and what the store has then."""
    said = ""
    with closing(store.open_store(write=True)) as db:
        (before, *_) = published(db)
        io.fail_at(n, error, is_lasting)
        try:
            publish(db, n)
        except SpaError as refused:
            said = type(refused).__name__
        except Exception as unexplained:
            said = f"not explained: {unexplained!r}"
        n_failed = io.count_failed()
        io.fail_at(0, 0, 0)
    with closing(store.open_store()) as db:
        return {
            "n_failed": n_failed,
            "error": said,
            "serves": "new" if published(db)[0] == n else "old" if published(db)[0] == before else "another",
            "damage": damage(db),
        }


if __name__ == "__main__":
    main(getattr(errno, sys.argv[1]), sys.argv[2] == "lasting")
