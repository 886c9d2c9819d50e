"""`trainer evaluate`: unpacks the options, has every arm answer every benchmark, prints and exports the figures."""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.bases.catalog import find_base
from spa_lsp.errors import BadInput
from spa_lsp.storage.private_files import make_private_folder
from trainer.attribute.anchors import anchors_digest, load_anchors
from trainer.cli import options
from trainer.configs import Budget, FinetuneConfig
from trainer.evaluate.arms import ARMS, ArmEntry, parse_arms
from trainer.evaluate.benchmarks.hub import hub_rows
from trainer.evaluate.benchmarks.load import CHOICE_BENCHMARKS, CODE_BENCHMARKS, Benchmark, load_benchmark
from trainer.evaluate.benchmarks.problems import MIN_BEGUN, anchor_back
from trainer.executor.work import Executor

if TYPE_CHECKING:
    from sqlite_utils import Database


logger = logging.getLogger(__name__)

BENCHMARKS: tuple[Benchmark, ...] = (*CODE_BENCHMARKS, *CHOICE_BENCHMARKS)
DEFAULT_ARMS = "base,base@0.2,base@0.8,influence"
SHOWN = (
    "dc_exact", "dc_ast", "dc_near", "dc_approach", "pass_first", "pass_lead", "distinct_exact", "distinct_ast",
    "utility_near", "pass_at_1", "pass_at_1_min", "pass_at_5", "pass_at_k", "accuracy_loglik", "diversity",
    "average_kl", "parse_share", "stops_share", "needs_share", "n_tokens", "seconds",
)  # fmt: skip


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@options.data
@options.hub
@click.option(
    "--arms", default=DEFAULT_ARMS, show_default=True, help=f"What answers: {', '.join(arm.name for arm in ARMS)}."
)
@click.option("--benchmarks", default="infilling-multi", show_default=True, help=f"{', '.join(BENCHMARKS)}.")
@click.option("--limit", type=click.IntRange(min=1), default=60, show_default=True, help="Problems of each benchmark.")
@options.k
@click.option(
    "--temperature", type=float, help="Temperature of arms that name none with @.  [default: single 0.1, others 0]"
)
@click.option(
    "--begun-chars", type=click.IntRange(MIN_BEGUN), metavar="N", help="Anchor infillings 5 to N characters back."
)
@options.base
@options.quantization
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    help="Length of a completion, at most.  [default: infill 96, instruct 512]",
)
@click.option("--no-kl", is_flag=True, help="Leave out the average KL, which costs a pass of every adapter.")
@click.option("--no-train", is_flag=True, help="Refuse arms whose adapters are not there.")
@click.option(
    "--samples", type=options.Whole(min=1), metavar="N", help="Samples to train arms on.  [default: all imported]"
)
@click.option("--anchors", type=options.PATH, help="JSONL of anchors to train arms with.  [default: bundled]")
@options.of_config(FinetuneConfig, "finetune", only=("steps", "rank", "alpha"))
@options.seed
@options.allow_package
@options.unsafe_no_sandbox
@options.executor
@click.option("--export", "export_path", type=options.FILE, metavar="FILE", help="File for all of it as JSON.")
@options.as_json
def evaluate(
    data: Path | None,
    hub: bool,
    arms: str,
    benchmarks: str,
    limit: int,
    k: int,
    temperature: float | None,
    begun_chars: int | None,
    base_id: str,
    quantization: str,
    max_tokens: int | None,
    no_kl: bool,
    no_train: bool,
    samples: int | None,
    anchors: Path | None,
    finetune: FinetuneConfig,
    seed: int,
    allow_packages: tuple[str, ...],
    unsafe_no_sandbox: bool,
    export_path: Path | None,
    as_json: bool,
    executor: Executor,
) -> None:
    """Compare arms on benchmarks: how many of k alternatives are different and right, with intervals.

    An arm is base or a way to make k adapters, at a temperature if you like: base@0.8. Adapters that are missing are
    trained, all arms with the same budget. Candidates run in the sandbox only. What is finished is kept: the same
    command goes on where it broke.

    \b
        trainer evaluate --data ~/benchmarks --arms base,base@0.8,influence --limit 60
        trainer evaluate --arms influence=my-set,random --benchmarks infilling-single --export figures.json
    """
    entries = parse_arms(arms, k=k, temperature=temperature)
    find_base(base_id)
    problems = {
        name: load_benchmark(name, data, limit=limit, seed=seed, from_hub=hub_rows if hub else None)
        for name in _benchmark_names(benchmarks)
    }
    if begun_chars is not None:
        problems = {name: [anchor_back(each, most=begun_chars) for each in own] for name, own in problems.items()}

    from trainer.evaluate.answering import EvaluationSettings
    from trainer.evaluate.figures.export import BenchmarkResult, export, without_problems, without_prompts, write_export
    from trainer.evaluate.sandbox import require_sandbox
    from trainer.evaluate.served import Served, run_arms
    from trainer.pipeline.arm_sets import check_budgets
    from trainer.pipeline.stages import open_trainer
    from trainer.rows.kept_exports import evaluation_path

    # before the minutes that training and loading take
    require_sandbox(may_be_none=unsafe_no_sandbox, packages=allow_packages)
    settings = EvaluationSettings(
        base_id=base_id,
        quantization=quantization,
        max_tokens=max_tokens,
        begun_chars=begun_chars,
        seed=seed,
        allow_packages=tuple(sorted(set(allow_packages))),
    )
    budget = Budget(finetune=finetune, n_samples=samples, anchors_path=anchors, seed=seed)
    with open_trainer() as db:
        sets = _sets(db, entries, base_id=base_id, budget=budget, may_train=not no_train)
        if warning := check_budgets([(entry, found) for entry, found in sets if found is not None]):
            logger.warning("%s", warning)
        served = Served(base_id, quantization)
        results = [
            BenchmarkResult(
                name=name,
                problems=own,
                arms=run_arms(
                    db,
                    served,
                    own,
                    sets,
                    settings,
                    has_kl=not no_kl,
                    executor=executor,
                    may_be_unsafe=unsafe_no_sandbox,
                ),
            )
            for name, own in problems.items()
        ]
    document = export(results, settings, budget=_record(budget))
    click.echo(json.dumps(without_problems(document), indent=1) if as_json else "\n\n".join(map(_table, results)))
    if export_path:  # after the figures: a file that cannot be written takes none along
        write_export(export_path, document)
    kept = evaluation_path(document)
    make_private_folder(kept.parent)
    write_export(kept, without_prompts(document))


