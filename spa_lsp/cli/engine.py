"""`spa-lsp engine`: the process that holds the base for all editors and commands of this user."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from spa_lsp.errors import NotFound
from spa_lsp.progress import BYTES, format_amount, format_seconds, progress
from spa_lsp.settings.schema import AUTO, QUANTIZATIONS


@click.group()
def engine() -> None:
    """Start, stop and watch the engine; editors and commands start it by themselves."""


@engine.command()
@click.option("--base", "base_id", metavar="ID", help="Base, see spa-lsp models list.")
@click.option("--set", "set_name", metavar="ID", help="Adapter set; '' is none.")
@click.option("--quantization", type=click.Choice(QUANTIZATIONS), help="Precision of the base.")
@click.option("--idle-s", type=click.FloatRange(min=1), help="End after so many seconds without a client.")
@click.option("--max-memory-mb", type=click.IntRange(min=100), metavar="MB", help="End when more memory is resident.")
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
def start(
    base_id: str | None,
    set_name: str | None,
    quantization: str | None,
    idle_s: float | None,
    max_memory_mb: int | None,
    as_json: bool,
) -> None:
    """Start the engine of a base, if it is not there, and wait until it has loaded.

    Options that are left out are as your own settings say. Limits that are given count for an engine that runs, too.

    \b
        spa-lsp engine start
    """
    from spa_lsp.cli._completer import choose_model, own_settings
    from spa_lsp.engine.client import EngineClient

    own = own_settings()
    model = choose_model(base_id, set_name, quantization)
    with progress(f"load {model.base_id}", 100, "%") as shown:
        done = 0

        def on_loading(stage: str, fraction: float) -> None:
            nonlocal done
            shown.advance(round(fraction * 100) - done)
            done = round(fraction * 100)

        client = EngineClient.connect(
            model.base_id,
            model.set_name,
            model.quantization,
            idle_s=own.engine_idle_s if idle_s is None else idle_s,
            max_memory_mb=max_memory_mb or own.max_memory_mb or None,
            are_limits_new=(idle_s, max_memory_mb) != (None, None),
            on_loading=on_loading,
        )
        with closing(client):
            client.wait_until_loaded()
            shown.advance(100 - done)
            status = client.status()
    _show([status], as_json=as_json)


@engine.command()
@click.option("--base", "base_id", metavar="ID", help="Only the engine of this base.  [default: all]")
def stop(base_id: str | None) -> None:
    """End this user's engines, also those of other stores; a client that needs one starts it again.

    \b
        spa-lsp engine stop
    """
    from spa_lsp.engine.client import stop_engine

    found = _running(base_id)
    for status in found:
        stop_engine(Path(status["socket"]), is_silent=status["state"] == "silent")
        which = f"of {status['base']}" if status["base"] else "that did not answer"
        click.echo(f"stopped the engine {which}, process {status['pid']}")
    if not found:
        click.echo("no engine is running")


@engine.command("status")
@click.option("--base", "base_id", metavar="ID", help="Only the engine of this base; it is an error if there is none.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def show_status(base_id: str | None, as_json: bool) -> None:
    """Show the running engines: what they hold, for how many clients, and how much memory that takes.

    \b
        spa-lsp engine status --json
    """
    found = _running(base_id)
    if base_id and not found:
        raise NotFound(f"no engine of {base_id} is running; start it with: spa-lsp engine start --base {base_id}")
    _show(found, as_json=as_json)


def _running(base_id: str | None) -> list[dict[str, Any]]:
    """Those of a base, or all; of one that does not answer, the socket says whether it is of that base."""
    from spa_lsp.cli._completer import choose_model
    from spa_lsp.engine.client import running_engines
    from spa_lsp.engine.supervisor import socket_path

    if base_id == AUTO:
        base_id = choose_model(base_id).base_id
    places = {str(socket_path(base_id, quantization)) for quantization in QUANTIZATIONS} if base_id else set()
    return [each for each in running_engines() if base_id in (None, each["base"]) or each["socket"] in places]


def _show(statuses: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(statuses, indent=1))
        return
    for status in statuses:
        click.echo(to_text(status))
    if not statuses:
        click.echo("no engine is running; editors and commands start it when they need it")


def to_text(status: dict[str, Any]) -> str:
    """One engine on three lines, one that does not answer on two."""
    if status["state"] == "silent":
        return f"silent: process {status['pid']} does not answer; end it: spa-lsp engine stop\n  {status['socket']}"
    state = f"loading, {status['load_fraction']:.0%}" if status["state"] == "loading" else status["state"]
    failure = f": {status['error']}" if status["error"] else ""
    precision = f"{status['quantization']} ({status['kernel']})" if status.get("kernel") else status["quantization"]
    what = [status["base"], status["adapter_set"] or "no adapter set", precision, status["device"]]
    use = f"clients: {status['n_clients']}, requests: {status['n_requests']} in {format_seconds(status['uptime_s'])}"
    return (
        f"{' · '.join(name for name in what if name)} · {state}{failure}\n"
        f"  process {status['pid']}, {format_amount(status['resident_bytes'], BYTES)} of memory, {use}\n"
        f"  {status['socket']}"
    )
