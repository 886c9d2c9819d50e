"""`trainer evaluate`: unpacks the options, asks for the report, prints its figures."""

import json
from pathlib import Path
from typing import Any, get_args

import click

from spa_lsp import paths
from spa_lsp.adapter_set import AdapterSet, find_set
from spa_lsp.catalog import DEFAULT_BASE
from spa_lsp.completion import Completer
from spa_lsp.errors import BadInput, NotFound
from spa_lsp.progress import progress
from trainer.evaluate.infilling import Arm, evaluate_infilling
from trainer.evaluate.problems import HOW_TO_GET, InfillingKind, load_infilling
from trainer.evaluate.sandbox import allow_no_sandbox, require_sandbox
from trainer.runs import digest

SAMPLED_TEMPERATURE = 0.8
SHOWN = (
    "distinct_exact",
    "distinct_ast",
    "pass_at_1",
    "pass_at_k",
    "dc_at_k",
    "stops_share",
    "parse_share",
    "seconds",
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--data", envvar="SPA_DATA", type=click.Path(path_type=Path), help="Folder of the benchmarks.  [env: SPA_DATA]"
)
@click.option("--arm", type=click.Choice(get_args(Arm)), default="adapters", show_default=True, help="What answers.")
@click.option("--kind", type=click.Choice(get_args(InfillingKind)), default="multi", show_default=True, help="Gaps.")
@click.option("--limit", type=click.IntRange(min=1), default=60, show_default=True, help="Number of problems.")
@click.option("--k", type=click.IntRange(1, 64), default=8, show_default=True, help="Completions per problem.")
@click.option("--set", "set_name", metavar="NAME", help="Adapter set.  [default: the one in use]")
@click.option("--base", metavar="ID", default=DEFAULT_BASE, show_default=True, help="Base model.")
@click.option("--quantization", default="auto", show_default=True, help="auto, nf4, int8, bf16 or fp32.")
@click.option("--temperature", type=click.FloatRange(min=0), help="[default: 0.8 for base-sampled, otherwise 0]")
@click.option("--max-tokens", type=click.IntRange(min=1), default=96, show_default=True, help="Of one completion.")
@click.option("--seed", type=int, default=0, show_default=True, help="Choice of the problems, and sampling.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON Lines of the answers; an old one is continued.")
@click.option("--unsafe-no-sandbox", is_flag=True, help="Run programs even where no sandbox works.")
@click.option("--json", "is_json", is_flag=True, help="Print the figures as JSON.")
def evaluate(
    data: Path | None,
    arm: Arm,
    kind: InfillingKind,
    limit: int,
    k: int,
    set_name: str | None,
    base: str,
    quantization: str,
    temperature: float | None,
    max_tokens: int,
    seed: int,
    output: Path | None,
    unsafe_no_sandbox: bool,
    is_json: bool,
) -> None:
    """Measure how many different and correct completions come back on HumanEval-Infilling.

    Candidates run in a sandbox only. What is finished is kept: the same command goes on where it broke.

    \b
        trainer evaluate --data ~/benchmarks --arm adapters --k 8
        trainer evaluate --data ~/benchmarks --arm base-sampled --temperature 0.2 --json
    """
    if data is None:
        raise NotFound(f"no folder of benchmarks; {HOW_TO_GET}")
    temperature = _temperature(arm, temperature)
    problems = load_infilling(data, kind, n=limit, seed=seed)
    if unsafe_no_sandbox:
        allow_no_sandbox()
    require_sandbox()  # before the minute that loading takes
    adapter_set = find_set(set_name, base) if arm == "adapters" else None
    subject = _subject(adapter_set, base=base, quantization=quantization)
    settings = [arm, kind, k, temperature, max_tokens, seed, subject]
    output = output or paths.data_dir() / "evaluations" / f"{arm}-{kind}-{digest(settings)[:12]}.jsonl"
    with progress(f"evaluate {arm}", len(problems), "problems") as shown:
        report = evaluate_infilling(
            _load(adapter_set, base=base, quantization=quantization),
            problems,
            arm=arm,
            k=k,
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed,
            checkpoint_path=output,
            subject=subject,
            on_row=lambda _: shown.advance(),
        )
    figures = {"kind": kind, **report.figures, "output": str(output)}
    click.echo(json.dumps(figures, indent=2) if is_json else _table(figures))


def _temperature(arm: Arm, temperature: float | None) -> float:
    if temperature is None:
        return SAMPLED_TEMPERATURE if arm == "base-sampled" else 0.0
    if arm == "base-sampled" and temperature == 0:
        raise BadInput("base-sampled at temperature 0 gives k times the same; pass --temperature above 0")
    if arm == "base-greedy" and temperature > 0:
        raise BadInput(f"base-greedy has no temperature, got {temperature}; leave --temperature out")
    return temperature


def _subject(adapter_set: AdapterSet | None, *, base: str, quantization: str) -> dict[str, Any]:
    """What the answers depend on besides the settings; a set that is trained anew under its name is another one."""
    adapters = [info.sha256 for info in adapter_set.adapters] if adapter_set else []
    return {"base": base, "quantization": quantization, "adapters": adapters}


def _load(adapter_set: AdapterSet | None, *, base: str, quantization: str) -> Completer:
    from spa_lsp.lm.completer import LocalCompleter  # torch: seconds that --help does not pay

    return LocalCompleter.load(base, adapter_set=adapter_set or "", quantization=quantization)


def _table(figures: dict[str, Any]) -> str:
    head = f"{figures['base']} {figures['adapter_set']} {figures['quantization']} {figures['device']}"
    what = f"{figures['arm']}, {figures['kind']}, {figures['n_problems']} problems, k={figures['k']}"
    lines = [f"{name:<16}{_value(figures[name])}" for name in SHOWN]
    adapters = figures.get("pass_at_1_by_adapter", {})
    own = [f"pass_at_1 {name:<6}{_value(value)}" for name, value in adapters.items()]
    return "\n".join([head, what, *lines, *own, f"verdicts        {figures['verdicts']}", figures["output"]])


def _value(estimate: dict[str, float | None]) -> str:
    error = estimate["standard_error"]
    return f"{estimate['mean']:.3f}" + ("" if error is None else f" ± {error:.3f}")
