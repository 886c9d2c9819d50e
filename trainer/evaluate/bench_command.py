"""`trainer bench`: measurements of the evaluation's own parts, each with its figures as a table or as JSON."""

import json
from dataclasses import asdict

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def bench() -> None:
    """Measure what the evaluation costs on this machine."""


@bench.command()
@click.option("--runs", type=click.IntRange(min=1), default=60, show_default=True, help="Programs of each kind.")
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="At the same time.")
@click.option("--json", "is_json", is_flag=True, help="Print the figures as JSON.")
def sandbox(runs: int, workers: int, is_json: bool) -> None:
    """Measure what confining and judging a program costs: milliseconds more, programs per second.

    \b
        trainer bench sandbox --json
    """
    from trainer.evaluate.bench import measure_sandbox

    figures = asdict(measure_sandbox(runs=runs, workers=workers))
    if is_json:
        click.echo(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        click.echo(f"{name:<16}{value:.1f}" if isinstance(value, float) else f"{name:<16}{value}")
