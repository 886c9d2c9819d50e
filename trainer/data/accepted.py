"""Samples of what the user accepted in editors, where the setting `recordOutcomes` is `"text"`.

What was accepted and still stood a while later counts more than what was edited; what was rejected has no text and is
no sample. What is learned is the accepted text at its cursor.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from spa_lsp.errors import NotFound
from spa_lsp.outcomes.file import read_outcomes
from trainer.data.fences import fenced
from trainer.data.samples import ACCEPTED, BEFORE, WEIGHT

KEPT, EDITED = 1.0, 0.5  # how much a sample counts; those of other sources count 1
_KINDS = ("accepted", "edited")
_MAX_PREFIX_CHARS = 700  # before the cursor: about 200 tokens, which leaves room within the usual --max-tokens


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


def _samples(outcomes: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each accepted text once; it counts as kept when one that was accepted was not edited afterwards."""
    with_text = [row for row in outcomes if row.get("text")]
    n_accepted, n_edited = (Counter(_place(row) for row in with_text if row["kind"] == kind) for kind in _KINDS)
    adapters = {_place(row): row["adapter"] for row in with_text if row["kind"] == "accepted"}
    for place, adapter in adapters.items():
        language, prefix, text = place
        before = _last_lines(prefix)
        yield {
            "lang": language,
            "problem": f"Complete this {language} code.\n\n{fenced(before, language)}",
            "solution": fenced(before + text, language),
            "adapter": adapter,
            BEFORE: before,
            ACCEPTED: text,
            WEIGHT: KEPT if n_accepted[place] > n_edited[place] else EDITED,
        }


def _place(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["language"], row["prefix"] or "", row["text"]


def _last_lines(prefix: str) -> str:
    """The last whole lines of a text, as many as fit; of a line that is too long its end."""
    if len(prefix) <= _MAX_PREFIX_CHARS:
        return prefix
    end = prefix[-_MAX_PREFIX_CHARS:]
    return end.partition("\n")[2] or end
