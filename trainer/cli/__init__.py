"""The program `trainer`: unpacks options, calls one stage, prints its figures. Data on stdout, progress on stderr.

The border where errors become one sentence is here too. Defaults live in `configs.py`; torch is imported by the stages.
"""

import errno
import json
import logging
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from spa_lsp import __version__, paths
from spa_lsp.adapters.manifest import MAX_TEMPERATURE
from spa_lsp.errors import SpaError
from spa_lsp.offline import go_offline
from spa_lsp.storage.sqlite_errors import explain
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

_INTERRUPTED = 130  # 128 + SIGINT, as shells do

_Command = TypeVar("_Command", bound=Callable[..., Any])


# Commands in modules of their own, by name: where each is. They are imported when they are called.
_ELSEWHERE = {
    "evaluate": ("trainer.cli.evaluate", "evaluate"),
    "judge": ("trainer.cli.judge", "judge_command"),
    "bench": ("trainer.cli.bench", "bench"),
    "report": ("trainer.cli.report", "report_command"),
}


class _Trainer(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_ELSEWHERE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _ELSEWHERE:
            module, name = _ELSEWHERE[cmd_name]
            command: click.Command = getattr(import_module(module), name)
            return command
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        go_offline()
        try:
            return super().invoke(ctx)
        except SpaError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            click.echo(
                "trainer: stopped; what is finished is kept, the same command resumes at the next call", err=True
            )
            ctx.exit(_INTERRUPTED)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output has left; click ends quietly
                raise
            raise click.ClickException(f"{error.filename or 'input or output'}: {error.strerror or error}") from error
        except Exception as error:
            if (found := explain(error, paths.data_dir())) is None:
                raise
            raise click.ClickException(str(found)) from error


def _common(command: _Command) -> _Command:
    """The options that every stage has."""
    return options.seed(options.as_json(command))


_limit = click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N samples.  [default: all]")
_language = click.option("--language", default="python", show_default=True, help="Of the samples.")
_anchors = click.option(
    "--anchors", "anchors_path", type=click.Path(path_type=Path), help="JSONL of own anchors.  [default: bundled]"
)
_name = click.option("--name", metavar="NAME", help="Of the adapter set.  [default: method and run]")
_temperature = click.option(
    "--temperature",
    type=click.FloatRange(min=0, max=MAX_TEMPERATURE),
    default=SERVED_TEMPERATURE,
    show_default=True,
    help="At which the set is served; 0 is greedy.",
)


@click.group(cls=_Trainer, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "-V", "--version", prog_name="trainer")
@click.option("-v", "--verbose", is_flag=True, help="Log what is done, on stderr.")
def main(verbose: bool) -> None:
    """Make adapters whose alternatives really differ: Synthesize, Partition, Adapt, all on this machine.

    \b
        trainer run samples.jsonl
        trainer status
    """
    to_person = logging.StreamHandler()
    to_person.setLevel(logging.INFO if verbose else logging.WARNING)  # bm25s turns its own logger to debug
    to_person.setFormatter(logging.Formatter("trainer: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[to_person])


@main.command("import")
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


@main.command()
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


@main.command()
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


@main.command()
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


@main.command()
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


@main.command()
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


@main.command()
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
