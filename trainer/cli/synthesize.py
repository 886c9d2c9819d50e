"""`trainer synthesize` and `trainer forget`: samples from one's own code, and their removal."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from trainer.cli import options
from trainer.configs import SourcesConfig, SynthesizeConfig


@click.command()
@options.of_config(SourcesConfig, "sources")
@options.of_config(SynthesizeConfig, "config")
@options.data
@options.base
@options.quantization
@options.unsafe_no_sandbox
@options.executor
@options.limit_seeds
@options.seed
@options.as_json
def synthesize(sources: SourcesConfig, as_json: bool, **asked: Any) -> None:
    """Make samples of your own repositories, or of installed packages with a permissive licence.

    The base invents exercises and solves them; programs run in the sandbox only, and what is not shown to be right is
    dropped. With --limit, of at most N seeds: functions and snippets. The same command goes on where it broke.

    \b
        trainer synthesize --from ~/code/my-project --limit 200
        trainer synthesize --package sympy --recipe behaviour
    """
    from trainer.cli.summary import result_json, result_text
    from trainer.pipeline.stages import open_trainer
    from trainer.pipeline.synthesis import run_synthesize

    if sources == SourcesConfig():
        raise click.UsageError("give --from DIR or --package NAME")
    with open_trainer() as db:
        result = run_synthesize(db, sources=sources, **asked)
    click.echo(json.dumps(result_json(result)) if as_json else result_text(result))


@click.command()
@click.option("--repo", "repository", metavar="DIR|NAME", help="All that came from a repository or a package.")
@click.option("--file", "file", type=options.PATH, help="All that came from a file of a repository.")
@options.as_json
def forget(repository: str | None, file: Path | None, as_json: bool) -> None:
    """Remove synthesized samples and all that was made of them, so that no page of the store keeps them.

    Adapters that learned of them are marked, and what must be trained anew is said.

    \b
        trainer forget --repo ~/code/my-project
        trainer forget --file ~/code/my-project/secret.py
    """
    from trainer.pipeline.stages import open_trainer
    from trainer.pipeline.staleness import commands_again
    from trainer.synthesize.forget import forget as forget_all

    if bool(repository) == bool(file):
        raise click.UsageError("give either --repo or --file")
    with open_trainer() as db:
        found = forget_all(db, repository=repository or "", file=file)
        again = commands_again(db, found.again, found.runs)
    if as_json:
        click.echo(json.dumps(asdict(found)))
        return
    if not found.n_seeds:
        known = ", ".join(found.repositories) or "no repository"
        click.echo(f"nothing in the store is of {repository or file}; it has samples of {known}")
        return
    click.echo(f"forgotten: {found.n_seeds} seeds, {found.n_tasks} tasks, {found.n_samples} samples")
    if found.sets:
        click.echo(f"these sets have learned of them: {', '.join(found.sets)}")
    if again:
        click.echo("\n  ".join(["to train anew:", *again]))
