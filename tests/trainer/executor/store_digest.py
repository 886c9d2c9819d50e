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
        rows["adapters"] = [_adapters(run["figures"]) for run in db.table("runs").rows_where("stage = 'finetune'")]
    return {
        table: (len(own), hashlib.sha256(json.dumps(own).encode()).hexdigest()) for table, own in rows.items() if own
    }


def _row(row):
    return sorted((name, repr(value)) for name, value in row.items() if name not in TIMED)


def _adapters(figures):
    """All figures of a training but how many adapters were in a pass; the files' sha256 are among them."""
    return {name: value for name, value in json.loads(figures).items() if name != "at_once"}
