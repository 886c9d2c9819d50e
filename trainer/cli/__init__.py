"""The program `trainer`: its commands.

Data goes to stdout, progress to stderr.
"""

import logging
from importlib import import_module

import click

from spa_lsp import __version__
from spa_lsp.command_group import CommandGroup, set_up_logging

# The commands in the order of the help: module and name of each. They are imported when they are called.
_COMMANDS = {
    "synthesize": ("synthesize", "synthesize"),
    "import": ("stages", "import_samples"),
    "attribute": ("stages", "attribute"),
    "partition": ("stages", "partition"),
    "partition show": ("stages", "partition_show"),
    "partition check": ("stages", "partition_check"),
    "finetune": ("stages", "finetune"),
    "publish": ("stages", "publish"),
    "lead": ("finish", "lead"),
    "rank": ("finish", "rank"),
    "run": ("stages", "run"),
    "status": ("stages", "status"),
    "forget": ("synthesize", "forget"),
    "evaluate": ("evaluate", "evaluate"),
    "judge": ("judge", "judge_command"),
    "bench": ("bench", "bench"),
    "report": ("report", "report_command"),
}


class _Commands(CommandGroup):
    when_interrupted = "stopped; what is finished is kept, the same command resumes at the next call"

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


@click.group(
    "trainer", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, "-V", "--version", prog_name="trainer")
@click.option("-v", "--verbose", is_flag=True, help="Log what is done, on stderr.")
def main(verbose: bool) -> None:
    """Make adapters whose alternatives really differ: Synthesize, Partition, Adapt, all on this machine.

    \b
        trainer run samples.jsonl
        trainer status
    """
    set_up_logging("trainer", level=logging.INFO if verbose else logging.WARNING)
