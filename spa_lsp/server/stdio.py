"""The wire: a reader thread for messages in, a writer thread for messages out, and no stray byte between.

The streams are pipes with `--stdio`, a socket with `--tcp` and `--pipe`, see `sockets.py`.
"""

import asyncio
import logging
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, BinaryIO, NoReturn, Protocol

MAX_MESSAGE_BYTES = 64 << 20  # that of a huge file: a longer one is dropped, and the others are served
MAX_DROPPED_BYTES = 1 << 30  # a length above it is none: who waited for so many would hear nothing any more
PIECE_BYTES = 1 << 20  # of what is dropped
MAX_HEADER_BYTES = 4096
MAX_UNHANDLED = 256  # messages that were read ahead; the client has to wait with more
MAX_UNREAD_BYTES = 64 << 20  # of answers that the client does not read
STALL_S = 30.0  # an answer that moved by no byte in this time: the client will never read it (P21)
PARENT_POLL_S = 1.0
FLUSH_S = 0.5  # for the last answers, when the client does not read

logger = logging.getLogger(__name__)

_CONTENT_LENGTH = re.compile(rb"content-length:[ \t]*(\d{1,15})[ \t]*\r\n", re.IGNORECASE)
_HEADER = re.compile(rb"[\w-]+:[^\r\n]*\r\n")
# before or behind the parameters; in a text that they hold the quotes are escaped
_CHANGE = re.compile(rb'"method"\s*:\s*"(text|notebook)Document\\?/didChange"')
_NAMED_WITHIN = 256  # bytes of either end


class WireError(ValueError):
    """What comes in is not the base protocol; nothing after it can be trusted."""


class Receiver(Protocol):
    """Who takes the messages: the protocol object."""

    def receive(self, body: bytes) -> None:
        """One message's body."""


def take_stdout() -> BinaryIO:
    """The real standard output; whatever else writes to file descriptor 1 or `sys.stdout` from now on goes to stderr.

    To be called before anything heavy is imported: a single stray line costs the client a message.
    """
    sys.stdout.flush()
    stdout = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return stdout


def read_message(stream: IO[bytes]) -> bytes | None:
    """The body of the next message that is not too long; None at the end of the stream.

    Raises:
        WireError: no usable header, an end in the middle, or a change of a document that is too long: without it we
            would go by another text than the client. When we are started again, it tells us all.
    """
    while (length := _read_length(stream)) is not None:
        if length <= MAX_MESSAGE_BYTES:
            return _read_bytes(stream, length)
        _drop(stream, length)
    return None


def _read_length(stream: IO[bytes]) -> int | None:
    """How long the next body is; None at the end of the stream."""
    length = None
    while line := stream.readline(MAX_HEADER_BYTES):
        if line == b"\r\n" and length is not None:
            return length
        if match := _CONTENT_LENGTH.fullmatch(line):
            length = int(match[1])
        elif not _HEADER.fullmatch(line):
            raise WireError("a header line is not one")
    if length is not None:
        raise WireError("the stream ended in a header")
    return None


def _read_bytes(stream: IO[bytes], length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise WireError("the stream ended in a message")
    return data


def _drop(stream: IO[bytes], length: int) -> None:
    too_long = f"a message of {length} bytes is over the limit of {MAX_MESSAGE_BYTES}"
    if length > MAX_DROPPED_BYTES:
        raise WireError(too_long)
    tail = head = _read_bytes(stream, min(length, PIECE_BYTES))
    n_left = length - len(head)
    while n_left:
        piece = _read_bytes(stream, min(n_left, PIECE_BYTES))
        n_left -= len(piece)
        tail = tail[-_NAMED_WITHIN:] + piece
    if _CHANGE.search(head[:_NAMED_WITHIN]) or _CHANGE.search(tail[-_NAMED_WITHIN:]):
        raise WireError(too_long)
    logger.warning("%s; it is left out", too_long)


class Writer:
    """What pygls writes to; a thread does the writing, so a client that does not read stops nobody.

    One that reads nothing for `STALL_S`, or leaves `MAX_UNREAD_BYTES` unread, is given up: `on_broken`.
    """

    def __init__(self, stream: BinaryIO, on_broken: Callable[[], None]) -> None:
        self._stream = stream
        self._on_broken = on_broken
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._n_taken = 0  # bytes; written by `write` only
        self._n_written = 0  # and by the thread only
        self._moved_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Write soon."""
        n_unread = self._n_taken - self._n_written
        if n_unread == 0:
            self._moved_at = time.monotonic()
        elif n_unread > MAX_UNREAD_BYTES or time.monotonic() - self._moved_at > STALL_S:
            logger.error("the client does not read its answers")
            self._on_broken()
            return
        self._n_taken += len(data)
        self._queue.put(data)

    def close(self) -> None:
        """Write what is left, if the client reads it."""
        self._queue.put(None)
        self._thread.join(FLUSH_S)

    def _run(self) -> None:
        try:
            while (data := self._queue.get()) is not None:
                self._write_all(data)
        except OSError:
            self._on_broken()

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            n_bytes = self._stream.write(view)
            view = view[n_bytes:]
            self._n_written += n_bytes
            self._moved_at = time.monotonic()


async def pump(stdin: BinaryIO, receiver: Receiver, is_over: asyncio.Event) -> None:
    """Hand every message of `stdin` to the receiver, in this event loop, until the end of the stream or `is_over`."""
    loop = asyncio.get_running_loop()
    room = threading.BoundedSemaphore(MAX_UNHANDLED)

    def receive(body: bytes) -> None:
        room.release()
        try:
            receiver.receive(body)
        except Exception as error:  # the loop itself would log the message, and that is the user's code
            logger.error("a message could not be handled: %s", type(error).__name__)

    def read() -> None:
        try:
            while (body := read_message(stdin)) is not None:
                room.acquire()
                loop.call_soon_threadsafe(receive, body)
        except (WireError, OSError, MemoryError) as error:  # one that cannot hear must not live
            logger.error("the client's stream cannot be read: %s", str(error) or type(error).__name__)
        with suppress(RuntimeError):  # the loop has ended before the stream did
            loop.call_soon_threadsafe(is_over.set)

    threading.Thread(target=read, name="reader", daemon=True).start()
    await is_over.wait()


def watch_parent(process_id: int | None) -> None:
    """End this process when the one that started it is gone, or the client that named itself in `initialize`."""
    started_by = os.getppid()
    # a client in another container has a number that means nothing here
    client = process_id if process_id and _is_alive(process_id) else None

    def watch() -> NoReturn:
        while os.getppid() == started_by and (client is None or _is_alive(client)):
            time.sleep(PARENT_POLL_S)
        logger.warning("the client is gone")
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
