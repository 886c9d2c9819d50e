"""Attempts: what was asked and what came back, a row per completion. Reads and writes rows, judges nothing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlite_utils import Database

from spa_lsp.completion import Finish
from spa_lsp.storage.store import transaction
from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.sameness.distinct import LEVELS, Classes
from trainer.rows.runs import Run, content_id


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
    verdict_s: float
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


def problem_id(problem: Problem) -> str:
    """The digest of all that a problem says: another wording or another test is another problem."""
    said = {name: value for name, value in asdict(problem).items() if value or name not in ("probe", "function")}
    if begun := said.pop("begun"):  # ids of before there was one, or a probe, stay; and of when it had another name
        said["answer_start"] = begun
    return content_id(said)


def class_fields(classes: Classes, place: int, *, prefix: str = "") -> dict[str, Any]:
    """The fields of an attempt for its classes."""
    return {f"{prefix}class_{level}": classes[level][place] for level in LEVELS}


def known_problems(db: Database, run: Run) -> set[str]:
    """The ids of the problems that the run has attempts for."""
    query = "SELECT DISTINCT problem_id FROM attempts WHERE run_id = ?"
    return {row["problem_id"] for row in db.query(query, [run.id])}


def write_attempts(db: Database, run: Run, attempts: Sequence[Attempt]) -> None:
    """Add the attempts of a batch, all or none."""
    with transaction(db):
        db.table("attempts").insert_all({"run_id": run.id, **asdict(attempt)} for attempt in attempts)


def load_attempts(db: Database, run: Run, problem_ids: Sequence[str]) -> dict[str, list[Attempt]]:
    """The attempts of these problems in their order, each problem's by place."""
    found: dict[str, list[Attempt]] = {problem_id: [] for problem_id in problem_ids}
    for row in db.query("SELECT * FROM attempts WHERE run_id = ? ORDER BY problem_id, place", [run.id]):
        if row["problem_id"] in found:
            del row["run_id"]
            found[row["problem_id"]].append(Attempt(**row))
    return found


def made_with(db: Database, run: Run) -> tuple[str, str] | None:
    """Quantization and device of the attempts that the run has; None when it has none."""
    query = "SELECT quantization, device FROM attempts WHERE run_id = ? LIMIT 1"
    return next(((row["quantization"], row["device"]) for row in db.query(query, [run.id])), None)
