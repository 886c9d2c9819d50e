import json
import struct

import pytest

from spa_lsp.completion import CompletionResult
from spa_lsp.engine import wire
from spa_lsp.engine.events import Failed, Loading, Result, Stopping, to_event, to_message
from spa_lsp.errors import BadInput, NotFound, SpaError
from tests.fakes import make_alternative


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
    message = to_message(Failed.of(NotFound("no base 'x'"), 3))
    error = to_event(json.loads(json.dumps(message))).error
    assert type(error) is NotFound and str(error) == "no base 'x'"


def test_an_error_of_an_unknown_kind_is_a_plain_one():
    assert type(Failed(kind="Novel", message="m").error) is SpaError


RESULT = CompletionResult(
    base="b", adapter_set="", quantization="fp32", device="cpu", alternatives=(make_alternative("x"),)
)


@pytest.mark.parametrize(
    "event", [Loading(id=0, stage="weights", fraction=0.5), Stopping(), Result(id=2, result=RESULT)], ids=str
)
def test_an_event_comes_back_as_it_was_said(event):
    assert to_event(json.loads(json.dumps(to_message(event)))) == event


@pytest.mark.parametrize("message", [{"type": "novel"}, {}, {"type": "ready"}, {"type": "loading", "id": []}])
def test_what_no_engine_says_is_refused(message):
    with pytest.raises(wire.FrameError, match="something unknown"):
        to_event(message)
