"""The program `spa-lsp`: its commands, and the options of the whole program.

Each public module in this folder is one command, a click command of the module's name, imported when it is asked for.
"""

import importlib
import logging
import pkgutil
from pathlib import Path

import click

from spa_lsp import __version__
from spa_lsp.command_group import CommandGroup, set_up_logging


class _Commands(CommandGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = getattr(importlib.import_module(f"{__name__}.{cmd_name}"), cmd_name)
        return command


@click.group(
    "spa-lsp",
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, "-V", "--version", prog_name="spa-lsp")
@click.option("--stdio", is_flag=True, help="Start the language server on standard input and output.")
@click.option("--tcp", metavar="HOST:PORT", help="Start it for one client at a port of this machine; 0 is any.")
@click.option("--pipe", type=click.Path(path_type=Path), help="Start it for one client at this socket file.")
@click.option("--clientProcessId", "client_process_id", type=int, help="End with this process; editors add it.")
@click.option(
    "--log-file", type=click.Path(dir_okay=False, path_type=Path), help="Write the log there, with more detail."
)
@click.pass_context
def main(
    ctx: click.Context,
    stdio: bool,
    tcp: str | None,
    pipe: Path | None,
    client_process_id: int | None,
    log_file: Path | None,
) -> None:
    """Offer k really different completions from k LoRA adapters on one base, offline.

    \b
        spa-lsp models pull
        spa-lsp demo
        spa-lsp --stdio
    """
    set_up_logging("spa-lsp", others=[_log_to_file(log_file, ctx)] if log_file else [])
    ways = [name for name, value in (("--stdio", stdio), ("--tcp", tcp), ("--pipe", pipe)) if value]
    if len(ways) > 1:
        raise click.UsageError(f"{' and '.join(ways)} are ways to reach one server; choose one")
    if ways and ctx.invoked_subcommand:
        raise click.UsageError(f"{ways[0]} starts the server and takes no command such as {ctx.invoked_subcommand!r}")
    if ways:
        _serve(tcp, pipe, client_process_id)
    elif ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _serve(tcp: str | None, pipe: Path | None, client_process_id: int | None) -> None:
    from spa_lsp.cli._serve import serve_pipe, serve_stdio, serve_tcp

    if tcp:
        serve_tcp(tcp, client_process_id=client_process_id)
    elif pipe:
        serve_pipe(pipe, client_process_id=client_process_id)
    else:
        serve_stdio(client_process_id=client_process_id)


def _log_to_file(log_file: Path, ctx: click.Context) -> logging.Handler:
    handler = logging.FileHandler(log_file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    ctx.call_on_close(handler.close)
    return handler
