"""`trainer bench`: measurements of what the trainer does, each with its figures as a table or as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from spa_lsp.completion import CompletionRequest
from spa_lsp.progress import progress
from trainer.cli import options


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def bench() -> None:
    """Measure what the stages cost on this machine, and what they gain over the plain way."""


@bench.command()
@click.option("--runs", type=click.IntRange(min=1), default=60, show_default=True, help="Programs of each kind.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Programs that run at the same time."
)
@options.as_json
def sandbox(runs: int, workers: int, as_json: bool) -> None:
    """Measure what confining and judging a program costs: milliseconds more, programs per second.

    \b
        trainer bench sandbox --json
    """
    from trainer.evaluate.bench.sandbox import measure_sandbox

    figures = asdict(measure_sandbox(runs=runs, workers=workers))
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        click.echo(f"{name:<16}{value:.1f}" if isinstance(value, float) else f"{name:<16}{value}")


@bench.command("evaluate")
@options.data
@options.base
@options.quantization
@click.option("--problems", type=click.IntRange(1, 64), default=8, show_default=True, help="Problems in one batch.")
@click.option("--k", type=click.IntRange(1, 64), default=8, show_default=True, help="Rows of each problem.")
@click.option(
    "--new-tokens", type=click.IntRange(1, 512), default=32, show_default=True, help="New tokens of each row."
)
@options.as_json
def bench_evaluate(
    data: Path | None, base_id: str, quantization: str, problems: int, k: int, new_tokens: int, as_json: bool
) -> None:
    """Measure completion tokens per second of an evaluation, beside a plain `generate` loop over the same rows.

    The problems are those of infilling-multi.

    \b
        trainer bench evaluate --data ~/benchmarks --json
    """
    from trainer.evaluate.benchmarks.load import load_benchmark

    requests = [
        CompletionRequest(
            prefix=each.prefix, suffix=each.suffix, k=k, use_base=True, max_tokens=new_tokens, temperature=0.8
        )
        for each in load_benchmark("infilling-multi", data, limit=problems)
    ]
    _compare_with_generate("bench evaluate", requests, base_id, quantization, as_json=as_json)


@bench.command("synthesize")
@options.base
@options.quantization
@click.option("--exercises", type=click.IntRange(1, 8), default=4, show_default=True, help="Exercises in one batch.")
@click.option(
    "--responses", type=click.IntRange(1, 64), default=10, show_default=True, help="Solutions of each exercise."
)
@click.option(
    "--new-tokens", type=click.IntRange(1, 512), default=64, show_default=True, help="New tokens of each solution."
)
@options.as_json
def bench_synthesize(
    base_id: str, quantization: str, exercises: int, responses: int, new_tokens: int, as_json: bool
) -> None:
    """Measure how many tokens per second are synthesized, beside a plain `generate` loop over the same questions.

    \b
        trainer bench synthesize --json
    """
    from trainer.pipeline.speed import synthesis_requests

    requests = synthesis_requests(exercises, responses=responses, new_tokens=new_tokens)
    _compare_with_generate("bench synthesize", requests, base_id, quantization, as_json=as_json)


def _compare_with_generate(
    name: str, requests: Sequence[CompletionRequest], base_id: str, quantization: str, *, as_json: bool
) -> None:
    from trainer.evaluate.bench.throughput import measure_throughput

    with progress(name, 3, "passes") as shown:
        found = measure_throughput(requests, base_id=base_id, quantization=quantization, on_pass=shown.advance)
    figures = {**asdict(found), "ratio": found.ratio}
    click.echo(json.dumps(figures, indent=2) if as_json else "\n".join(f"{n:<14}{v:.1f}" for n, v in figures.items()))


@bench.command("train")
@options.base
@click.option("--k", type=click.IntRange(2, 64), default=8, show_default=True, help="Adapters, and items of a batch.")
@options.as_json
def bench_train(base_id: str, k: int, as_json: bool) -> None:
    """Measure what one pass for all adapters gains in training and attribution, in tokens per second.

    A step of all adapters in one pass and one after the other, adapters on the completion and on all tokens, gradients
    of a batch and of one sample after the other. Nothing else should run.

    \b
        trainer bench train --json
    """
    from trainer.pipeline.speed import measure_training

    with progress("bench train", 12, "passes") as shown:
        found = measure_training(base_id, k=k, on_pass=shown.advance)
    figures = {name: {**asdict(each), "ratio": each.ratio} for name, each in vars(found).items()}
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    for name, each in figures.items():
        click.echo(f"{name:<20}{each['ours']:8.1f}{each['plain']:8.1f}{each['ratio']:8.2f}")
