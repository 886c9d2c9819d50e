"""Who may use the network: nobody, except the child processes of `models pull` and of `trainer ... --hub`.

And where the user's own settings name a server in place of the engine: that one host and port.
"""

import ipaddress
import os
import socket
import sys
from collections.abc import Iterable
from typing import Any

_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TQDM_DISABLE": "1",  # bars of other packages; ours are in progress.py
}


def go_offline() -> None:
    """Keep this process and its children off the hub, and other packages' bars off the screen.

    Call it before transformers or bitsandbytes is imported: they read the environment when they are.
    What the environment already says is kept.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def online_environment() -> dict[str, str]:
    """Environment for a child process that may reach the hub; telemetry stays off."""
    return os.environ | {
        "HF_HUB_OFFLINE": "0",
        "TRANSFORMERS_OFFLINE": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }


def forbid_network() -> None:
    """Refuse every connection of this process, for good, but those that stay on this machine; children are free.

    A Unix socket and the loopback addresses remain: the engine's, and a client's. Whatever a package tries, by
    intention or not, ends in a PermissionError before a byte is sent.
    """
    if not _forbidden:
        _forbidden.append(True)
        sys.addaudithook(_refuse_network)


def let_through(host: str, port: int, addresses: Iterable[str] = ()) -> None:
    """Except this one host and port, by its name and at these addresses, and nothing that was excepted before."""
    excepted = {(host, port), *((address, port) for address in addresses)}
    _excepted.clear()
    _excepted.update(excepted)


def let_nothing_through() -> None:
    """Except nothing any more."""
    _excepted.clear()


_forbidden: list[bool] = []  # a hook cannot be taken back, and one is enough
_excepted: set[tuple[str, int]] = set()


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    if not event.startswith("socket."):
        return
    if event in ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"):
        is_local = _is_local(arguments[0], arguments[1])
        is_local = is_local or (event == "socket.connect" and tuple(arguments[1][:2]) in _excepted)
    elif event == "socket.getaddrinfo":
        is_local = is_loopback(arguments[0]) or tuple(arguments[:2]) in _excepted
    elif event == "socket.gethostbyname":
        is_local = is_loopback(arguments[0])
    elif event == "socket.gethostbyaddr":
        is_local = False
    else:
        return
    if not is_local:
        raise PermissionError(f"spa-lsp does not use the network ({event}); only `spa-lsp models pull` does")


def _is_local(sock: Any, address: Any) -> bool:
    if sock.family == socket.AF_UNIX or address is None:  # None: sendmsg over a connection that was allowed
        return True
    return isinstance(address, tuple) and bool(address) and is_loopback(address[0])


def is_loopback(host: Any) -> bool:
    """Whether what is sent to this host stays on the machine."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