def _record(budget: Budget) -> dict[str, Any]:
    """For an export, which may be published: of anchors their digest, and not where they lie."""
    record = {name: value for name, value in asdict(budget).items() if name != "anchors_path"}
    return {**record, "anchors": anchors_digest(load_anchors(budget.anchors_path))}


def _benchmark_names(text: str) -> list[Benchmark]:
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown or not names:
        what = f"unknown benchmark {unknown[0]!r}" if unknown else "--benchmarks names none"
        raise BadInput(f"{what}; choose from {', '.join(BENCHMARKS)}")
    return [known for name in names for known in BENCHMARKS if known == name]


def _sets(db: "Database", entries: Sequence[ArmEntry], **options: Any) -> list[tuple[ArmEntry, AdapterSet | None]]:
    """Every arm with its adapters, which are trained here if they must be."""
    from trainer.pipeline.arm_sets import arm_set

    found = [(entry, arm_set(db, entry, **options)) for entry in entries]
    return [(entry.with_set(adapter_set), adapter_set) for entry, adapter_set in found]


def _table(result: Any) -> str:
    """The figures of a benchmark, an arm a column."""
    labels = [arm.entry.label for arm in result.arms]
    width = max(17, *(len(label) + 2 for label in labels))
    head = f"{result.name}, {len(result.problems)} problems, ± is the standard error"
    lines = [head, " " * 16 + "".join(label.rjust(width) for label in labels)]
    for name in SHOWN:
        cells = [_cell(arm.figures.get(name)) for arm in result.arms]
        if any(cells):
            lines.append(f"{name:<16}" + "".join(cell.rjust(width) for cell in cells))
    return "\n".join([*lines, *_needs(result)])


def _needs(result: Any) -> list[str]:
    """A line for each package that programs were not judged without."""
    from trainer.evaluate.figures.estimates import needed_packages

    found = Counter[str]()
    for arm in result.arms:
        found.update(needed_packages(arm.attempts))
    return [f"not judged: {n} completions need {name}, see --allow-package" for name, n in found.most_common()]


def _cell(found: Any) -> str:
    if found is None:
        return ""
    return f"{found.mean:.3f}" + ("" if found.standard_error is None else f" ± {found.standard_error:.3f}")
