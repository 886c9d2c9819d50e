"""One arm on one benchmark in the store: its run, what it lacks, what it wrote, and the figures of all of it.

Each answer is written when it is there: a broken evaluation goes on behind them, and with all completions in the store
no model is needed. Who is asked and in which order is the business of `served`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlite_utils import Database

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.row_plan import BRANCHES
from spa_lsp.completion import TOP_P
from spa_lsp.errors import BadInput
from spa_lsp.storage.store import transaction
from trainer.evaluate.answering import MAX_TOKENS, Answered, EvaluationSettings, Judged, Measured, stop_of
from trainer.evaluate.arms import ArmEntry
from trainer.evaluate.attempts import Attempt, load_attempts
from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.completions import (
    known_problems,
    load_completions,
    made_with,
    problem_id,
    write_average_kl,
    write_completions,
)
from trainer.evaluate.figures.bootstrap import Estimate
from trainer.evaluate.figures.estimates import Values, estimates_of, values_of
from trainer.evaluate.judgements import write_judgements
from trainer.evaluate.views import shown_order
from trainer.rows.runs import begin_run, finish_run
from trainer.rows.stages import EVALUATE, EvaluateFigures, EvaluateParents, EvaluateRun, EvaluateSettings

HEADLINE = (
    "dc_near",
    "pass_first",
    "pass_at_1",
    "pass_at_k",
    "accuracy_loglik",
)  # what `trainer status` shows of a run


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """All that one arm did on one benchmark; attempts by problem id, in the order of the problems."""

    entry: ArmEntry
    adapter_set: AdapterSet | None
    run: EvaluateRun
    attempts: dict[str, list[Attempt]]
    tasks: dict[str, str]  # of each problem, see `Problem.task`
    orders: dict[str, list[int]]  # the places that an editor shows, in its order; of infillings
    values: Values
    figures: dict[str, Estimate]


def arm_result(
    db: Database,
    run: EvaluateRun,
    problems: Sequence[Problem],
    entry: ArmEntry,
    *,
    adapter_set: AdapterSet | None,
    version: str,
    has_kl: bool,
) -> ArmResult:
    """The figures over all problems given, which have been answered and judged; they are noted with the run.

    Args:
        db: open for writing.
        run: of the arm, see `arm_run`.
        problems: of one benchmark.
        entry: the arm.
        adapter_set: what answered; None for the base.
        version: of the judge whose judgements count.
        has_kl: whether the average KL is a figure; then all completions have it.
    """
    tasks = {problem_id(problem): problem.task for problem in problems}
    attempts = load_attempts(db, run, list(tasks), version=version)
    orders = shown_orders(db, run, problems, ranker=adapter_set.ranker if adapter_set else {})
    values = values_of(attempts, is_code=problems[0].layout != "choice", orders=orders, has_lead=entry.is_served)
    if not has_kl:
        values.pop("average_kl", None)  # perhaps some problems have it, of other calls
    figures = estimates_of(values, attempts, tasks)
    headline = {name: figures[name].mean for name in HEADLINE if name in figures}
    run = finish_run(db, run, EvaluateFigures(n_problems=len(tasks), **headline))
    return ArmResult(
        entry=entry,
        adapter_set=adapter_set,
        run=run,
        attempts=attempts,
        tasks=tasks,
        orders=orders,
        values=values,
        figures=figures,
    )


def shown_orders(
    db: Database, run: EvaluateRun, problems: Sequence[Problem], *, ranker: Mapping[str, float]
) -> dict[str, list[int]]:
    """By the id of each infilling the places of its completions that an editor shows, in its order. Asks no model."""
    found = {}
    for problem in problems:
        if problem.layout == "infill":
            alternatives = [each.alternative for each in load_completions(db, run, problem_id(problem))]
            found[problem_id(problem)] = shown_order(
                problem, alternatives, has_lead=bool(run.settings.lead), ranker=ranker
            )
    return found


def write_rows(db: Database, runs: Sequence[EvaluateRun], rows: Sequence[Answered | Judged | Measured]) -> None:
    """Write what arms answered and what is said of it, all or none; `runs` are those of all arms.

    Raises:
        BadInput: the store's completions of a run were made in another precision.
    """
    with transaction(db):
        for row in rows:
            run = runs[row.arm]
            if isinstance(row, Judged):
                write_judgements(db, run, row.judgements)
            elif isinstance(row, Measured):
                _check_precision(db, run, row.made_with)
                write_average_kl(db, run, row.problem_id, row.average_kl)
            else:
                _check_precision(db, run, (row.completions[0].quantization, row.completions[0].device))
                write_completions(db, run, row.completions)


def arm_run(
    db: Database, problem: Problem, entry: ArmEntry, settings: EvaluationSettings, adapter_set: AdapterSet | None
) -> EvaluateRun:
    """The run of one arm on one benchmark.

    Its key is all that one completion depends on, so neither the number of problems nor the judge; a set that is
    trained anew under its name is another one.
    """
    asked = EvaluateSettings(
        arm=entry.label,
        benchmark=problem.benchmark,
        layout=problem.layout,
        answer_start="" if problem.layout == "infill" else problem.begun,
        k=entry.n_rows,
        temperature=entry.temperature,
        top_p=TOP_P if entry.temperature else 1.0,
        max_tokens=settings.max_tokens or MAX_TOKENS[problem.layout],
        stop=stop_of(problem),
        base=settings.base_id,
        quantization=settings.quantization,
        adapter_set=adapter_set.name if adapter_set else "",
        lead=_lead(adapter_set) if entry.is_served else "",
        others=_others(entry, adapter_set) if entry.is_served else "",
    )
    adapters = tuple(info.sha256 for info in adapter_set.adapters) if adapter_set else ()
    return begin_run(db, EVALUATE, asked, parents=EvaluateParents(adapters=adapters), seed=settings.seed)


def missing_problems(db: Database, run: EvaluateRun, problems: Sequence[Problem]) -> list[Problem]:
    """The problems that the run has no completions for."""
    known = known_problems(db, run)
    return [problem for problem in problems if problem_id(problem) not in known]


def _lead(adapter_set: AdapterSet | None) -> str:
    return adapter_set.adapters[adapter_set.lead_index].name if adapter_set else "base"


def _others(entry: ArmEntry, adapter_set: AdapterSet | None) -> str:
    is_read_once = adapter_set is None or adapter_set.activation == "completion" or entry.is_one_model
    return BRANCHES if is_read_once else ""  # else samples, as ever


def _check_precision(db: Database, run: EvaluateRun, now: tuple[str, str]) -> None:
    before = made_with(db, run)
    if before and before != now:
        raise BadInput(
            f"the store holds completions of {run.settings.arm} in {' on '.join(before)}, these are in "
            f"{' on '.join(now)}; pass --quantization {before[0]} or --seed another"
        )
