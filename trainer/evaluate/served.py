"""The model behind an evaluation: one completer for all arms, and the order in which they are asked."""

from collections.abc import Sequence
from contextlib import nullcontext
from itertools import product
from typing import TYPE_CHECKING

from sqlite_utils import Database

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.completion import CompletionRequest, CompletionResult
from spa_lsp.progress import progress
from trainer.evaluate.arms import ArmEntry
from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.evaluation import (
    ArmResult,
    EvaluationSettings,
    answer_missing,
    arm_run,
    evaluate_arm,
    missing_problems,
)
from trainer.evaluate.figures.metrics import average_kl

if TYPE_CHECKING:
    from spa_lsp.lm.completer import LocalCompleter, OnResult

BLOCK_PROBLEMS = 96  # that one arm is asked at once: enough to keep a batch full, few enough to keep their prompts


def run_arms(
    db: Database,
    served: "Served",
    problems: Sequence[Problem],
    sets: Sequence[tuple[ArmEntry, AdapterSet | None]],
    settings: EvaluationSettings,
    *,
    has_kl: bool,
) -> list[ArmResult]:
    """All arms on some problems, then on the next: a prompt is computed once for all, and a break leaves arms equal.

    Args:
        db: open for writing.
        served: loads the base if there is anything to answer.
        problems: of one benchmark.
        sets: each arm with its adapters, None for the base.
        settings: equal for all arms.
        has_kl: also measure the average KL, which costs a pass of every adapter.
    """
    runs = [arm_run(db, problems[0], entry, settings, adapter_set) for entry, adapter_set in sets]
    n_missing = sum(len(missing_problems(db, run, problems)) for run in runs)
    with progress(problems[0].benchmark, n_missing, "answers") if n_missing else nullcontext() as bar:
        for start, (entry, adapter_set) in product(range(0, len(problems), BLOCK_PROBLEMS), sets):
            served.use(adapter_set)
            answer_missing(
                db,
                served,
                problems[start : start + BLOCK_PROBLEMS],
                entry,
                settings,
                adapter_set=adapter_set,
                measure_kl=served.average_kl if has_kl else None,
                measure_likelihoods=served.log_likelihoods,
                on_problems=bar.advance if bar else lambda _: None,
            )
    return [evaluate_arm(db, served, problems, entry, settings, adapter_set=adapter_set) for entry, adapter_set in sets]


class Served:
    """The completer of all arms: loads the base when the first answer is wanted, then swaps sets."""

    def __init__(self, base_id: str, quantization: str) -> None:
        self._base_id, self._quantization = base_id, quantization
        self._wanted: AdapterSet | None = None
        self._completer: LocalCompleter | None = None

    def use(self, adapter_set: AdapterSet | None) -> None:
        """Answer with this set from now on; None: there are only base rows."""
        self._wanted = adapter_set

    def complete_many(self, requests: Sequence[CompletionRequest], *, on_result: "OnResult") -> list[CompletionResult]:
        """As `evaluation.BatchCompleter`."""
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
            self._completer = LocalCompleter.load(self._base_id, adapter_set="", quantization=self._quantization)
        if self._completer.adapter_set != self._wanted:
            self._completer.swap_set(self._wanted)
        return self._completer
