"""`trainer lead` and `trainer rank`: what a finished set gets besides its adapters. The set comes out published."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trainer.cli import options

if TYPE_CHECKING:
    from trainer.evaluate.figures.bootstrap import Interval
    from trainer.pipeline.finish import FittedRanker

_set_name = click.argument("set_name", metavar="[SET]", required=False)
_new_name = click.option("--name", metavar="NAME", help="Publish it under this name.  [default: the set's own]")


@click.command()
@_set_name
@click.option(
    "--of", required=True, metavar="WHAT", help="mean of all adapters, base, an adapter, or a set of one adapter."
)
@_new_name
@options.base
@options.as_json
def lead(set_name: str | None, of: str, name: str | None, base_id: str, as_json: bool) -> None:
    """Choose whose greedy completion is shown first, and publish the set so; SET is by default the one in use.

    Mean, base and the adapter of another set become a row of their own. The mean is cut to the set's rank: how much of
    it is left is told. An adapter trained on all samples is made by trainer run --k 1.

    \b
        trainer lead oss-python --of mean
        trainer lead oss-python --of loops
        trainer lead oss-python --of oss-python-one
    """
    from trainer.pipeline.finish import publish_with_lead
    from trainer.pipeline.stages import open_trainer

    with open_trainer() as db:
        made, share = publish_with_lead(db, set_name, of, base_id=base_id, name=name)
    if as_json:
        click.echo(json.dumps({"name": made.name, "set_id": made.set_id, "lead": made.lead, "share": share}))
    else:
        kept = f", {share:.0%} of the mean in rank {made.rank}" if of == "mean" else ""
        click.echo(f"{made.name}: {made.lead} leads{kept}; published")


@click.command()
@_set_name
@options.data
@click.option("--limit", type=click.IntRange(min=20), default=120, show_default=True, help="Gaps to fit on, at most.")
@options.k
@options.base
@options.quantization
@options.seed
@options.unsafe_no_sandbox
@click.option("--force", is_flag=True, help="Publish a ranker that is not clearly better, too.")
@_new_name
@options.as_json
def rank(
    set_name: str | None,
    data: Path | None,
    limit: int,
    k: int,
    base_id: str,
    quantization: str,
    seed: int,
    unsafe_no_sandbox: bool,
    force: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Fit what orders a set's alternatives; publish the set with it if the first one shown is right more often.

    It learns from mbpp-gaps, which are in no benchmark, and is compared with today's order on those that it was not
    fitted on. Completions are kept: the same command goes on where it broke.

    \b
        trainer rank oss-python --data ~/benchmarks --limit 120
    """
    from trainer.evaluate.answering import EvaluationSettings
    from trainer.evaluate.benchmarks.load import load_benchmark
    from trainer.evaluate.sandbox import require_sandbox
    from trainer.pipeline.finish import publish_with_ranker
    from trainer.pipeline.stages import open_trainer

    problems = load_benchmark("mbpp-gaps", data, limit=limit, seed=seed)
    require_sandbox(may_be_none=unsafe_no_sandbox)
    settings = EvaluationSettings(base_id=base_id, quantization=quantization, seed=seed)
    with open_trainer() as db:
        found = publish_with_ranker(db, set_name, problems, settings, k=k, name=name, is_forced=force)
    click.echo(json.dumps(asdict(found)) if as_json else "\n".join(_lines(found)))


def _lines(found: "FittedRanker") -> list[str]:
    figures = found.figures
    outcome = "published with it" if found.is_published else "not clearly better: nothing was published, see --force"
    return [
        f"the first one shown is right, of {figures.n_problems} problems:",
        f"  as now, the lead first  {figures.today:.3f}",
        f"  by syntax and trust     {figures.trust:.3f}",
        f"  by the ranker           {figures.ranker.mean:.3f}, where it was not fitted",
        f"  if one is right at all  {figures.best:.3f}",
        f"ranker - now   {_interval(figures.minus_today)}",
        f"ranker - trust {_interval(figures.minus_trust)}",
        "weights " + ", ".join(f"{name} {weight:g}" for name, weight in found.weights.items()),
        outcome,
    ]


def _interval(found: "Interval") -> str:
    return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
