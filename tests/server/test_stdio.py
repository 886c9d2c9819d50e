import asyncio
import io
import threading
import time

import pytest

from spa_lsp.server import stdio
from spa_lsp.server.stdio import MAX_MESSAGE_BYTES, WireError, Writer, read_message


def read(data):
    return read_message(io.BytesIO(data))


def test_a_message_is_read_after_its_header():
    assert read(b"Content-Length: 2\r\n\r\n{}rest") == b"{}"


@pytest.mark.parametrize(
    "header",
    [
        b"content-length: 2\r\n\r\n",
        b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: 2\r\n\r\n",
        b"Content-Length: 2\r\nX-Unknown: 1\r\n\r\n",
        b"Content-Length: 9\r\nContent-Length: 2\r\n\r\n",
        b"Content-Length:2\r\n\r\n",
    ],
)
def test_header_fields_may_be_written_in_any_way(header):
    assert read(header + b"{}") == b"{}"


def test_the_end_of_the_stream_is_none():
    assert read(b"") is None


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Length: 2\n\n{}",
        b"\r\n",
        b"Content-Length: x\r\n\r\n",
        b"Loading checkpoint shards\r\n",
        b"Content-Length: 9\r\n\r\n{}",
        b"Content-Length: 9\r\n",
        b"Content-Length: 99999999999999\r\n\r\n{}",
        b"Content-Length: 8000000000\r\n\r\n{}",
        b"a" * 10_000,
    ],
)
def test_what_cannot_be_trusted_is_an_error(data):
    with pytest.raises(WireError):
        read(data)


def test_a_message_at_the_limit_is_not_over_it():
    with pytest.raises(WireError, match="ended in a message"):
        read(b"Content-Length: %d\r\n\r\n" % MAX_MESSAGE_BYTES)


def framed(body):
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.fixture
def small(monkeypatch):
    """Messages are too long from some hundred bytes on."""
    monkeypatch.setattr(stdio, "MAX_MESSAGE_BYTES", 600)
    monkeypatch.setattr(stdio, "PIECE_BYTES", 100)


# issue 15: the server ended, and with it the service for all other files
@pytest.mark.parametrize("length", [601, 700, 750, 5000])
def test_a_message_that_is_too_long_is_left_out_and_the_next_one_is_read(small, caplog, length):
    text = '{"method":"textDocument/didOpen","params":{"text":"\\"method\\":\\"textDocument/didChange\\"'
    assert read(framed(text.encode().ljust(length)) + framed(b"{}")) == b"{}"
    assert [record.getMessage() for record in caplog.records] == [
        f"a message of {length} bytes is over the limit of 600; it is left out"
    ]


# issue 15
@pytest.mark.parametrize(
    "name", [b"textDocument/didChange", b"textDocument\\/didChange", b"notebookDocument/didChange"]
)
@pytest.mark.parametrize("is_name_first", [True, False])
def test_a_change_that_cannot_be_taken_over_ends_the_stream(small, name, is_name_first):
    members = [b'"method":"%s"' % name, b'"params":"%s"' % (b"x" * 1000)]
    body = b"{%s}" % b",".join(members if is_name_first else reversed(members))
    with pytest.raises(WireError, match="over the limit"):
        read(framed(body) + framed(b"{}"))


class Sluggish(io.RawIOBase):
    """Takes three bytes at a time, as a full pipe may."""

    def __init__(self):
        self.taken = b""

    def write(self, data):
        self.taken += bytes(data[:3])
        return len(data[:3])


def test_everything_is_written_in_order_before_the_end():
    stream = Sluggish()
    writer = Writer(stream, on_broken=lambda: pytest.fail("broken"))
    writer.write(b"hello ")
    writer.write(b"world")
    writer.close()
    assert stream.taken == b"hello world"


class Broken(io.RawIOBase):
    def write(self, data):
        raise BrokenPipeError


def test_a_client_that_is_gone_is_reported():
    broken = []
    writer = Writer(Broken(), on_broken=lambda: broken.append(1))
    writer.write(b"x")
    writer.close()
    assert broken == [1]


class Stuck(io.RawIOBase):
    """A pipe that nobody reads: it takes nothing until it is told to."""

    def __init__(self):
        self.is_read = threading.Event()

    def write(self, data):
        self.is_read.wait(60)
        return len(data)


@pytest.mark.parametrize(("limit", "value"), [("STALL_S", 0.05), ("MAX_UNREAD_BYTES", 3)])
def test_a_client_that_does_not_read_is_given_up(monkeypatch, limit, value):
    monkeypatch.setattr(stdio, limit, value)
    stream, broken = Stuck(), []
    writer = Writer(stream, on_broken=lambda: broken.append(1))
    writer.write(b"four")
    time.sleep(0.1)
    assert broken == []
    writer.write(b"more")
    assert broken == [1]
    stream.is_read.set()
    writer.close()


def test_a_client_that_was_idle_for_long_is_not_given_up(monkeypatch):
    monkeypatch.setattr(stdio, "STALL_S", 0.05)
    stream = io.BytesIO()
    writer = Writer(stream, on_broken=lambda: pytest.fail("broken"))
    writer.write(b"one")
    while stream.getvalue() != b"one":
        time.sleep(0.01)
    time.sleep(0.1)
    writer.write(b"two")
    writer.close()
    assert stream.getvalue() == b"onetwo"


async def test_no_more_is_read_than_can_be_handled(monkeypatch):
    """While the event loop is busy, the client has to wait."""
    monkeypatch.setattr(stdio, "MAX_UNHANDLED", 2)
    stream = io.BytesIO(b"Content-Length: 2\r\n\r\n{}" * 50)
    received, places = [], []

    class Receiver:
        def receive(self, body):
            received.append(body)
            places.append(stream.tell())
            time.sleep(0.002)

    await stdio.pump(stream, Receiver(), asyncio.Event())
    assert len(received) == 50 and places[0] <= 4 * len(b"Content-Length: 2\r\n\r\n{}")


async def test_a_message_that_cannot_be_handled_is_not_logged_and_the_next_one_is_received(caplog):
    received = []

    class Receiver:
        def receive(self, body):
            received.append(body)
            raise RuntimeError(body)

    await stdio.pump(io.BytesIO(b"Content-Length: 6\r\n\r\nsecret" * 2), Receiver(), asyncio.Event())
    assert len(received) == 2 and "RuntimeError" in caplog.text and "secret" not in caplog.text


async def test_a_message_for_which_there_is_no_memory_ends_the_stream():
    class Full(io.BytesIO):
        def readline(self, *_):
            raise MemoryError

    is_over = asyncio.Event()
    await asyncio.wait_for(stdio.pump(Full(), None, is_over), 60)
    assert is_over.is_set()
