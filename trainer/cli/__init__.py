"""The program `trainer`: its commands, and the border where errors become one sentence.

Data goes to stdout, progress to stderr.
"""

import errno
import logging
from importlib import import_module
from typing import Any

import click

from spa_lsp import __version__, paths
from spa_lsp.errors import SpaError
from spa_lsp.offline import go_offline
from spa_lsp.storage.sqlite_errors import explain

_INTERRUPTED = 130  # 128 + SIGINT, as shells do


# The commands in the order of the help: module and name of each. They are imported when they are called.
_COMMANDS = {
    "synthesize": ("synthesize", "synthesize"),
    "import": ("stages", "import_samples"),
    "attribute": ("stages", "attribute"),
    "partition": ("stages", "partition"),
    "partition show": ("stages", "partition_show"),
    "finetune": ("stages", "finetune"),
    "publish": ("stages", "publish"),
    "run": ("stages", "run"),
    "status": ("stages", "status"),
    "forget": ("synthesize", "forget"),
    "evaluate": ("evaluate", "evaluate"),
    "judge": ("judge", "judge_command"),
    "bench": ("bench", "bench"),
    "report": ("report", "report_command"),
}


class _Trainer(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        two = " ".join(args[:2])  # as in `partition show`; the start of an id is no such word
        return super().resolve_command(ctx, [two, *args[2:]] if two in _COMMANDS else args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"trainer.cli.{module}"), name)
        return command

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
