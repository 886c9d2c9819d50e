"""Completions: what was asked of a model and what came back, a row each. Judges nothing.

A row is never changed, but that its average KL may come later, after an evaluation without.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlite_utils import Database

from spa_lsp.completion import Alternative, Finish
from trainer.evaluate.benchmarks.problems import Problem
from trainer.rows.records import content_id
from trainer.rows.stages import EvaluateRun


@dataclass(frozen=True, kw_only=True)
class Completion:
    """One completion of one problem, and what only the model could say of it."""

    problem_id: str
    task_id: str
    place: int  # among the completions of the problem, from 0
    adapter: str
    label: str
    text: str  # the engine's: cut where its stop policy cuts, nothing else done to it
    n_tokens: int
    mean_logprob: float
    finish: Finish
    seconds: float  # of the whole problem, the same in all its completions
    quantization: str
    device: str
    average_kl: float | None  # of the whole problem; None where nobody computed it
    is_likeliest: int | None  # 1: the right option is, to this adapter; None where there are no options

    @property
    def alternative(self) -> Alternative:
        """It as the engine gave it."""
        return Alternative(
            text=self.text,
            adapter=self.adapter,
            label=self.label,
            index=self.place,
            mean_logprob=self.mean_logprob,
            n_tokens=self.n_tokens,
            finish=self.finish,
        )


def problem_id(problem: Problem) -> str:
    """The digest of all that a problem says: another wording or another test is another problem."""
    said = {name: value for name, value in asdict(problem).items() if value or name not in ("probe", "function")}
    if begun := said.pop("begun"):  # ids of before there was one, or a probe, stay; and of when it had another name
        said["answer_start"] = begun
    return content_id(said)


def known_problems(db: Database, run: EvaluateRun) -> set[str]:
    """The ids of the problems that the run has completions for."""
    query = "SELECT DISTINCT problem_id FROM completions WHERE run_id = ?"
    return {row["problem_id"] for row in db.query(query, [run.id])}


def write_completions(db: Database, run: EvaluateRun, completions: Sequence[Completion]) -> None:
    """Add those of a problem, in the transaction of the caller."""
    db.table("completions").insert_all({"run_id": run.id, **asdict(each)} for each in completions)


def write_average_kl(db: Database, run: EvaluateRun, of_problem: str, value: float | None) -> None:
    """Add what was not measured with the completions of a problem, in the transaction of the caller."""
    query = "UPDATE completions SET average_kl = ? WHERE run_id = ? AND problem_id = ?"
    db.execute(query, [value, run.id, of_problem])


def load_completions(db: Database, run: EvaluateRun, of_problem: str) -> list[Completion]:
    """Those of one problem, by place."""
    query = "SELECT * FROM completions WHERE run_id = ? AND problem_id = ? ORDER BY place"
    rows = db.query(query, [run.id, of_problem])
    return [Completion(**{name: value for name, value in row.items() if name != "run_id"}) for row in rows]


def made_with(db: Database, run: EvaluateRun) -> tuple[str, str] | None:
    """Quantization and device of the completions that the run has; None when it has none."""
    query = "SELECT quantization, device FROM completions WHERE run_id = ? LIMIT 1"
    return next(((row["quantization"], row["device"]) for row in db.query(query, [run.id])), None)
