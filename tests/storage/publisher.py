"""A trainer that publishes one set after the other: python -m tests.storage.publisher FIRST PAUSE_S.

It says "ready", then the number of each set as soon as that is published, until it is killed. A set's number says what
is in it.
"""

import hashlib
import os
import sys
import time
from contextlib import closing

from numpy.random import default_rng

from spa_lsp.storage import store

N_BYTES = int(os.environ.get("SPA_TEST_SET_BYTES", store.CHUNK_BYTES * 3 // 2))  # of an adapter; by default two rows
NAMES = ("a1", "a2", "a3")


def adapters_of(number):
    """What is in a set: bytes of no format, which the store does not look into."""
    return {name: default_rng([number, n]).bytes(N_BYTES) for n, name in enumerate(NAMES)}


def manifest_of(number, adapters):
    """As much of a manifest as the store reads."""
    records = [
        {"name": name, "label": "", "sha256": hashlib.sha256(data).hexdigest(), "n_bytes": len(data)}
        for name, data in adapters.items()
    ]
    return {"name": f"set-{number}", "base_id": "tiny", "adapters": records}


def publish(db, number):
    """Publish the set with this number; its id."""
    adapters = adapters_of(number)
    return store.publish_set(db, manifest_of(number, adapters), adapters)


def damage(db):
    """What SQLite finds wrong when it looks at all of the file, indexes too; empty when it is sound."""
    lines = [line for (line,) in db.execute("PRAGMA integrity_check")]
    return [] if lines == ["ok"] else lines


def published(db):
    """Numbers of the sets that the store has, the published one first, each of whose bytes was looked at; one moment.

    Raises:
        SpaError: one cannot be read.
        AssertionError: one has other bytes.
    """
    db.execute("BEGIN")
    manifests = store.load_manifests(db)
    numbers = [int(manifest["name"].removeprefix("set-")) for manifest in manifests]
    for number in numbers:
        adapters = adapters_of(number)
        set_id = store.json_sha256(manifest_of(number, adapters))
        assert all(store.load_adapter(db, set_id, name) == data for name, data in adapters.items())
    db.execute("COMMIT")
    return numbers


def main(first, pause_s):
    with closing(store.open_store(write=True)) as db:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            publish(db, first)
            sys.stdout.write(f"{first}\n")
            sys.stdout.flush()
            first += 1
            time.sleep(pause_s)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
