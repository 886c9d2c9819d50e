"""A connection to an engine: messages out, messages in, and the greeting. What they mean is `client.py`."""

import select
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from spa_lsp.engine import supervisor, wire
from spa_lsp.engine.private_socket import kill_peer, try_connect
from spa_lsp.errors import Unavailable

HELLO_TIMEOUT_S = 60.0  # importing torch from a cold disk holds the interpreter's lock for long


class ConnectionLost(Exception):
    """The engine is gone. `is_intended`: it said so before, so this is no death."""

    def __init__(self, *, is_intended: bool) -> None:
        super().__init__("the engine ended" if is_intended else "the engine died")
        self.is_intended = is_intended


class Connection:
    """A socket to the engine that sends and receives messages. For one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.decoder = wire.FrameDecoder()
        self._messages: list[wire.Message] = []
        self._is_stopping = False

    def send(self, message: wire.Message) -> None:
        """Send one message.

        Raises:
            ConnectionLost: the engine is gone.
        """
        try:
            self.sock.sendall(wire.encode(message))
        except OSError as error:
            raise self._loss() from error

    def receive(self, timeout_s: float | None = None) -> wire.Message | None:
        """The next message; None when none came in time.

        Raises:
            ConnectionLost: the engine is gone.
        """
        while not self._messages:
            if not select.select([self.sock], [], [], timeout_s)[0]:
                return None
            try:
                self._read()
            except (OSError, wire.FrameError) as error:
                raise self._loss() from error
        return self._messages.pop(0)

    def close(self) -> None:
        """End the connection; the engine cancels what it still does for it."""
        self.sock.close()

    def _read(self) -> None:
        data = self.sock.recv(1 << 16)
        if not data:
            raise ConnectionResetError
        messages = self.decoder.feed(data)
        self._messages += messages
        self._is_stopping = self._is_stopping or {"type": "stopping"} in messages

    def _loss(self) -> ConnectionLost:
        with suppress(OSError, ValueError):  # its last words may still be unread
            while not self._is_stopping:
                self._read()
        return ConnectionLost(is_intended=self._is_stopping)


def open_connection(
    path: Path, *, command: Sequence[str] | None, adapter_set: str | None, limits: Mapping[str, float] | None = None
) -> Connection:
    """A greeted connection to the engine at this socket, started by `command` when it is not there.

    `limits`, `idle_s` and `max_memory_mb` (0: none), are those of the engine from now on, whoever started it.

    Raises:
        Unavailable: there is no engine and no command, or it could not be started.
        TooNew: the engine speaks another protocol.
        BadInput: the socket's folder, or who listens there, is not ours.
    """
    for _ in range(3):  # an engine may be just ending when we come
        connection = Connection(_connect(path, command))
        try:
            connection.send({"type": "hello", "protocol": wire.PROTOCOL, "adapter_set": adapter_set, **(limits or {})})
            _receive_hello(connection)
            return connection
        except ConnectionLost:
            connection.close()
    raise Unavailable(f"the engine ends as soon as it is started; see its log, {supervisor.log_path(path)}")


def _connect(path: Path, command: Sequence[str] | None) -> socket.socket:
    if command is not None:
        return supervisor.connect_or_start(path, command)
    if sock := try_connect(path):
        return sock
    raise Unavailable("no engine is running; start it with: spa-lsp engine start")


def _receive_hello(connection: Connection) -> None:
    message = connection.receive(HELLO_TIMEOUT_S)
    if message is None and kill_peer(connection.sock):  # stopped, or hanging with all its threads
        raise ConnectionLost(is_intended=False)
    if message is None:
        raise Unavailable(f"the engine does not answer within {HELLO_TIMEOUT_S:.0f} s; end its process")
    if message["type"] == "error":
        raise wire.to_error(message)
    if message["type"] != "hello":  # it is just ending
        raise ConnectionLost(is_intended=True)
