"""The ways to reach the language server: `--stdio`, `--tcp` and `--pipe`.

Standard output is taken for the wire before anything else is imported.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    import socket


def serve_stdio(engine_command: Sequence[str] | None = None, *, client_process_id: int | None = None) -> NoReturn:
    """Serve one client on standard input and output, until the end of this process.

    Args:
        engine_command: starts the engine; None: the usual one for the base that the client's settings name.
        client_process_id: the server ends when this process does, as with that of `initialize`.
    """
    from spa_lsp.server.stdio import take_stdout, watch_parent

    stdout = take_stdout()
    watch_parent(client_process_id)

    from spa_lsp.server.app import serve

    serve(sys.stdin.buffer, stdout, engine_command=engine_command)


def serve_tcp(
    address: str, engine_command: Sequence[str] | None = None, *, client_process_id: int | None = None
) -> NoReturn:
    """Serve the first client that comes to HOST:PORT; the port is told on standard error.

    Raises:
        SpaError: this address cannot be listened at.
    """
    from spa_lsp.server.sockets import accept_client, listen_tcp
    from spa_lsp.server.stdio import watch_parent

    watch_parent(client_process_id)
    listener = listen_tcp(address)
    host, port = listener.getsockname()[:2]
    click.echo(f"spa-lsp: listening at {host}:{port}", err=True)
    _serve_socket(accept_client(listener), engine_command)


def serve_pipe(
    path: Path, engine_command: Sequence[str] | None = None, *, client_process_id: int | None = None
) -> NoReturn:
    """Serve one client over a socket file: it listens there, or the first that comes.

    Raises:
        SpaError: there can be no socket of this name.
    """
    from spa_lsp.server.sockets import open_pipe
    from spa_lsp.server.stdio import watch_parent

    watch_parent(client_process_id)
    _serve_socket(open_pipe(path), engine_command)


def _serve_socket(client: "socket.socket", engine_command: Sequence[str] | None) -> NoReturn:
    from spa_lsp.server.app import serve
    from spa_lsp.server.sockets import streams

    serve(*streams(client), engine_command=engine_command)
