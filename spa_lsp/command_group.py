"""What both programs share: the border where errors become one sentence, and the log on stderr."""

import errno
import logging
from collections.abc import Sequence
from typing import Any, ClassVar

import click

from spa_lsp import paths
from spa_lsp.errors import SpaError
from spa_lsp.offline import go_offline
from spa_lsp.storage.sqlite_errors import explain
from spa_lsp.waiting import spin_briefly

_INTERRUPTED = 130  # 128 + SIGINT, as shells do


class CommandGroup(click.Group):
    """The commands of one program: offline, and only a bug ends one in a traceback."""

    when_interrupted: ClassVar[str] = "stopped"

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what a person can fix ends it with exit status 1 and one sentence, Ctrl-C with 130."""
        go_offline()
        spin_briefly()
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo(f"{self.name}: {self.when_interrupted}", err=True)
            ctx.exit(_INTERRUPTED)
        except Exception as error:
            if (sentence := _sentence(error)) is None:
                raise
            raise click.ClickException(sentence) from error


def _sentence(error: Exception) -> str | None:
    """None: a bug, or what click itself ends well."""
    if isinstance(error, SpaError):
        return str(error)
    if isinstance(error, OSError):
        if error.errno == errno.EPIPE:  # the reader of our output has left; click ends quietly
            return None
        return f"{error.filename or 'input or output'}: {error.strerror or error}"
    found = explain(error, paths.data_dir())
    return str(found) if found else None


def set_up_logging(program: str, *, level: int = logging.WARNING, others: Sequence[logging.Handler] = ()) -> None:
    """Log to the person at stderr what is at least of this level, and to the `others` whatever is at least info."""
    to_person = logging.StreamHandler()
    to_person.setLevel(level)  # of the handler: other packages turn their own loggers to debug
    to_person.setFormatter(logging.Formatter(f"{program}: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[to_person, *others])
