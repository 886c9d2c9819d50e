"""The model behind an evaluation: one completer for all arms, and the order in which they are asked."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import product
from typing import TYPE_CHECKING

from sqlite_utils import Database

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.completion import CompletionRequest, CompletionResult
from spa_lsp.progress import progress
from trainer.evaluate.answering import (
    Answered,
    Answering,
    EvaluationSettings,
    Judged,
    Measured,
    Model,
    ToAnswer,
    ToJudge,
    ToMeasure,
    has_pairs,
    measured_text,
)
from trainer.evaluate.arms import ArmEntry
from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.completions import load_completions, problem_id
from trainer.evaluate.evaluation import ArmResult, arm_result, arm_run, missing_problems, write_rows
from trainer.evaluate.figures.metrics import average_kl
from trainer.evaluate.judgements import rules_version, unjudged
from trainer.executor.travelling import TravellingSet
from trainer.executor.work import Executor, Local, blocks
from trainer.rows.stages import EvaluateRun

if TYPE_CHECKING:
    from spa_lsp.lm.completer import LocalCompleter, OnResult

# that one arm is asked at once: twice as many rows as are open together, so that a batch is mostly full, and few enough
# for several workers
BLOCK_PROBLEMS = 32


def run_arms(
    db: Database,
    model: Model,
    problems: Sequence[Problem],
    sets: Sequence[tuple[ArmEntry, AdapterSet | None]],
    settings: EvaluationSettings,
    *,
    has_kl: bool,
    executor: Executor | None = None,
    may_be_unsafe: bool = False,
) -> list[ArmResult]:
    """All arms on some problems, then on the next: a prompt is computed once for all, and a break leaves arms equal.

    Args:
        db: open for writing.
        model: of all arms; it is not asked when nothing is missing.
        problems: of one benchmark.
        sets: each arm with its adapters, None for the base.
        settings: equal for all arms.
        has_kl: also measure the average KL, which costs a pass of every adapter.
        executor: asks and judges; None: this process.
        may_be_unsafe: workers elsewhere may judge without a sandbox where none works.

    Raises:
        BadInput: the store's completions of an arm were made in another precision.
        Unavailable: there is no working sandbox, or it failed on a program.
    """
    runs = [arm_run(db, problems[0], entry, settings, adapter_set) for entry, adapter_set in sets]
    version = rules_version(settings.allow_packages)
    to_answer = list(_to_answer(db, runs, problems))
    to_judge = [
        ToJudge(arm=arm, problem=problem, completions=tuple(completions))
        for arm, run in enumerate(runs)
        for problem, completions in unjudged(db, run, problems, version=version)
    ]
    to_measure = list(_to_measure(db, runs, problems, sets, settings)) if has_kl else []
    work = Answering(
        model=model,
        arms=[(entry, TravellingSet(found) if found else None) for entry, found in sets],
        settings=settings,
        version=version,
        has_kl=has_kl,
        may_be_unsafe=may_be_unsafe,
        asks=bool(to_answer or to_measure),
    )
    again = {(piece.arm, problem_id(piece.problem)) for piece in to_judge}  # a new answer counts when it is written
    n_left = sum(len(piece.problems) for piece in to_answer) + len(to_measure) + len(to_judge)
    with progress(problems[0].benchmark, n_left, "answers") if n_left else nullcontext() as bar:

        def take(rows: Sequence[Answered | Judged | Measured]) -> None:
            write_rows(db, runs, rows)
            if bar:
                bar.advance(sum(not isinstance(row, Judged) or (row.arm, _judged_id(row)) in again for row in rows))

        pieces: list[ToAnswer | ToJudge | ToMeasure] = [*to_judge, *to_measure, *to_answer]
        (executor or Local()).run(work, pieces, take)
    return [
        arm_result(db, run, problems, entry, adapter_set=adapter_set, version=version, has_kl=has_kl)
        for run, (entry, adapter_set) in zip(runs, sets, strict=True)
    ]


def _judged_id(row: Judged) -> str:
    return row.judgements[0].problem_id


def _to_answer(db: Database, runs: Sequence[EvaluateRun], problems: Sequence[Problem]) -> Iterator[ToAnswer]:
    """What has no completions: some problems of all arms, then the next."""
    missing = [set(map(problem_id, missing_problems(db, run, problems))) for run in runs]
    for block, arm in product(blocks(problems, BLOCK_PROBLEMS), range(len(runs))):
        if own := tuple(problem for problem in block if problem_id(problem) in missing[arm]):
            yield ToAnswer(arm=arm, problems=own)


def _to_measure(
    db: Database,
    runs: Sequence[EvaluateRun],
    problems: Sequence[Problem],
    sets: Sequence[tuple[ArmEntry, AdapterSet | None]],
    settings: EvaluationSettings,
) -> Iterator[ToMeasure]:
    """What was answered without the average KL; an answer without text has none."""
    for arm, (run, own) in enumerate(zip(runs, sets, strict=True)):
        for problem in problems if has_pairs(*own) else ():
            completions = load_completions(db, run, problem_id(problem))
            if completions and completions[0].average_kl is None:
                text = measured_text(problem, [each.text for each in completions], settings)
                if text:
                    yield ToMeasure(arm=arm, problem=problem, text=text)


class Served:
    """The completer of all arms: loads the base when the first answer is wanted, then swaps sets."""

    def __init__(self, base_id: str, quantization: str) -> None:
        self.base_id, self._quantization = base_id, quantization
        self._wanted: AdapterSet | None = None
        self._completer: LocalCompleter | None = None

    def __reduce__(self) -> tuple[type["Served"], tuple[str, str]]:
        return Served, (self.base_id, self._quantization)  # it travels without the base

    @property
    def made_with(self) -> tuple[str, str]:
        """As `Model.made_with`."""
        base = self._ready().base
        return base.quantization, base.device

    def use(self, adapter_set: AdapterSet | None) -> None:
        """Answer with this set from now on; None: there are only base rows."""
        self._wanted = adapter_set

    def complete_many(self, requests: Sequence[CompletionRequest], *, on_result: "OnResult") -> list[CompletionResult]:
        """As `Model.complete_many`."""
        return self._ready().complete_many(requests, on_result=on_result)

    def average_kl(self, request: CompletionRequest, text: str) -> float | None:
        """The average KL between the adapters on this text; None when the text has no token."""
        total, n_places = 0.0, 0
        for block in self._ready().next_token_logprobs(request, text):
            value = average_kl(block.cpu().numpy())
            if value is None:
                return None
            total += value * block.shape[1]
            n_places += block.shape[1]
        return total / n_places if n_places else None

    def log_likelihoods(self, choices: Sequence[tuple[str, str]]) -> dict[str, list[float]]:
        """The log-likelihood of each choice by the name of the adapter, which is "base" without a set."""
        values = self._ready().log_likelihoods(choices)
        names = [info.name for info in self._wanted.adapters] if self._wanted else ["base"]
        return dict(zip(names, values.tolist(), strict=True))

    def _ready(self) -> "LocalCompleter":
        from spa_lsp.lm.completer import LocalCompleter

        if self._completer is None:
            self._completer = LocalCompleter.load(self.base_id, adapter_set="", quantization=self._quantization)
        if self._completer.adapter_set != self._wanted:
            self._completer.swap_set(self._wanted)
        return self._completer
