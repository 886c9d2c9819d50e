"""`spa-lsp adapters`: which adapter sets there are, choosing one, checking them, moving them in and out."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from spa_lsp.adapters import finding, selection
from spa_lsp.adapters.manifest import AdapterSet, to_manifest
from spa_lsp.adapters.served_base import served_base
from spa_lsp.adapters.server_export import check_servable, llama_command, vllm_command
from spa_lsp.adapters.transfer import FileVerdict, export_set, import_set, shapes_on_base, verify_set
from spa_lsp.completion import TOP_P
from spa_lsp.errors import Damaged, NotFound, SpaError
from spa_lsp.progress import BYTES, format_amount

base_option = click.option("--base", "base_id", metavar="ID", help="The base that the set was made for.")


@click.group()
def adapters() -> None:
    """List, choose, check, import and export adapter sets."""


@adapters.command("list")
@click.option("--base", "base_id", metavar="ID", help="Only sets for this base.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_adapters(base_id: str | None, as_json: bool) -> None:
    """List the adapter sets: imported, published by the trainer, shipped.

    \b
        spa-lsp adapters list --json
    """
    found = finding.list_sets(base_id)
    in_use = {found_base: _set_in_use(found_base) for found_base in {each.base_id for each in found}}
    rows = [_to_row(each, is_in_use=each == in_use[each.base_id]) for each in found]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        mark = "*" if row["is_in_use"] else " "
        size = format_amount(row["n_bytes"], BYTES)
        click.echo(f"{mark} {row['name']:<24} {row['base']:<29} k={row['k']:<3} {size:>9}  {row['source']}")
    click.echo("* in use" if rows else f"no adapter set{f' for {base_id}' if base_id else ''}", err=True)


@adapters.command()
@click.argument("name", required=False)
@click.option(
    "--default", "is_default", is_flag=True, help="Forget the choice: newest published set, else the shipped."
)
@base_option
def use(name: str | None, is_default: bool, base_id: str | None) -> None:
    """Choose the set that completions for its base come from.

    \b
        spa-lsp adapters use my-set
        spa-lsp adapters use --default
    """
    if (name is None) != is_default:
        raise click.UsageError("give either the NAME of a set or --default")
    if name is None:
        selection.clear_selection(base_id)
        click.echo(f"the default set is used for {base_id or 'every base'}")
        return
    found = _find(name, base_id)
    shapes_on_base(found)  # a set for other weights is refused now, and not at the first completion
    selection.select_set(found)
    click.echo(f"{found.name} ({finding.source_of(found)}, k={found.k}) is used for {found.base_id}")


@adapters.command()
@click.argument("name", required=False)
@base_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the manifest, with set_id, source and folder.")
def info(name: str | None, base_id: str | None, as_json: bool) -> None:
    """Show one set and its adapters; the set in use if no NAME is given. With --json, all its figures too.

    \b
        spa-lsp adapters info my-set
    """
    found = _find(name, base_id)
    if as_json:
        click.echo(json.dumps(to_manifest(found) | _place(found), indent=1, ensure_ascii=False))
        return
    for line in _describe(found):
        click.echo(line)


@adapters.command()
@click.argument("name", required=False)
@base_option
def verify(name: str | None, base_id: str | None) -> None:
    """Read all files of a set and check them; of all sets if no NAME is given.

    \b
        spa-lsp adapters verify my-set
    """
    n_bad = _verify_one(_find(name, base_id)) if name else _verify_all(base_id)
    if n_bad:
        raise Damaged(f"{n_bad} {'file is' if n_bad == 1 else 'files are'} bad; fetch or publish the set again")


@adapters.command("import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="Import it under this name.")
@click.option("--replace", "is_replacing", is_flag=True, help="Replace the imported set of this name.")
def import_adapters(folder: Path, name: str | None, is_replacing: bool) -> None:
    """Copy the set in FOLDER to the imported sets, after checking all of it.

    It is used only when it is asked for: adapters come from whoever trained them, and can be trained to write bad code.

    \b
        spa-lsp adapters import ~/Downloads/their-set
    """
    found = import_set(folder, name=name, is_replacing=is_replacing)
    click.echo(
        f"imported {found.name} for {found.base_id} to {found.folder}; to use it: spa-lsp adapters use {found.name}"
    )


@adapters.command("export")
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@base_option
@click.option("--peft", "is_peft", is_flag=True, help="Add one sub-folder per adapter that PEFT can load.")
@click.option("--vllm", "is_vllm", is_flag=True, help="The same for vLLM; print the command that starts it.")
@click.option("--llama", "is_llama", is_flag=True, help="Add a file per adapter for llama-server; print its command.")
def export_adapters(name: str, folder: Path, base_id: str | None, is_peft: bool, is_vllm: bool, is_llama: bool) -> None:
    """Write a set as the new folder FOLDER.

    Adapters can give back what they were trained on: treat the folder like that code.

    \b
        spa-lsp adapters export my-set ./my-set --peft
        spa-lsp adapters export my-set ./my-set --vllm
    """
    found = _find(name, base_id)
    if is_vllm or is_llama:
        check_servable(found)
    export_set(found, folder, is_peft=is_peft or is_vllm, is_gguf=is_llama)
    click.echo(f"exported {found.name}, {found.k} adapters, to {folder}")
    for command in [vllm_command] * is_vllm + [llama_command] * is_llama:
        click.echo(command(found, folder))
    click.echo(f"it was trained on {_sources(found.data)}", err=True)


def _sources(data: Mapping[str, Any]) -> str:
    """What a manifest says of the samples; as it stands, where that is not in the trainer's form."""
    match data:
        case {"n_samples": int(n), "sources": [*sources]} if all(isinstance(each, dict) for each in sources):
            named = (f"{each.get('name')} ({each.get('licence')}, {each.get('n_samples')})" for each in sources)
            return f"{n} samples: {', '.join(named)}"
        case {"n_samples": int(n), "datasets": [*datasets]} if all(isinstance(each, dict) for each in datasets):
            files = ", ".join(str(each["name"]) for each in datasets if each.get("name"))
            return f"{n} samples of {files}" if files else f"{n} imported samples"
    return json.dumps(data, ensure_ascii=False)


