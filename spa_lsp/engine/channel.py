"""A connection to an engine in an event loop: calls out, events in, the greeting, the last words.

Both ways to an engine go over it: the front's, which never waits (`link.py`), and that of commands (`client.py`).
"""

import asyncio
import itertools
import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from spa_lsp.completion import IsCancelled
from spa_lsp.engine import supervisor, wire
from spa_lsp.engine.events import Event, Failed, Found, Loading, Stopping, to_event
from spa_lsp.engine.private_socket import kill_peer, try_connect
from spa_lsp.errors import SpaError, Unavailable

HELLO_TIMEOUT_S = 60.0  # importing torch from a cold disk holds the interpreter's lock for long
MAX_UNSENT_BYTES = 4 << 20  # an engine that reads nothing hangs
POLL_S = 0.02  # how soon a cancel is noticed

OnEvent = Callable[[Event], None]

logger = logging.getLogger(__name__)


class ConnectionLost(Exception):
    """The engine is gone. `is_intended`: it said so before, so this is no death; `last_word`: why it ended itself."""

    def __init__(self, *, is_intended: bool, last_word: SpaError | None = None) -> None:
        super().__init__("the engine ended" if is_intended else "the engine died")
        self.is_intended = is_intended
        self.last_word = last_word


class Channel(asyncio.Protocol):
    """One connection. Events that answer no call go to `on_notice`; `ended` is done when nothing more comes."""

    def __init__(self, sock: socket.socket, on_notice: OnEvent = lambda event: None) -> None:
        self.sock = sock
        self.is_heard = False  # set by all that comes
        self.ended: asyncio.Future[ConnectionLost] = asyncio.get_running_loop().create_future()
        self._on_notice = on_notice
        self._decoder = wire.FrameDecoder()
        self._ids = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._is_stopping = False
        self._is_closed = False

    @classmethod
    async def over(cls, sock: socket.socket, on_notice: OnEvent = lambda event: None) -> "Channel":
        """The channel over a connected socket, which is its own from now on."""
        loop = asyncio.get_running_loop()
        try:
            _, channel = await loop.create_unix_connection(lambda: cls(sock, on_notice), sock=sock)
        except BaseException:
            sock.close()
            raise
        return channel

    async def ask(
        self,
        message: wire.Message,
        on_event: OnEvent = lambda event: None,
        *,
        is_cancelled: IsCancelled | None = None,
    ) -> Event:
        """The event that ends a call, which may be `Failed`; those before it go to `on_event`.

        When the caller gives up, the engine is told; when `is_cancelled` says so, it is told, and its answer awaited.

        Raises:
            ConnectionLost: the engine is gone.
        """
        if self._is_closed:
            raise ConnectionLost(is_intended=self._is_stopping)  # its last word was told to those who asked before
        call = _Call(id=next(self._ids), is_cancelled=is_cancelled)
        self._calls[call.id] = call
        try:
            self.send({**message, "id": call.id})
            while isinstance(event := await self._next(call), Loading | Found):
                on_event(event)
        except BaseException:
            self.send({"type": "cancel", "id": call.id})
            raise
        finally:
            del self._calls[call.id]
        if isinstance(event, ConnectionLost):
            raise event
        return event

    async def demand(self, message: wire.Message, timeout_s: float) -> Event:
        """The answer of an engine that is killed when it gives none in time: it was stopped, or hangs in all threads.

        Raises:
            ConnectionLost: the engine is gone, or was killed.
            Unavailable: it does not answer, and cannot be killed.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self.ask(message)
        except TimeoutError:
            if not kill_peer(self.sock):
                raise Unavailable(f"the engine does not answer within {timeout_s:.0f} s; end its process") from None
            raise ConnectionLost(is_intended=False) from None

    def send(self, message: wire.Message) -> None:
        """Send a message that has no answer, or one that `on_notice` gets; never waits."""
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            logger.warning("the engine does not read; leaving it")
            self._transport.abort()
        if not self._transport.is_closing():
            self._transport.write(wire.encode(message))

    def close(self, last_word: SpaError | None = None) -> None:
        """End the connection, which all who wait are told; the engine cancels what it still does for them."""
        if self._is_closed:
            return
        self._is_closed = True
        loss = ConnectionLost(is_intended=self._is_stopping, last_word=last_word)
        if not self.ended.done():  # cancelled with the task that awaited it
            self.ended.set_result(loss)
        for call in self._calls.values():
            call.events.put_nowait(loss)
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop is ready."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand out what the engine says."""
        self.is_heard = True
        try:
            for message in self._decoder.feed(data):
                self._hand_out(to_event(message))
        except wire.FrameError as error:
            logger.warning("leaving the engine: %s", error)
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """The engine is gone, but its last words may still be unread, where it was found out by writing."""
        with suppress(OSError):
            while not self._is_closed and (data := self.sock.recv(1 << 16)):
                self.data_received(data)
        self.close()

    def _hand_out(self, event: Event) -> None:
        match event:
            case Stopping():
                self._is_stopping = True
            case Failed(id=None):
                self.close(event.error)
            case _ if event.id in self._calls:
                self._calls[event.id].events.put_nowait(event)
            case _:
                self._on_notice(event)

    async def _next(self, call: "_Call") -> Event | ConnectionLost:
        """The next event of a call; between them the engine is told when it was cancelled."""
        while call.is_cancelled is not None:
            if call.is_cancelled():
                self.send({"type": "cancel", "id": call.id})
                call.is_cancelled = None
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    return await call.events.get()
        return await call.events.get()


