"""The commands of the stages, in their order: each calls its stage and prints the figures.

A stage's own options are those of its config in `trainer/configs.py`; torch is imported by the stages. What one stage
was asked is handed on by name (`asked`): its signature says it, a second list here could only differ from it.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trainer.cli import options
from trainer.configs import (
    AttributeConfig,
    CheckConfig,
    FinetuneConfig,
    ItemsConfig,
    PartitionConfig,
    PublishConfig,
    SourcesConfig,
    SynthesizeConfig,
)

if TYPE_CHECKING:
    from trainer.data.samples import ImportReport
    from trainer.rows.runs import StageResult


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every stage has."""
    return options.limit(options.seed(options.as_json(command)))


_run_id = click.argument("run_id", metavar="[RUN]", required=False)
_from_outcomes = click.option(
    "--from-outcomes", is_flag=True, help="What was accepted in editors, where its text may be stored."
)


@click.command("import")
@click.argument("path", metavar="[FILE]", type=options.PATH, required=False)
@_from_outcomes
@_common
def import_samples(path: Path | None, from_outcomes: bool, limit: int | None, seed: int, as_json: bool) -> None:
    """Read samples in the form of OSS-Instruct: lang, problem and solution in each object, other fields kept.

    FILE is JSONL, Parquet, or the folder of a Hugging Face data set; the last two need the extra `hub`. Bad lines are
    reported and left out; known samples are not added again.

    \b
        trainer import data-oss_instruct-decontaminated.jsonl
    """
    from trainer.pipeline.stages import open_trainer, run_import, run_import_accepted

    if (path is None) != from_outcomes:
        raise click.UsageError("give either a FILE or --from-outcomes")
    with open_trainer() as db:
        report = run_import_accepted(db, limit=limit) if path is None else run_import(db, path, limit=limit)
    _print(report, as_json=as_json)


@click.command()
@options.of_config(AttributeConfig, "config")
@options.of_config(ItemsConfig, "items")
@options.anchors
@options.language
@options.base
@options.executor
@_common
def attribute(as_json: bool, **asked: Any) -> None:
    """Compute the influence of every sample on every anchor.

    \b
        trainer attribute --method bm25
        trainer attribute --limit 200
        trainer attribute --executor ray --workers 2
    """
    from trainer.pipeline.stages import open_trainer, run_attribute

    with open_trainer() as db:
        _print(run_attribute(db, **asked), as_json=as_json)


@click.command()
@_run_id
@options.of_config(PartitionConfig, "config")
@_common
def partition(as_json: bool, **asked: Any) -> None:
    """Divide the samples into k parts by influence; RUN is the start of an attribute run's id, by default the newest.

    \b
        trainer partition --method argmax --k 6
    """
    from trainer.pipeline.stages import open_trainer, run_partition

    with open_trainer() as db:
        _print(run_partition(db, **asked), as_json=as_json)


@click.command("partition show")
@_run_id
@options.as_json
def partition_show(run_id: str | None, as_json: bool) -> None:
    """Explain each part of a partition: the words that set it apart, typical samples, a label that would fit.

    RUN is the start of its id, by default the newest.

    \b
        trainer partition show
    """
    from trainer.cli.summary import parts_text
    from trainer.pipeline.explain import explain
    from trainer.pipeline.stage_rows import source_run
    from trainer.pipeline.stages import read_trainer
    from trainer.rows.records import plain
    from trainer.rows.stages import PARTITION

    with read_trainer() as db:
        views = explain(db, source_run(db, PARTITION, run_id))
    click.echo(json.dumps(plain(views)) if as_json else parts_text(views))


@click.command("partition check")
@_run_id
@options.of_config(CheckConfig, "config")
@options.of_config(
    FinetuneConfig, "finetune", only=("rank", "alpha", "activation", "accumulate", "learning_rate", "at_once")
)
@options.of_config(ItemsConfig, "items")
@options.base
@_common
def partition_check(as_json: bool, **asked: Any) -> None:
    """Say whether a partition gives more than chance: train its parts, and random ones of their sizes, shortly.

    All adapters are then asked for samples that none is trained on: is their own part's better than the others, and
    more so than in random parts? RUN is the start of a partition run's id, by default the newest. Resumes where it
    broke. With --limit, at most N samples of each part.

    \b
        trainer partition check
        trainer partition check --steps 20 --random 5
    """
    from trainer.pipeline.check import run_check
    from trainer.pipeline.stages import open_trainer

    with open_trainer() as db:
        _print(run_check(db, **asked), as_json=as_json)


