import json
import struct

import pytest

from spa_lsp.engine import wire
from spa_lsp.errors import BadInput, NotFound, SpaError


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def test_a_message_comes_back_as_it_was_sent():
    message = {"type": "complete", "id": 1, "request": {"prefix": "é漢😋\ud83d"}}
    assert wire.FrameDecoder().feed(wire.encode(message)) == [message]


def test_a_frame_is_four_bytes_of_length_and_json():
    assert wire.encode({"type": "stop"}) == b"\x00\x00\x00\x0f" + b'{"type":"stop"}'


def test_messages_may_arrive_byte_by_byte():
    data = wire.encode({"type": "hello"}) + wire.encode({"type": "stop"})
    decoder = wire.FrameDecoder()
    received = [message for byte in data for message in decoder.feed(bytes([byte]))]
    assert received == [{"type": "hello"}, {"type": "stop"}]


def test_two_messages_may_arrive_at_once():
    data = wire.encode({"type": "hello"}) + wire.encode({"type": "stop"})
    assert len(wire.FrameDecoder().feed(data)) == 2


def test_a_message_over_the_cap_is_not_sent():
    with pytest.raises(BadInput, match="over the limit of 16777216"):
        wire.encode({"text": "x" * wire.MAX_FRAME_BYTES})


def test_a_length_over_the_cap_is_refused_before_its_body_comes():
    with pytest.raises(wire.FrameError, match="4294967295 bytes"):
        wire.FrameDecoder().feed(b"\xff\xff\xff\xff")


@pytest.mark.parametrize("body", [b"not json", b"\xff\xfe", b"[1]", b"1", b""])
def test_garbage_is_refused(body):
    with pytest.raises(wire.FrameError):
        wire.FrameDecoder().feed(frame(body))


def test_an_http_request_is_refused():
    with pytest.raises(wire.FrameError):
        wire.FrameDecoder().feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")


def test_an_error_keeps_its_kind_and_message():
    message = wire.error_message(3, NotFound("no base 'x'"))
    error = wire.to_error(json.loads(json.dumps(message)))
    assert type(error) is NotFound and str(error) == "no base 'x'"


def test_an_error_of_an_unknown_kind_is_a_plain_one():
    assert type(wire.to_error({"kind": "Novel", "message": "m"})) is SpaError