@dataclass
class _Call:
    """What was asked and has no answer yet."""

    id: int
    is_cancelled: IsCancelled | None  # None: never, or the engine knows
    events: "asyncio.Queue[Event | ConnectionLost]" = field(default_factory=asyncio.Queue)


async def open_channel(
    path: Path,
    *,
    command: Sequence[str] | None,
    adapter_set: str | None,
    limits: Mapping[str, float] | None = None,
    on_notice: OnEvent = lambda event: None,
) -> Channel:
    """A greeted channel to the engine at this socket, started by `command` when it is not there.

    `limits`, `idle_s` and `max_memory_mb` (0: none), are those of the engine from now on, whoever started it.

    Raises:
        Unavailable: there is no engine and no command, or it could not be started.
        TooNew: the engine speaks another protocol.
        BadInput: the socket's folder, or who listens there, is not ours.
    """
    hello = {"type": "hello", "protocol": wire.PROTOCOL, "adapter_set": adapter_set, **(limits or {})}
    for _ in range(3):  # an engine may be just ending when we come
        channel = await Channel.over(await _connect_beside(path, command), on_notice)
        try:
            answer = await channel.demand(hello, HELLO_TIMEOUT_S)
            if isinstance(answer, Failed):
                raise answer.error
            return channel
        except ConnectionLost:
            channel.close()
        except BaseException:
            channel.close()
            raise
    raise Unavailable(f"the engine ends as soon as it is started; see its log, {supervisor.log_path(path)}")


async def _connect_beside(path: Path, command: Sequence[str] | None) -> socket.socket:
    """In a thread; what comes when nobody waits any more is closed."""
    is_given_up = threading.Event()
    connected: list[socket.socket] = []

    def connect() -> socket.socket:
        connected.append(_connect(path, command))
        if is_given_up.is_set():
            connected[0].close()
        return connected[0]

    try:
        return await asyncio.to_thread(connect)
    except asyncio.CancelledError:
        is_given_up.set()
        for sock in connected:  # the thread was done, but nobody had its answer yet
            sock.close()
        raise


def _connect(path: Path, command: Sequence[str] | None) -> socket.socket:
    if command is not None:
        return supervisor.connect_or_start(path, command)
    if sock := try_connect(path):
        return sock
    raise Unavailable("no engine is running; start it with: spa-lsp engine start")
