"""The commands of the stages, in their order: each unpacks its options, calls its stage and prints the figures.

Defaults and help of a stage's options live in `trainer/configs.py`; torch is imported by the stages.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from spa_lsp.adapters.manifest import MAX_TEMPERATURE
from trainer.cli import options
from trainer.configs import (
    SERVED_TEMPERATURE,
    Activation,
    AttributeConfig,
    AttributeMethod,
    FinetuneConfig,
    ItemsConfig,
    Normalize,
    PartitionConfig,
    PartitionMethod,
)

if TYPE_CHECKING:
    from trainer.data.samples import ImportReport
    from trainer.rows.runs import StageResult

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _common(command: _Command) -> _Command:
    """The options that every stage has."""
    return options.seed(options.as_json(command))


_limit = click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N samples.  [default: all]")
_language = click.option("--language", default="python", show_default=True, help="Language of the samples.")
_anchors = click.option(
    "--anchors", "anchors_path", type=click.Path(path_type=Path), help="JSONL of own anchors.  [default: bundled]"
)
_name = click.option("--name", metavar="NAME", help="Name of the adapter set.  [default: method and run]")
_temperature = click.option(
    "--temperature",
    type=click.FloatRange(min=0, max=MAX_TEMPERATURE),
    default=SERVED_TEMPERATURE,
    show_default=True,
    help="Temperature at which the set is served; 0 is greedy.",
)


@click.command("import")
@click.argument("path", metavar="[FILE]", type=click.Path(path_type=Path), required=False)
@click.option("--from-outcomes", is_flag=True, help="What was accepted in editors, where its text may be stored.")
@_limit
@_common
def import_samples(path: Path | None, from_outcomes: bool, limit: int | None, seed: int, as_json: bool) -> None:
    """Read samples from OSS-Instruct JSONL: lang, problem and solution in each object, other fields kept.

    Bad lines are reported and left out; known samples are not added again.

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
@options.attribute_method
@options.warmup_samples
@options.gradient_tokens
@options.damping
@options.warmup_learning_rate
@_anchors
@options.infill_share
@options.max_tokens
@_language
@options.base
@_limit
@_common
def attribute(
    method: AttributeMethod,
    warmup_samples: int,
    gradient_tokens: int,
    damping: float,
    learning_rate: float,
    anchors_path: Path | None,
    infill_share: float,
    max_tokens: int,
    language: str,
    base_id: str,
    limit: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Compute the influence of every sample on every anchor.

    \b
        trainer attribute --method bm25
        trainer attribute --limit 200
    """
    from trainer.pipeline.stages import open_trainer, run_attribute

    config = AttributeConfig(
        method=method,
        warmup_samples=warmup_samples,
        max_tokens=gradient_tokens,
        damping=damping,
        learning_rate=learning_rate,
    )
    items = ItemsConfig(infill_share=infill_share, max_tokens=max_tokens)
    with open_trainer() as db:
        result = run_attribute(
            db,
            config,
            items,
            base_id=base_id,
            language=language,
            limit=limit,
            anchors_path=anchors_path,
            seed=seed,
        )
    _print(result, as_json=as_json)


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@options.partition_method
@options.normalize
@options.k
@_limit
@_common
def partition(
    run_id: str | None,
    method: PartitionMethod,
    normalize: Normalize,
    k: int,
    limit: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Divide the samples into k parts by influence; RUN is the start of an attribute run's id, by default the newest.

    \b
        trainer partition --method argmax --k 6
    """
    from trainer.pipeline.stages import open_trainer, run_partition

    config = PartitionConfig(method=method, normalize=normalize, k=k)
    with open_trainer() as db:
        result = run_partition(db, config, run_id=run_id, limit=limit, seed=seed)
    _print(result, as_json=as_json)


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@options.rank
@options.alpha
@options.activation
@options.steps
@options.accumulate
@options.learning_rate
@options.checkpoint_every
@options.infill_share
@options.max_tokens
@options.base
@_limit
@_common
def finetune(
    run_id: str | None,
    rank: int,
    alpha: int,
    activation: Activation,
    steps: int,
    accumulate: int,
    learning_rate: float,
    checkpoint_every: int,
    infill_share: float,
    max_tokens: int,
    base_id: str,
    limit: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Train one adapter for each part of a partition; RUN is the start of its id, by default the newest.

    Resumes at the last checkpoint. With --limit, at most N samples of each part.

    \b
        trainer finetune --rank 8 --steps 60
    """
    from trainer.pipeline.stages import open_trainer, run_finetune

    config = FinetuneConfig(
        rank=rank,
        alpha=alpha,
        activation=activation,
        steps=steps,
        accumulate=accumulate,
        learning_rate=learning_rate,
        checkpoint_every=checkpoint_every,
    )
    items = ItemsConfig(infill_share=infill_share, max_tokens=max_tokens)
    with open_trainer() as db:
        result = run_finetune(db, config, items, base_id=base_id, run_id=run_id, limit=limit, seed=seed)
    _print(result, as_json=as_json)


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@_name
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The first N adapters only.  [default: all]")
@_temperature
@_common
def publish(
    run_id: str | None, name: str | None, limit: int | None, temperature: float, seed: int, as_json: bool
) -> None:
    """Make the adapters of a finetune run the set that is served; RUN is the start of its id, by default the newest.

    Nothing is drawn here: --seed only goes into the record of the run.

    \b
        trainer publish --name my-code
    """
    from trainer.pipeline.stages import open_trainer, run_publish

    with open_trainer() as db:
        result = run_publish(db, name=name, run_id=run_id, temperature=temperature, limit=limit, seed=seed)
    _print(result, as_json=as_json)


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@options.attribute_method
@options.partition_method_too
@options.k
@options.rank
@options.alpha
@options.activation
@options.steps
@options.infill_share
@options.max_tokens
@_anchors
@_language
@options.base
@_name
@_temperature
@_limit
@_common
def run(
    path: Path,
    method: AttributeMethod,
    partition_method: PartitionMethod,
    k: int,
    rank: int,
    alpha: int,
    activation: Activation,
    steps: int,
    infill_share: float,
    max_tokens: int,
    anchors_path: Path | None,
    language: str,
    base_id: str,
    name: str | None,
    temperature: float,
    limit: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Do all of it: import FILE, attribute, partition, finetune, publish; finished stages are skipped.

    The adapters learn from all samples of the language in the store. With --json, one object per line and stage.

    \b
        trainer run samples.jsonl --k 4 --steps 12
    """
    from trainer.pipeline.stages import open_trainer, run_all

    with open_trainer() as db:
        results = run_all(
            db,
            path,
            attribute=AttributeConfig(method=method),
            divide=PartitionConfig(method=partition_method, k=k),
            finetune=FinetuneConfig(rank=rank, alpha=alpha, activation=activation, steps=steps),
            items=ItemsConfig(infill_share=infill_share, max_tokens=max_tokens),
            base_id=base_id,
            language=language,
            anchors_path=anchors_path,
            name=name,
            temperature=temperature,
            limit=limit,
            seed=seed,
        )
        for result in results:  # each stage is computed when it is asked for
            _print(result, as_json=as_json)


@click.command()
@options.as_json
def status(as_json: bool) -> None:
    """Show what was imported and which stages ran, with their times and sizes.

    \b
        trainer status --json
    """
    from trainer.cli.summary import status_text
    from trainer.pipeline.stage_rows import read_status

    found = read_status()
    click.echo(json.dumps(found, indent=1) if as_json else status_text(found))


def _print(result: "ImportReport | StageResult", *, as_json: bool) -> None:
    from trainer.cli.summary import result_json, result_text

    click.echo(json.dumps(result_json(result)) if as_json else result_text(result))
