"""The evaluation itself: an arm answers the problems of a benchmark, and what it wrote is judged.

Each answer is written when it is there: a broken evaluation goes on behind them, and with all completions in the store
no model is needed. Which model answers is the caller's business.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from sqlite_utils import Database

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.completion import TOP_P, CompletionRequest, CompletionResult, StopPolicy
from spa_lsp.errors import BadInput, Unavailable
from trainer.evaluate.arms import ArmEntry
from trainer.evaluate.attempts import Attempt, load_attempts
from trainer.evaluate.benchmarks.choice import is_likeliest
from trainer.evaluate.benchmarks.problems import Layout, Problem
from trainer.evaluate.completions import (
    Completion,
    known_problems,
    load_completions,
    made_with,
    problem_id,
    write_completions,
)
from trainer.evaluate.figures.bootstrap import Estimate
from trainer.evaluate.figures.estimates import Values, estimates_of, values_of
from trainer.evaluate.judgements import judge_missing, rules_version
from trainer.evaluate.views import shown_order
from trainer.rows.runs import begin_run, finish_run
from trainer.rows.stages import EVALUATE, EvaluateFigures, EvaluateParents, EvaluateRun, EvaluateSettings

STOP: StopPolicy = "multi"  # what an editor asks for, on single lines too; an instruct answer ends with its code
# of one completion, when none is asked for: a block in an editor, a function with its explanation, a letter and why
MAX_TOKENS: dict[Layout, int] = {"infill": 96, "instruct": 512, "choice": 128}
HEADLINE = (
    "dc_near",
    "pass_first",
    "pass_at_1",
    "pass_at_k",
    "accuracy_loglik",
)  # what `trainer status` shows of a run


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What is equal for all arms of an evaluation."""

    base_id: str
    quantization: str = "auto"
    max_tokens: int | None = None
    seed: int = 0  # of sampling; every problem gets its own from it
    allow_packages: tuple[str, ...] = ()  # what programs may import besides the standard library


class BatchCompleter(Protocol):
    """A completer that answers several requests at once."""

    def complete_many(
        self, requests: Sequence[CompletionRequest], *, on_result: Callable[[int, CompletionResult], object]
    ) -> list[CompletionResult]:
        """All results, of each of which `on_result` is told when it is there; errors as `Completer.complete`."""


# The average KL between the adapters on one text as the answer to a request; None where there is no pair of adapters.
MeasureKl = Callable[[CompletionRequest, str], float | None]
# By the name of each adapter, or of the base, the log-likelihoods of pairs (context, continuation).
MeasureLikelihoods = Callable[[Sequence[tuple[str, str]]], dict[str, list[float]]]


@dataclass(frozen=True, kw_only=True)
class ArmAnswer:
    """What came back for one problem, and its share of the time."""

    result: CompletionResult
    seconds: float
    average_kl: float | None = None
    is_likeliest: dict[str, bool] = field(default_factory=dict)  # the right option, by adapter


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """All that one arm did on one benchmark; attempts by problem id, in the order of the problems."""

    entry: ArmEntry
    adapter_set: AdapterSet | None
    run: EvaluateRun
    attempts: dict[str, list[Attempt]]
    orders: dict[str, list[int]]  # the places that an editor shows, in its order; of infillings
    values: Values
    figures: dict[str, Estimate]


def evaluate_arm(
    db: Database,
    completer: BatchCompleter,
    problems: Sequence[Problem],
    entry: ArmEntry,
    settings: EvaluationSettings,
    *,
    adapter_set: AdapterSet | None,
    **options: Any,
) -> ArmResult:
    """Complete and judge what is missing, then compute the figures over all problems given; see `answer_missing`."""
    run = answer_missing(db, completer, problems, entry, settings, adapter_set=adapter_set, **options)
    ids = [problem_id(problem) for problem in problems]
    attempts = load_attempts(db, run, ids, version=rules_version(settings.allow_packages))
    orders = shown_orders(db, run, problems, ranker=adapter_set.ranker if adapter_set else {})
    values = values_of(attempts, is_code=problems[0].layout != "choice", orders=orders, has_lead=entry.is_served)
    figures = estimates_of(values, attempts)
    headline = {name: figures[name].mean for name in HEADLINE if name in figures}
    run = finish_run(db, run, EvaluateFigures(n_problems=len(ids), **headline))
    return ArmResult(
        entry=entry,
        adapter_set=adapter_set,
        run=run,
        attempts=attempts,
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


def answer_missing(
    db: Database,
    completer: BatchCompleter,
    problems: Sequence[Problem],
    entry: ArmEntry,
    settings: EvaluationSettings,
    *,
    adapter_set: AdapterSet | None,
    measure_kl: MeasureKl | None = None,
    measure_likelihoods: MeasureLikelihoods | None = None,
    on_problems: Callable[[int], object] = lambda _: None,
) -> EvaluateRun:
    """Complete the problems that the arm has no completions for, and judge what is not judged yet.

    Args:
        db: open for writing.
        completer: answers; it is not asked when nothing is missing.
        problems: of one benchmark; one more or less does not change the attempts of the others.
        entry: the arm.
        settings: of the evaluation.
        adapter_set: what the completer serves; None for the base.
        measure_kl: asked once per problem of a greedy set.
        measure_likelihoods: asked once per question that has options.
        on_problems: told how many more problems are done.

    Raises:
        BadInput: the store's completions of this run were made in another precision.
        Unavailable: there is no working sandbox, or it failed on a program.
    """
    run, version = arm_run(db, problems[0], entry, settings, adapter_set), rules_version(settings.allow_packages)
    missing = missing_problems(db, run, problems)
    has_pairs = adapter_set is not None and entry.n_rows > 1 and entry.temperature == 0
    requests = [_request(problem, entry, settings, adapter_set) for problem in missing]

    def note(number: int, result: CompletionResult) -> None:
        problem, answer = missing[number], _answer(result)
        if measure_kl and has_pairs:
            answer = _with_kl(requests[number], answer, measure_kl)
        if measure_likelihoods:
            answer = _with_likelihoods(problem, answer, measure_likelihoods)
        _check_precision(db, run, answer)
        write_completions(db, run, _completions(problem, answer))
        judge_missing(db, run, [problem], version=version)
        on_problems(1)

    if missing:
        completer.complete_many(requests, on_result=note)
    judge_missing(db, run, problems, version=version)  # also those that were answered before judge or rules changed
    return run


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
        answer_start=problem.begun if problem.layout == "instruct" else "",
        k=entry.n_rows,
        temperature=entry.temperature,
        top_p=TOP_P if entry.temperature else 1.0,
        max_tokens=settings.max_tokens or MAX_TOKENS[problem.layout],
        stop=_stop(problem),
        base=settings.base_id,
        quantization=settings.quantization,
        adapter_set=adapter_set.name if adapter_set else "",
        lead=_lead(adapter_set) if entry.is_served else "",
    )
    adapters = tuple(info.sha256 for info in adapter_set.adapters) if adapter_set else ()
    return begin_run(db, EVALUATE, asked, parents=EvaluateParents(adapters=adapters), seed=settings.seed)