@click.command()
@_run_id
@options.of_config(FinetuneConfig, "config")
@options.of_config(ItemsConfig, "items")
@options.base
@options.executor
@_common
def finetune(as_json: bool, **asked: Any) -> None:
    """Train one adapter for each part of a partition; RUN is the start of its id, by default the newest.

    Resumes at the last checkpoint. With --limit, at most N samples of each part.

    \b
        trainer finetune --rank 8 --steps 60
        trainer finetune --init-from my-code --patience 3
    """
    from trainer.pipeline.stages import open_trainer, run_finetune

    with open_trainer() as db:
        _print(run_finetune(db, **asked), as_json=as_json)


@click.command()
@_run_id
@options.of_config(PublishConfig, "config")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The first N adapters only.  [default: all]")
@options.seed
@options.as_json
def publish(config: PublishConfig, limit: int | None, as_json: bool, **asked: Any) -> None:
    """Make the adapters of a finetune run the set that is served; RUN is the start of its id, by default the newest.

    Nothing is drawn here: --seed only goes into the record of the run.

    \b
        trainer publish --name my-code
    """
    from trainer.pipeline.stages import open_trainer, run_publish

    with open_trainer() as db:
        _print(run_publish(db, replace(config, limit=limit), **asked), as_json=as_json)


@click.command()
@click.argument("path", metavar="[FILE]", type=options.PATH, required=False)
@_from_outcomes
@options.of_config(SourcesConfig, "sources")
@options.of_config(SynthesizeConfig, "synthesize", only=("recipe", "responses"))
@options.n_seeds
@options.data
@options.of_config(AttributeConfig, "attribute", only=("method", "differences"))
@options.of_config(PartitionConfig, "partition", flags={"method": "--partition-method"})
@options.of_config(FinetuneConfig, "finetune")
@options.of_config(ItemsConfig, "items")
@options.of_config(PublishConfig, "publish")
@options.anchors
@options.language
@options.base
@options.budget
@_common
def run(
    *,
    path: Path | None,
    from_outcomes: bool,
    sources: SourcesConfig,
    synthesize: SynthesizeConfig,
    n_seeds: int | None,
    data: Path | None,
    attribute: AttributeConfig,
    partition: PartitionConfig,
    finetune: FinetuneConfig,
    items: ItemsConfig,
    publish: PublishConfig,
    anchors_path: Path | None,
    language: str,
    base_id: str,
    budget_s: float | None,
    limit: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Do all of it: import or synthesize, attribute, partition, finetune, publish; finished stages are skipped.

    The adapters learn from all samples of the language in the store. Where most tasks have several solutions they are
    divided by solution, by approach, unless --method, --differences or --partition-method is given. With --json, one
    object per line and stage.

    \b
        trainer run samples.jsonl --k 4 --steps 12
        trainer run --from ~/code/my-project --seeds 200
        trainer run --from ~/code/my-project --budget 60m
        trainer run --from-outcomes --init-from my-code
    """
    from trainer.pipeline.request import RunRequest
    from trainer.pipeline.run import run_all
    from trainer.pipeline.stages import open_trainer

    if path is None and not from_outcomes and sources == SourcesConfig():
        raise click.UsageError("give a FILE, --from-outcomes, --from DIR or --package NAME")
    of_seeds = {"--seeds": "n_seeds", "--recipe": "synthesize_recipe", "--responses": "synthesize_responses"}
    if sources == SourcesConfig() and (idle := [flag for flag, name in of_seeds.items() if options.is_given(name)]):
        raise click.UsageError(f"{' and '.join(idle)} need --from DIR or --package NAME")
    says_how = ("attribute_method", "attribute_differences", "partition_method")
    request = RunRequest(
        path=path,
        from_outcomes=from_outcomes,
        sources=sources,
        n_seeds=n_seeds,
        data=data,
        synthesize=synthesize,
        attribute=attribute,
        partition=partition,
        finetune=finetune,
        items=items,
        publish=publish,
        base_id=base_id,
        language=language,
        anchors_path=anchors_path,
        limit=limit,
        seed=seed,
        budget_s=budget_s,
        most_steps=finetune.steps if options.is_given("finetune_steps") else None,
        may_choose=not any(map(options.is_given, says_how)),
    )
    with open_trainer() as db:
        for result in run_all(db, request):  # each stage is computed when it is asked for
            _print(result, as_json=as_json)


@click.command()
@options.as_json
def status(as_json: bool) -> None:
    """Show what was imported, which stages ran, with times and sizes, what is stale and why, and what comes next.

    \b
        trainer status --json
    """
    from trainer.cli.summary import status_text
    from trainer.pipeline.stage_rows import read_status

    found = read_status()
    click.echo(json.dumps(found, indent=1) if as_json else status_text(found))


def _print(result: "ImportReport | StageResult[Any, Any, Any]", *, as_json: bool) -> None:
    from trainer.cli.summary import result_json, result_text

    click.echo(json.dumps(result_json(result)) if as_json else result_text(result))
