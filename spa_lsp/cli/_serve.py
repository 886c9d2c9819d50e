"""`spa-lsp --stdio`: standard output is taken for the wire before anything else is imported."""

import sys
from collections.abc import Sequence
from typing import NoReturn


def serve_stdio(engine_command: Sequence[str] | None = None) -> NoReturn:
    """Serve one client on standard input and output, until the end of this process.

    Args:
        engine_command: starts the engine; None: the usual one for the base that the client's settings name.
    """
    from spa_lsp.server.stdio import take_stdout

    stdout = take_stdout()

    from spa_lsp.server.app import serve

    serve(sys.stdin.buffer, stdout, engine_command=engine_command)
