"""Attempts, of which figures are made: each completion with what one version of judge and rules says. Only reads."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sqlite_utils import Database

from spa_lsp.completion import Finish
from trainer.rows.stages import EvaluateRun

# fields of an attempt that have another name in their table, where `shown` and `raw` are its two judgements
_COLUMNS = {
    "raw_text": "completions.text",
    "shown_text": "shown.text",
    "sandbox": "shown.sandbox",
    "verdict": "shown.verdict",
    "raw_verdict": "raw.verdict",
}


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One completion of one problem; the fields that begin with `raw_` are before the server's post-processing."""

    problem_id: str
    task_id: str
    place: int  # among the completions of the problem, from 0
    adapter: str
    label: str
    raw_text: str
    shown_text: str
    n_tokens: int
    mean_logprob: float
    finish: Finish
    seconds: float  # of the whole problem, the same in all its attempts
    verdict: str  # a `VerdictKind`, or `needs numpy`
    raw_verdict: str
    sandbox: str
    quantization: str
    device: str
    average_kl: float | None  # of the whole problem; None where nobody computed it
    is_likeliest: int | None  # 1: the right option is, to this adapter; None where there are no options
    class_exact: int | None
    class_ast: int | None
    class_near: int | None
    class_approach: int | None
    raw_class_exact: int | None
    raw_class_ast: int | None
    raw_class_near: int | None
    raw_class_approach: int | None


def load_attempts(
    db: Database, run: EvaluateRun, problem_ids: Sequence[str], *, version: str
) -> dict[str, list[Attempt]]:
    """The attempts of these problems in their order, each by place; all were judged by this version."""
    found: dict[str, list[Attempt]] = {problem_id: [] for problem_id in problem_ids}
    for row in db.query(_QUERY, {"run_id": run.id, "version": version}):
        if row["problem_id"] in found:
            found[row["problem_id"]].append(Attempt(**row))
    return found


def _column(name: str) -> str:
    if name in _COLUMNS:
        return _COLUMNS[name]
    if name.startswith("raw_"):
        return f"raw.{name.removeprefix('raw_')}"
    return f"shown.{name}" if name.startswith("class_") else f"completions.{name}"


def _joined(view: str) -> str:
    key = " AND ".join(f"{view}.{name} = completions.{name}" for name in ("run_id", "problem_id", "place"))
    return f"JOIN judgements {view} ON {key} AND {view}.view = '{view}' AND {view}.version = :version"


_QUERY = f"""
    SELECT {", ".join(f"{_column(field.name)} AS {field.name}" for field in fields(Attempt))}
    FROM completions {_joined("shown")} {_joined("raw")}
    WHERE completions.run_id = :run_id ORDER BY completions.problem_id, completions.place
"""
