"""A store's rows as one digest, without what differs between two equal runs: times."""

import hashlib
import json
from contextlib import closing

from spa_lsp.storage.store import open_store

TABLES = ("gradients", "influence", "part_members", "completions", "judgements", "tasks", "task_solutions", "samples")
TIMED = {"seconds", "n"}  # `n` is the order of import


def store_digest():
    """Of all rows that stages have made, in an order of their own."""
    with closing(open_store()) as db:
        rows = {table: sorted(map(_row, db.table(table).rows)) for table in TABLES}
    return {
        table: (len(own), hashlib.sha256(json.dumps(own).encode()).hexdigest()) for table, own in rows.items() if own
    }


def _row(row):
    return sorted((name, repr(value)) for name, value in row.items() if name not in TIMED)
