"""Judgements: what the judge and the rules make of stored completions, a row per completion and view. No model.

Each names the version of judge and rules that made it. When these change, the next evaluation judges anew what it
needs; what is old stays beside it and is never mixed in.
"""

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from sqlite_utils import Database

from spa_lsp.completion import Alternative
from spa_lsp.errors import Unavailable
from trainer.evaluate.benchmarks.choice import is_right
from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.completions import Completion, load_completions, problem_id
from trainer.evaluate.judge.verdict import Verdict, judge
from trainer.evaluate.sameness.distinct import classify
from trainer.evaluate.views import View, raw_view, shown_view
from trainer.rows.stages import EvaluateRun

ViewName = Literal["shown", "raw"]
VIEWS: dict[ViewName, Callable[[Problem, Alternative], View]] = {"shown": shown_view, "raw": raw_view}
FAILED = Verdict(kind="fail", seconds=0.0, error="the adapter was disabled")

# all that decides a judgement but for the problem: files, and folders of them, beside each other in every installation
_ROOT = Path(__file__).parents[2]
_RULES = (
    "spa_lsp/text",
    "trainer/data/fences.py",
    *(f"trainer/evaluate/{name}" for name in ("judge", "sandbox", "sameness", "views.py", "judgements.py")),
    *(f"trainer/evaluate/benchmarks/{name}.py" for name in ("choice", "oracle", "text")),
)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """One completion in one view: its text there, whether it is right, and its class among those of its problem."""

    problem_id: str
    place: int
    view: ViewName
    version: str
    text: str
    verdict: str  # a `VerdictKind`, or `needs numpy`
    error: str
    seconds: float
    sandbox: str
    class_exact: int | None
    class_ast: int | None
    class_near: int | None
    class_approach: int | None


@cache
def rules_version(allow_packages: Sequence[str] = ()) -> str:
    """A digest of the sources that judge, of Python's version and of what programs may import besides its library."""
    found = hashlib.sha256(repr((sys.version_info[:2], sorted(allow_packages))).encode())
    for path in (file for name in _RULES for file in _sources(_ROOT / name)):
        found.update(f"{path.relative_to(_ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def _sources(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def unjudged(
    db: Database, run: EvaluateRun, problems: Sequence[Problem], *, version: str
) -> list[tuple[Problem, list[Completion]]]:
    """The problems that have completions which this version has not judged, and these."""
    query = "SELECT DISTINCT problem_id FROM judgements WHERE run_id = ? AND version = ?"
    known = {row["problem_id"] for row in db.query(query, [run.id, version])}
    missing = {key: problem for problem in problems if (key := problem_id(problem)) not in known}
    found = [(problem, load_completions(db, run, key)) for key, problem in missing.items()]
    return [(problem, completions) for problem, completions in found if completions]


def write_judgements(db: Database, run: EvaluateRun, found: Sequence[Judgement]) -> None:
    """Add those of a problem, in the transaction of the caller."""
    db.table("judgements").insert_all({"run_id": run.id, **asdict(each)} for each in found)


def judgements(problem: Problem, completions: Sequence[Completion], version: str) -> list[Judgement]:
    """The judgements of all completions of a problem, in both views."""
    views = {name: [view(problem, each.alternative) for each in completions] for name, view in VIEWS.items()}
    verdicts = _verdicts(problem, [view for own in views.values() for view in own])  # equal texts are run once
    return [
        judgement
        for n, (name, own) in enumerate(views.items())
        for judgement in _judged(problem, completions, name, own, verdicts=verdicts[n * len(own) :], version=version)
    ]


def _judged(
    problem: Problem,
    completions: Sequence[Completion],
    view: ViewName,
    views: Sequence[View],
    *,
    verdicts: Sequence[Verdict],
    version: str,
) -> Iterator[Judgement]:
    classes = classify([each.candidate(problem) for each in views], problem.compared)
    for n, completion in enumerate(completions):
        yield Judgement(
            problem_id=completion.problem_id,
            place=completion.place,
            view=view,
            version=version,
            text=views[n].text,
            verdict=verdicts[n].label,
            error=verdicts[n].error,
            seconds=verdicts[n].seconds,
            sandbox=verdicts[n].sandbox,
            class_exact=classes["exact"][n],
            class_ast=classes["ast"][n],
            class_near=classes["near"][n],
            class_approach=classes["approach"][n],
        )


def _verdicts(problem: Problem, views: Sequence[View]) -> list[Verdict]:
    """One for each view: a question's answer is read, all else is run.

    An adapter that was disabled fails, though nothing may complete a program.

    Raises:
        Unavailable: the sandbox failed twice on a program, which says nothing about it.
    """
    if problem.layout == "choice":
        return [_answered(problem, view) for view in views]
    found = iter(judge(problem, [view.completion for view in views if view.completion is not None]))
    verdicts = [FAILED if view.completion is None else next(found) for view in views]
    failed = next((verdict for verdict in verdicts if verdict.kind == "sandbox_error"), None)
    if failed:
        raise Unavailable(
            f"the sandbox failed on a program of {problem.task_id} ({failed.error}); run again, completions are kept"
        )
    return verdicts


def _answered(problem: Problem, view: View) -> Verdict:
    """Generative scoring: whether the text begins with the right answer."""
    is_pass = view.completion is not None and is_right(problem, view.completion)
    return Verdict(kind="pass" if is_pass else "fail", seconds=0.0)
