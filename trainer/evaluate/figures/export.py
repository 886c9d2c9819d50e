"""The export of an evaluation: one JSON document with all that a report needs. Makes plain data, computes no figure.

    {"format": 1,
     "settings": {"base", "quantization", "device", "sandbox", "k", "seed", "max_tokens",
                  "begun_chars": as asked with --begun-chars | null, "top_p", "allow_packages": [NAME],
                  "budget": {...},
                  "versions": {package: version}, "git_commit", "machine": {"processor", "n_cores", "memory_gib"}},
     "benchmarks": [
       {"name", "n_problems",
        "arms": [
          {"arm", "about", "adapter_set", "method", "training": {...} | null, "k", "temperature", "run_id",
           "figures": {NAME: {"mean", "low", "high", "standard_error"}},
           "n_samples": of the training data | null,
           "needs": {package: completions that were not judged because the sandbox does not have it},
           "by_adapter": [{"adapter", "label", "n_samples", "pass_at_1": {"mean", "low", "high", "standard_error"},
                           ["accuracy_loglik": {...} where there are questions with options]}],
           "problems": [
             {"task_id", "prompt", ["canary",] "alternatives": [
               {"text", "adapter", "finish", "verdict", "raw_text", "raw_verdict",
                "class_exact", "class_ast", "class_near", "class_approach", "shown_as"}]}]}],
        "differences": [{"first", "second", "figure", "mean", "low", "high"}]}]}

`arm` is the entry's label (`base@0.8`), `method` and `training` are what the set's manifest says, `budget` is what arms
are trained with. Names of figures: `dc_`, `distinct_`, `utility_` with each of `exact`, `ast`, `near`, `approach`;
`pass_first` (of infillings: whether the first one that an editor shows is right), `pass_lead` (of a served set: whether
its lead is, which an editor shows while it waits), `pass_at_1`, `pass_at_1_min` (the least adapter), `pass_at_5` (where
k >= 5), `pass_at_k`, `diversity`, `parse_share`; all but `pass_first`, `pass_lead` and `pass_at_1_min` with `raw_` too,
before the server's work on the text; `stops_share`, `n_tokens` (a completion's mean), `seconds` (of a problem),
`average_kl` (nats per token, greedy sets only), `accuracy_loglik` (of questions with options, beside `pass_at_1`, which
is that of the generated answers). Questions have the level `exact` alone and no `parse_share`: their answers are no
programs.
`low` and `high` bound the 95 % bootstrap interval over problems, paired in `differences`, which are `first - second`;
gaps of one HumanEval task are drawn together.
A `verdict` is `needs numpy` where a program was not judged for want of a package; figures of what is right leave such
completions out, and `needs_share` is their share, where there are any.
`standard_error` is null for a single task. A class is a number within its problem, null for no class. `shown_as` is
an alternative's place in the order in which an editor shows them, from 0; null where it shows it not at all, and for
all that is no infilling.
"""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spa_lsp.completion import TOP_P
from spa_lsp.storage.whole_files import written_whole
from trainer.evaluate.answering import EvaluationSettings
from trainer.evaluate.arms import pairs
from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.evaluation import ArmResult
from trainer.evaluate.figures.bootstrap import paired_bootstrap
from trainer.evaluate.figures.estimates import (
    COMPARED,
    estimate_of,
    likeliest_by_adapter,
    needed_packages,
    passes_by_adapter,
)
from trainer.evaluate.sameness.distinct import LEVELS

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class BenchmarkResult:
    """Every arm on the same problems of one benchmark."""

    name: str
    problems: Sequence[Problem]
    arms: Sequence[ArmResult]


def export(
    results: Sequence[BenchmarkResult], settings: EvaluationSettings, *, budget: Mapping[str, Any]
) -> dict[str, Any]:
    """The document described above."""
    return {
        "format": FORMAT,
        "settings": _settings(results, settings, budget),
        "benchmarks": [_benchmark(result) for result in results],
    }


