"""The socket that only its user can use, from both ends: the folder it lies in, and who is at the other end.

Where no runtime folder is given, it lies in /tmp, where anybody may have made a folder of our name before us.
"""

import logging
import os
import signal
import socket
import struct
from contextlib import suppress
from pathlib import Path

from spa_lsp.errors import BadInput
from spa_lsp.own_folder import check_own_folder, make_own_folder

_CREDENTIALS = struct.Struct("3i")  # of a socket's other end: process, user, group
_WAY_OUT = "remove it or set XDG_RUNTIME_DIR to a folder of your own"

logger = logging.getLogger(__name__)


def make_runtime_dir(folder: Path) -> None:
    """Make the folder of sockets, or check that the one there is ours alone.

    Raises:
        BadInput: it is not; somebody else could listen there.
    """
    make_own_folder(folder, way_out=_WAY_OUT)


def try_connect(path: Path) -> socket.socket | None:
    """A connection to this user's engine at this socket; None when nobody listens.

    Raises:
        BadInput: the socket's folder, or who listens there, is not ours.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        check_own_folder(path.parent, way_out=_WAY_OUT)
        connection.connect(str(path))
        _check_peer(connection, path)
    except OSError:
        connection.close()
        return None
    except BadInput:
        connection.close()
        raise
    return connection


def listen(path: Path) -> socket.socket:
    """A listening socket that only this user can connect to."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(64)
    return listener


def peer_pid(connection: socket.socket) -> int:
    """The process at the other end; 0 where that cannot be known."""
    pid, _ = _peer(connection) or (0, 0)
    return pid


def kill_peer(connection: socket.socket) -> bool:
    """End the process at the other end, which does not answer any more; whether that was possible."""
    pid = peer_pid(connection)
    if pid in (0, os.getpid()):
        return False
    logger.warning("killing the engine, process %d, which does not answer", pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return True


def _check_peer(connection: socket.socket, path: Path) -> None:
    found = _peer(connection)
    if found is not None and found[1] != os.getuid():
        raise BadInput(f"user {found[1]} listens at {path} and could read your code; {_WAY_OUT}")


def _peer(connection: socket.socket) -> tuple[int, int] | None:
    """Process and user at the other end; None where only the folder guards the socket: Linux alone says it so."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid
