"""`spa-lsp config`: what is set, where, and whether it can be used."""

import json
from dataclasses import asdict
from pathlib import Path

import click

_workspace = click.option(
    "--workspace",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="Folder whose settings file counts.",
)


@click.group()
def config() -> None:
    """Show and check the settings: those of your own file, of the workspace, and the defaults."""


@config.command()
@_workspace
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def show(workspace: Path, as_json: bool) -> None:
    """Show every setting and where its value comes from; what an editor sets itself is not seen here.

    \b
        spa-lsp config show --workspace ~/src/shop
    """
    from spa_lsp.settings.files import read_settings

    resolved = read_settings(workspace.resolve())
    values = asdict(resolved.settings)
    if as_json:
        shown = {name: {"value": value, "source": resolved.sources[name]} for name, value in values.items()}
        click.echo(json.dumps({"settings": shown, "complaints": resolved.complaints}, indent=1))
        return
    for name, value in values.items():
        click.echo(f"{name:20} {json.dumps(value):32} {resolved.sources[name]}")
    for complaint in resolved.complaints:
        click.echo(complaint, err=True)


@config.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@_workspace
def validate(file: Path | None, workspace: Path) -> None:
    """Check the settings of FILE, or of all files that count; exit status 1 when something cannot be used.

    \b
        spa-lsp config validate .spa-lsp.toml
    """
    from spa_lsp.settings.files import check_file, user_file, workspace_files

    own = user_file()
    files = [file] if file else [path for path in (own, *workspace_files(workspace.resolve())) if path.is_file()]
    complaints = [each for path in files for each in check_file(path, is_workspace=path.resolve() != own.resolve())]
    for complaint in complaints:
        click.echo(complaint)
    if complaints:
        raise click.ClickException(f"{len(complaints)} of the settings cannot be used as they are; their defaults are")
    click.echo(f"checked {', '.join(map(str, files))}" if files else "there is no file with settings; all is default")


@config.command()
@_workspace
def path(workspace: Path) -> None:
    """Print the files that may hold settings, the weakest first, whether they are there or not.

    \b
        spa-lsp config path
    """
    from spa_lsp.settings.files import user_file, workspace_files

    for file in (user_file(), *reversed(workspace_files(workspace.resolve()))):
        click.echo(f"{file}{'' if file.is_file() else '  (not there)'}")
