"""Samples of what the user accepted in editors, where the setting `recordOutcomes` is `"text"`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spa_lsp.errors import NotFound
from spa_lsp.outcomes.file import read_outcomes
from trainer.data.fences import fenced


def write_accepted(path: Path) -> int:
    """Write one line of OSS-Instruct JSONL for each accepted alternative whose text was stored; how many.

    Raises:
        NotFound: there is none.
    """
    lines = [json.dumps(sample) for sample in _samples(read_outcomes())]
    if not lines:
        raise NotFound('no accepted text is stored; set recordOutcomes to "text" and accept alternatives in an editor')
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)


def _samples(outcomes: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
    for row in outcomes:
        if row["kind"] == "accepted" and row.get("text"):
            language, prefix = row["language"], row["prefix"] or ""
            yield {
                "lang": language,
                "problem": f"Complete this {language} code.\n\n{fenced(prefix, language)}",
                "solution": fenced(prefix + row["text"], language),
                "adapter": row["adapter"],
            }