def _find(name: str | None, base_id: str | None) -> AdapterSet:
    """The set meant; of sets of one name for several bases, that of the base that is served."""
    is_open = name is None or any(found.name == name for found in finding.list_sets())
    return finding.find_set(name, served_base(base_id, name) if is_open else base_id)


def _set_in_use(base_id: str) -> AdapterSet | None:
    try:
        return finding.find_set(None, base_id)
    except NotFound:
        return None


def _place(found: AdapterSet) -> dict[str, Any]:
    folder = str(found.folder) if found.folder else None
    return {"set_id": found.set_id, "source": finding.source_of(found), "folder": folder}


def _to_row(found: AdapterSet, *, is_in_use: bool) -> dict[str, Any]:
    return {
        "name": found.name,
        "base": found.base_id,
        "k": found.k,
        "rank": found.rank,
        "activation": found.activation,
        "temperature": found.temperature,
        "layouts": list(found.layouts),
        "method": found.method,
        "n_bytes": sum(adapter.n_bytes for adapter in found.adapters),
        "is_in_use": is_in_use,
        **_place(found),
    }


def _describe(found: AdapterSet) -> list[str]:
    facts = {
        "name": found.name,
        "base": f"{found.base_id}, weights sha256 {found.base_sha256[:12]}…",
        "lies in": str(found.folder or "the store"),
        "id": found.set_id,
        "adapters": f"{found.k}, rank {found.rank}, alpha {found.alpha}, on {', '.join(found.target_modules)}",
        "act on": "the completion; the prompt is shared"
        if found.activation == "completion"
        else "prompt and completion",
        "served": f"sampled at {found.temperature:g}, top-p {TOP_P}" if found.temperature else "greedily",
        "leads": found.adapters[found.lead_index].name,
        "ordered": "by a ranker" if found.ranker else "by trust",
        "layouts": ", ".join(found.layouts),
        "made by": f"{found.method}, run {found.run_id}",
        "data": _sources(found.data),
    }
    lines = [f"{name:<9} {fact}" for name, fact in facts.items()]
    width = max(len(adapter.name) for adapter in found.adapters)
    return lines + [f"  {each.name:<{width}}  {each.label}{_held_out(each.figures)}" for each in found.adapters]


def _held_out(figures: Mapping[str, Any]) -> str:
    """What an adapter's manifest says of its loss, where that is in the trainer's form."""
    match figures:
        case {"held_out_own": float(own), "held_out_base_own": float(base)}:
            return f": held-out loss of its part {own:.2f}, the base's there {base:.2f}"
    return ""


def _verify_one(found: AdapterSet) -> int:
    verdicts = verify_set(found)
    place = found.folder or f"store: {found.base_id}/{found.name}"
    for verdict in verdicts:
        click.echo(_verdict_line(place, verdict))
    return sum(1 for verdict in verdicts if verdict.problem)


def _verify_all(base_id: str | None) -> int:
    broken: dict[Path, SpaError] = {} if base_id else finding.list_broken()
    for folder, error in broken.items():
        click.echo(f"bad  {folder}: {error}")
    found = finding.list_sets(base_id)
    if not found and not broken:
        click.echo("no adapter set to check", err=True)
    return len(broken) + sum(_verify_one(each) for each in found)


def _verdict_line(place: Path | str, verdict: FileVerdict) -> str:
    return f"bad  {place}/{verdict.file}: {verdict.problem}" if verdict.problem else f"ok   {place}/{verdict.file}"
