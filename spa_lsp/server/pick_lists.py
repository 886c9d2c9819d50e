"""What a user may pick from a list in the editor: adapter sets and bases. Reads files: not for the event loop."""

from typing import Any


def list_sets(base_id: str) -> list[dict[str, Any]]:
    """The adapter sets of a base, with the labels of their adapters."""
    from spa_lsp.adapters.finding import list_sets, source_of  # brings SQLite

    return [
        {
            "name": found.name,
            "k": found.k,
            "source": source_of(found),
            "labels": [adapter.label for adapter in found.adapters],
        }
        for found in list_sets(base_id)
    ]


def list_bases() -> list[dict[str, Any]]:
    """The bases of the catalog; `is_ready`: it is on this machine."""
    from spa_lsp.bases.catalog import is_ready, load_catalog

    return [{"id": base_id, "is_ready": is_ready(base)} for base_id, base in load_catalog().items()]


def read_metrics() -> dict[str, Any]:
    """What `spa-lsp metrics --json` prints."""
    from spa_lsp.outcomes.file import read_answers, read_outcomes
    from spa_lsp.outcomes.metrics import summarize

    return summarize(read_outcomes(), read_answers())
