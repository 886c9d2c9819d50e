"""The evaluations that `trainer report` shows without a file: where they lie, and which one is meant.

They are exports without the benchmarks' own text, which is kept only where somebody asks for it with `--export`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spa_lsp import paths
from spa_lsp.errors import NotFound
from trainer.rows.records import content_id


def evaluation_path(document: Mapping[str, Any]) -> Path:
    """Where an export is kept: the same command, called again, has the same place."""
    asked = [[own["name"], own["n_problems"], [arm["run_id"] for arm in own["arms"]]] for own in document["benchmarks"]]
    settings = document["settings"]  # no part of a run: the same one has answers, or judgements, with and without
    how = [value for name in ("begun_chars", "allow_packages") if (value := settings.get(name))]
    return _folder() / f"{content_id([*asked, *how])[:16]}.json"


def find_evaluation(run_id: str | None) -> Path:
    """The newest evaluation, or the newest that has an arm whose run's id begins so.

    Raises:
        NotFound: there is none.
    """
    newest_first = sorted(_folder().glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    found = next((path for path in newest_first if run_id is None or _has_run(path, run_id)), None)
    if found is None:
        what = "no evaluation yet" if run_id is None else f"no evaluation with a run that begins with {run_id!r}"
        raise NotFound(f"there is {what}; run: trainer evaluate, or name a file that it wrote with --export")
    return found


def _has_run(path: Path, run_id: str) -> bool:
    document = json.loads(path.read_bytes())
    return any(arm["run_id"].startswith(run_id) for own in document["benchmarks"] for arm in own["arms"])


def _folder() -> Path:
    return paths.data_dir() / "evaluations"