def without_problems(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same document with the figures alone."""
    return {
        **document,
        "benchmarks": [
            {**found, "arms": [{name: arm[name] for name in arm if name != "problems"} for arm in found["arms"]]}
            for found in document["benchmarks"]
        ],
    }


def without_prompts(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same document without a word of a benchmark: problems are named, and what was answered stands there."""
    return {
        **document,
        "benchmarks": [
            {
                **found,
                "arms": [{**arm, "problems": [_unasked(own) for own in arm["problems"]]} for arm in found["arms"]],
            }
            for found in document["benchmarks"]
        ],
    }


def _unasked(problem: Mapping[str, Any]) -> dict[str, Any]:
    return {**problem, "prompt": ""}


def write_export(path: Path, document: Mapping[str, Any]) -> None:
    """Write the document as JSON."""
    with written_whole(path) as unfinished:
        unfinished.write_text(f"{json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1)}\n", "utf-8")


def _settings(
    results: Sequence[BenchmarkResult], settings: EvaluationSettings, budget: Mapping[str, Any]
) -> dict[str, Any]:
    run = results[0].arms[0].run
    attempt = next(own[0] for own in results[0].arms[0].attempts.values())
    return {
        "base": settings.base_id,
        "quantization": attempt.quantization,
        "device": attempt.device,
        "sandbox": attempt.sandbox,
        "k": max(result.entry.k for result in results[0].arms),
        "seed": settings.seed,
        "max_tokens": settings.max_tokens,
        "begun_chars": settings.begun_chars,
        "top_p": TOP_P,
        "allow_packages": list(settings.allow_packages),
        "budget": budget,
        "versions": run.versions,
        "git_commit": run.git_commit,
        "machine": _machine(),
    }


def _machine() -> dict[str, Any]:
    import psutil

    return {
        "processor": platform.processor() or platform.machine(),
        "n_cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }


def _benchmark(result: BenchmarkResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "n_problems": len(result.problems),
        "arms": [_arm(arm, result.problems) for arm in result.arms],
        "differences": differences(result.arms),
    }


def _arm(result: ArmResult, problems: Sequence[Problem]) -> dict[str, Any]:
    chosen = result.adapter_set
    return {
        "arm": result.entry.label,
        "about": result.entry.arm.about,
        "adapter_set": chosen.name if chosen else "",
        "method": chosen.method if chosen else "",
        "training": chosen.figures.get("config") if chosen else None,
        "n_samples": chosen.data.get("n_samples") if chosen else None,
        "needs": needed_packages(result.attempts),
        "k": result.entry.n_rows,
        "temperature": result.entry.temperature,
        "run_id": result.run.id,
        "figures": {name: asdict(found) for name, found in result.figures.items()},
        "by_adapter": _by_adapter(result),
        "problems": [
            _problem(problem, own, result.orders.get(key, []))
            for problem, (key, own) in zip(problems, result.attempts.items(), strict=True)
        ],
    }


def _by_adapter(result: ArmResult) -> list[dict[str, Any]]:
    tasks = result.tasks
    labels = {attempt.adapter: attempt.label for own in result.attempts.values() for attempt in own}
    sizes = (
        {own.name: own.figures.get("n_samples") for own in result.adapter_set.adapters} if result.adapter_set else {}
    )
    figures = {
        "pass_at_1": passes_by_adapter(result.attempts),
        "accuracy_loglik": likeliest_by_adapter(result.attempts),
    }
    return [
        {
            "adapter": adapter,
            "label": labels[adapter],
            "n_samples": sizes.get(adapter),
            **{name: asdict(estimate_of(own[adapter], tasks)) for name, own in figures.items() if adapter in own},
        }
        for adapter in figures["pass_at_1"]
    ]


def _problem(problem: Problem, attempts: Sequence[Any], order: Sequence[int]) -> dict[str, Any]:
    shown = ("adapter", "finish", "verdict", "raw_text", "raw_verdict", *(f"class_{level}" for level in LEVELS))
    return {
        "task_id": problem.task_id,
        "prompt": problem.before if problem.layout == "infill" else problem.instruction,
        **({"canary": problem.canary} if problem.canary else {}),
        "alternatives": [
            {
                "text": attempt.shown_text,
                **{name: getattr(attempt, name) for name in shown},
                "shown_as": order.index(place) if place in order else None,
            }
            for place, attempt in enumerate(attempts)
        ],
    }


def differences(arms: Sequence[ArmResult]) -> list[dict[str, Any]]:
    """Every two arms in every figure, over the problems for which both have it."""
    by_label = {arm.entry.label: arm for arm in arms}
    found = []
    for first, second in pairs([arm.entry for arm in arms]):
        for name in COMPARED:
            values = [by_label[entry.label].values.get(name, {}) for entry in (first, second)]
            common = [key for key in values[0] if key in values[1]]
            if common:
                tasks = [by_label[first.label].tasks[key] for key in common]
                interval = paired_bootstrap(*([own[key] for key in common] for own in values), tasks=tasks)
                found.append({"first": first.label, "second": second.label, "figure": name, **asdict(interval)})
    return found
