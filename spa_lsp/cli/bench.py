"""`spa-lsp bench`: measures this machine; figures with their goals, their two sides and what they were measured on."""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from spa_lsp.cli import _completer as shared
from spa_lsp.progress import progress
from spa_lsp.text.marked_text import BUNDLED, bundled_texts, find_text

if TYPE_CHECKING:
    from spa_lsp.bench.figures import Figure
    from spa_lsp.bench.latency import LatencyReport
    from spa_lsp.bench.typing_replay import TypingReport


@click.group()
def bench() -> None:
    """Measure how fast and how large server and engine are on this machine."""


@bench.command()
@click.option(
    "--runs",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="Rounds that are measured, after one that is not.",
)
@click.option(
    "--prompt-tokens", type=click.IntRange(32, 1900), default=440, show_default=True, help="Length of each prompt."
)
@click.option(
    "--new-tokens", type=click.IntRange(1, 512), default=32, show_default=True, help="Length of each alternative."
)
@click.option("-k", type=click.IntRange(1, 64), metavar="N", help="Number of rows.  [default: one per adapter, else 8]")
@shared.bench_options
@click.option("--fp32", "has_fp32", is_flag=True, help="Comparison with fp32, loaded beside: 3 GB more, and minutes.")
@click.option("--no-rivals", "is_alone", is_flag=True, help="Leave out PEFT and llama.cpp, which take most time.")
@click.option("--no-processes", "is_in_process", is_flag=True, help="Leave out the sizes of engine and front.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the times of every round.")
def latency(
    runs: int,
    prompt_tokens: int,
    new_tokens: int,
    k: int | None,
    base_id: str,
    set_name: str | None,
    quantization: str,
    has_fp32: bool,
    is_alone: bool,
    is_in_process: bool,
    as_json: bool,
) -> None:
    """Compare k alternatives with one, with the base alone, with fp32, with PEFT and with llama.cpp.

    Medians of interleaved rounds; llama.cpp runs before and behind them. What cannot be measured says why. Goals are
    those of the reference machine: 2 cores, the default base and its set. Nothing else should run meanwhile; the load
    of the machine at the start is printed.

    \b
        spa-lsp bench latency
        spa-lsp bench latency --set '' -k 1
        spa-lsp bench latency --runs 3 --no-rivals --json
    """
    from spa_lsp.bench.latency import LatencyPlan, measure_latency
    from spa_lsp.bench.machine import describe_machine, describe_versions
    from spa_lsp.bench.processes import measure_processes

    shared.check_model(shared.Model(base_id=base_id, set_name=set_name, quantization=quantization))
    plan = LatencyPlan(
        base_id=base_id,
        set_name=set_name,
        quantization=quantization,
        k=k,
        n_runs=runs,
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        has_rivals=not is_alone,
        has_fp32=has_fp32,
    )
    machine = describe_machine()
    # first, while this process is small: two bases at once may not fit
    sizes = [] if is_in_process else measure_processes(base_id, set_name, quantization)
    with progress("bench latency", runs + 1, "rounds") as shown:
        report = measure_latency(plan, on_round=shown.advance)
    figures = [*report.figures, *sizes]
    if as_json:
        click.echo(json.dumps(_to_json(report, figures, machine, describe_versions()), indent=1))
    else:
        shared.say(_to_lines(report, figures, machine, describe_versions()))


@bench.command()
@click.option("--file", "name", type=click.Choice(BUNDLED), help="Only this file of the demo.  [default: all]")
@click.option("--keys", type=click.IntRange(1, 10_000), metavar="N", help="Only N keys of each file.  [default: all]")
@click.option(
    "--pace",
    type=click.FloatRange(0.01, 100),
    default=1.0,
    show_default=True,
    help="Factor on every pause; 2 types half as fast.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of the pauses, slips and accepted alternatives."
)
@click.option(
    "--way",
    type=click.Choice(("vscode", "eager", "both")),
    default="vscode",
    show_default=True,
    help="Way of asking: the first ones, then all; or all at every key.",
)
@shared.bench_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every time.")
def typing(
    name: str | None,
    keys: int | None,
    pace: float,
    seed: int,
    way: str,
    base_id: str,
    set_name: str | None,
    quantization: str,
    as_json: bool,
) -> None:
    """Type functions into the language server, as somebody might, and see what is shown and when.

    The last function of each file is typed key by key, with pauses, slips and accepted alternatives made from the
    seed; some three minutes for all, more where all alternatives after a pause take long: they are awaited. The server
    is asked as VS Code asks, or as clients that know nothing of first ones. Nothing else should use the engine.

    \b
        spa-lsp bench typing
        spa-lsp bench typing --way both
        spa-lsp bench typing --file cart.py --pace 2 --json
    """
    from spa_lsp.bench.machine import describe_machine, describe_versions
    from spa_lsp.bench.typing_replay import TypingPlan, measure_typing
    from spa_lsp.bench.typing_trace import make_trace
    from spa_lsp.bench.typist import WAYS

    shared.check_model(shared.Model(base_id=base_id, set_name=set_name, quantization=quantization))
    texts = [find_text(name)] if name else bundled_texts()
    traces = [
        make_trace(text.name, text.prefix + text.suffix, language=text.language, seed=seed, n_keys=keys)
        for text in texts
    ]
    plans = [
        TypingPlan(base_id=base_id, set_name=set_name, quantization=quantization, pace=pace, way=one)
        for one in WAYS
        if way in (one, "both")
    ]
    facts = {"machine": describe_machine(), "versions": describe_versions(), "trace": {"seed": seed, "keys": keys}}
    with progress("bench typing", len(plans) * sum(len(trace.steps) for trace in traces), "steps") as shown:
        reports = [measure_typing(plan, traces, on_step=shown.advance) for plan in plans]
    if as_json:
        ways = {plan.way: report.to_json() for plan, report in zip(plans, reports, strict=True)}
        click.echo(json.dumps({**facts, "ways": ways}, indent=1))
    else:
        shared.say(_typing_lines(reports, facts.values()))


def _typing_lines(reports: "Iterable[TypingReport]", facts: Iterable[dict[str, Any]]) -> Iterator[str]:
    from spa_lsp.bench.figures import to_lines

    for each in facts:
        yield _in_a_line(each)
    for report in reports:
        yield ""
        yield _in_a_line(report.setting)
        width = max(map(len, report.figures))
        for name, value in report.figures.items():
            yield f"{name:<{width}}  {'none' if value is None else value}"
        yield ""
        yield from to_lines(report.goals)


def _in_a_line(facts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def _to_json(
    report: "LatencyReport", figures: "list[Figure]", machine: dict[str, Any], versions: dict[str, str]
) -> dict[str, Any]:
    return {
        "machine": machine,
        "versions": versions,
        "setting": report.setting,
        "figures": [figure.to_json() for figure in figures],
        "times_ms": report.times_ms,
    }


def _to_lines(
    report: "LatencyReport", figures: "list[Figure]", machine: dict[str, Any], versions: dict[str, str]
) -> Iterator[str]:
    from spa_lsp.bench.figures import to_lines

    for facts in (machine, versions, report.setting):
        yield _in_a_line(facts)
    yield ""
    yield from to_lines(figures)
    n_reached = sum(figure.is_reached is True for figure in figures)
    n_measured = sum(figure.is_reached is not None for figure in figures)
    yield ""
    yield f"{n_reached} of {n_measured} goals are reached, {len(figures) - n_measured} not measured"
