"""`trainer judge`: whether the judge itself is right, shown on the benchmarks' own solutions."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from spa_lsp.progress import Progress, progress
from trainer.cli import options
from trainer.evaluate.benchmarks.hub import hub_rows
from trainer.evaluate.benchmarks.load import CODE_BENCHMARKS, CodeBenchmark, load_benchmark
from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.judge.verdict import NEEDS, Verdict
from trainer.evaluate.own_solutions import BLOCK_PROBLEMS, JudgeSolutions
from trainer.evaluate.sandbox import require_sandbox
from trainer.executor.work import Executor, blocks


@click.command("judge", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--canonical", type=click.Choice(CODE_BENCHMARKS), required=True, help="Benchmark whose solutions are judged."
)
@options.data
@options.hub
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N problems.  [default: all]")
@options.seed
@click.option(
    "--workers", type=click.IntRange(1, 1024), default=2, show_default=True, help="Programs that run at the same time."
)
@options.allow_package
@options.unsafe_no_sandbox
@options.executor_of_programs
@options.as_json
def judge_command(
    canonical: CodeBenchmark,
    data: Path | None,
    hub: bool,
    limit: int | None,
    seed: int,
    workers: int,
    allow_packages: tuple[str, ...],
    unsafe_no_sandbox: bool,
    as_json: bool,
    executor: Executor,
) -> None:
    """Judge the published solutions of a benchmark: all must pass, and those that do not are listed with the reason.

    The exit status is 1 when one fails. Those that need a package that the sandbox does not have are counted apart.

    \b
        trainer judge --canonical humaneval --json
        trainer judge --canonical mbpp-plus --data ~/benchmarks --limit 50
    """
    problems = load_benchmark(canonical, data, limit=limit, seed=seed, from_hub=hub_rows if hub else None)
    sandbox = require_sandbox(may_be_none=unsafe_no_sandbox, packages=allow_packages)
    work = JudgeSolutions(n_programs=workers, allow_packages=allow_packages, may_be_unsafe=unsafe_no_sandbox)
    started = time.monotonic()
    with progress(f"judge {canonical}", len(problems), "solutions") as shown:
        verdicts = _judge_all(problems, work, executor, shown)
    figures = _figures(canonical, problems, verdicts)
    figures |= {"seconds": round(time.monotonic() - started, 1), "sandbox": sandbox}
    click.echo(json.dumps(figures, indent=2) if as_json else _text(figures))
    if figures["exceptions"]:
        raise click.exceptions.Exit(1)


def _judge_all(problems: Sequence[Problem], work: JudgeSolutions, executor: Executor, shown: Progress) -> list[Verdict]:
    found: dict[str, Verdict] = {}

    def take(rows: Sequence[tuple[str, Verdict]]) -> None:
        found.update(rows)
        shown.advance(len(rows))

    executor.run(work, blocks(problems, BLOCK_PROBLEMS), take)
    return [found[problem.task_id] for problem in problems]


def _figures(name: str, problems: Sequence[Problem], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    exceptions = [
        {"task_id": problem.task_id, "entry_point": problem.entry_point, "kind": verdict.kind, "reason": verdict.error}
        for problem, verdict in zip(problems, verdicts, strict=True)
        if verdict.kind not in ("pass", "needs_package")
    ]
    needs = Counter(verdict.label for verdict in verdicts if verdict.kind == "needs_package")
    n_problems = len(problems)
    return {
        "benchmark": name,
        "n_problems": n_problems,
        "n_passed": sum(verdict.kind == "pass" for verdict in verdicts),
        "exceptions": exceptions,
        "needs": {label.removeprefix(NEEDS): n for label, n in needs.most_common()},
    }


def _text(figures: dict[str, Any]) -> str:
    head = f"{figures['benchmark']}: {figures['n_passed']}/{figures['n_problems']} solutions pass"
    lines = [
        f"{item['task_id']} {item['entry_point']}: {item['kind']}, {item['reason']}" for item in figures["exceptions"]
    ]
    lines += [f"not judged: {n} need {name}, see --allow-package" for name, n in figures["needs"].items()]
    return "\n".join([f"{head}, {figures['seconds']} s, {figures['sandbox']}", *lines])