def missing_problems(db: Database, run: EvaluateRun, problems: Sequence[Problem]) -> list[Problem]:
    """The problems that the run has no completions for."""
    known = known_problems(db, run)
    return [problem for problem in problems if problem_id(problem) not in known]


def _answer(result: CompletionResult) -> ArmAnswer:
    if not result.alternatives:
        raise Unavailable("no completion came back; run again to go on there")
    return ArmAnswer(result=result, seconds=result.timing.total_ms / 1000)


def _with_kl(request: CompletionRequest, answer: ArmAnswer, measure: MeasureKl) -> ArmAnswer:
    """With the KL on the greedy answer of one adapter, drawn by the problem's seed: all of them would cost k times."""
    alternatives = answer.result.alternatives
    text = alternatives[request.seed % len(alternatives)].text
    return replace(answer, average_kl=measure(request, text) if text else None)


def _with_likelihoods(problem: Problem, answer: ArmAnswer, measure: MeasureLikelihoods) -> ArmAnswer:
    if not problem.likelihoods:
        return answer
    found = {name: is_likeliest(problem, values) for name, values in measure(problem.likelihoods).items()}
    return replace(answer, is_likeliest=found)


def _request(
    problem: Problem, entry: ArmEntry, settings: EvaluationSettings, adapter_set: AdapterSet | None
) -> CompletionRequest:
    is_infill = problem.layout == "infill"
    is_single = adapter_set is not None and entry.arm.recipe is not None and entry.arm.recipe.is_single
    return CompletionRequest(
        prefix=problem.prefix if is_infill else problem.instruction,
        suffix=problem.suffix if is_infill else "",
        layout="infill" if is_infill else "instruct",
        begun=problem.begun,
        adapters=(adapter_set.adapters[0].name,) * entry.n_rows if adapter_set and is_single else (),
        k=entry.n_rows,
        lead_first=entry.is_served,
        use_base=adapter_set is None and not entry.is_served,
        max_tokens=settings.max_tokens or MAX_TOKENS[problem.layout],
        stop=_stop(problem),
        temperature=entry.temperature,
        top_p=TOP_P if entry.temperature else 1.0,
        seed=settings.seed ^ zlib.crc32(problem.task_id.encode()),  # not its place, which changes with --limit
    )


def _lead(adapter_set: AdapterSet | None) -> str:
    return adapter_set.adapters[adapter_set.lead_index].name if adapter_set else "base"


def _stop(problem: Problem) -> StopPolicy:
    return "none" if problem.layout == "choice" else STOP


def _check_precision(db: Database, run: EvaluateRun, answer: ArmAnswer) -> None:
    before, now = made_with(db, run), (answer.result.quantization, answer.result.device)
    if before and before != now:
        raise BadInput(
            f"the store holds completions of {run.settings.arm} in {' on '.join(before)}, these are in "
            f"{' on '.join(now)}; pass --quantization {before[0]} or --seed another"
        )


def _completions(problem: Problem, answer: ArmAnswer) -> list[Completion]:
    """What came back for one problem, as rows."""
    return [
        Completion(
            problem_id=problem_id(problem),
            task_id=problem.task_id,
            place=place,
            adapter=item.adapter,
            label=item.label,
            text=item.text,
            n_tokens=item.n_tokens,
            mean_logprob=item.mean_logprob,
            finish=item.finish,
            seconds=answer.seconds,
            quantization=answer.result.quantization,
            device=answer.result.device,
            average_kl=answer.average_kl,
            is_likeliest=answer.is_likeliest.get(item.adapter),
        )
        for place, item in enumerate(answer.result.alternatives)
    ]
