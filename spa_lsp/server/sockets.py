"""The socket of `--tcp` and `--pipe`: one client, who is on this machine; whoever comes second is refused.

The protocol has no passwords: anybody on this machine can connect to a TCP port, only this user to a socket file.
"""

import logging
import os
import socket
import stat
import time
from ipaddress import ip_address
from pathlib import Path
from typing import BinaryIO

from spa_lsp.errors import BadInput, Unavailable

FIRST_BYTES_S = 5.0  # a client says `initialize` at once; a port scan says nothing

_BEGIN = b"content-"  # of every message

logger = logging.getLogger(__name__)


def listen_tcp(address: str) -> socket.socket:
    """A listening socket at HOST:PORT of this machine; port 0 is any free one.

    Raises:
        BadInput: the address is not one of this machine alone.
        Unavailable: the port is taken.
    """
    host, port = _split(address)
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Unavailable(f"cannot listen at {address}: {error.strerror}; choose another port, 0 is any") from error
    listener.listen(1)
    return listener


def open_pipe(path: Path) -> socket.socket:
    """The client at this socket file: the editor listens there already (VS Code), or it will come (Neovim).

    Raises:
        BadInput: something else lies there.
        Unavailable: the file cannot be made.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(str(path))
        return sock
    except OSError:
        sock.close()
    return accept_client(_listen_at(path))


def accept_client(listener: socket.socket) -> socket.socket:
    """The first that speaks the protocol; then nobody can connect any more."""
    with listener:
        while True:
            client, _ = listener.accept()
            if _begins_rightly(client):
                break
            logger.warning("refused a client that does not speak the protocol")
            client.close()
        if listener.family == socket.AF_UNIX:
            Path(listener.getsockname()).unlink(missing_ok=True)
    return client


def streams(client: socket.socket) -> tuple[BinaryIO, BinaryIO]:
    """The socket as what the wire reads from and writes to."""
    return client.makefile("rb"), client.makefile("wb", buffering=0)  # type: ignore[return-value]  # raw, as a pipe's


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        is_ours = ip_address(host).is_loopback
        is_port = 0 <= int(port) < 1 << 16
    except ValueError:
        is_ours = is_port = False
    if not (is_ours and is_port):
        raise BadInput(f"{address!r} is not HOST:PORT of this machine alone; choose such as 127.0.0.1:7777")
    return host, int(port)


def _listen_at(path: Path) -> socket.socket:
    if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
        raise BadInput(f"{path} is not a socket; choose another name for --pipe")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)  # from the first moment on for this user only
    try:
        path.unlink(missing_ok=True)  # nobody listens there any more
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise Unavailable(f"cannot listen at {path}: {error.strerror or error}; choose another name") from error
    finally:
        os.umask(umask)
    listener.listen(1)
    return listener


def _begins_rightly(client: socket.socket) -> bool:
    """Whether the first bytes are those of a message; they stay unread."""
    end = time.monotonic() + FIRST_BYTES_S
    client.settimeout(FIRST_BYTES_S)
    found = b""
    try:
        while len(found) < len(_BEGIN) and time.monotonic() < end:
            found = client.recv(len(_BEGIN), socket.MSG_PEEK).lower()
            if not found or not _BEGIN.startswith(found):
                return False
            time.sleep(0.01)  # they may come one by one
    except OSError:
        return False
    client.settimeout(None)
    return found == _BEGIN
