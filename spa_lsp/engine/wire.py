"""Frames between the engine and its clients: a 4-byte big-endian length, then one JSON object. No sockets here.

From a client                                   From the engine (as types: `events.py`)
  hello    id, protocol, adapter_set,             hello        id, protocol, version, pid
           idle_s, max_memory_mb
  complete id, request, wait                      loading      id, stage, fraction   (only to those who wait)
  cancel   id                                     found        id, alternative, adapter_set
  wait     id                                     result       id, result  |  ready  id
  status   id                                     status       id, status (what `engine status --json` prints)
  stop                                            stopping     to everyone, before the engine ends by intention
                                                  failed       id, kind (name of a SpaError), message, is_loading
                                                             (without an id: why the engine ends against its will)
"""

import json
import struct
from typing import Any

from spa_lsp import errors

PROTOCOL = 3
MAX_FRAME_BYTES = 16 << 20

Message = dict[str, Any]

_HEADER = struct.Struct(">I")


class FrameError(ValueError):
    """The peer does not speak this protocol: a length over the cap, or a body that is not a JSON object."""


def encode(message: Message) -> bytes:
    """One frame.

    Raises:
        BadInput: the message is longer than `MAX_FRAME_BYTES`.
    """
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > MAX_FRAME_BYTES:
        raise errors.BadInput(f"{len(body)} bytes are over the limit of {MAX_FRAME_BYTES} of one message; send less")
    return _HEADER.pack(len(body)) + body


class FrameDecoder:
    """Cuts a stream of bytes, fed in any pieces, into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete with these bytes.

        Raises:
            FrameError: the stream is not ours; nothing after it can be read.
        """
        self._buffer += data
        messages = []
        while (body := self._take_body()) is not None:
            messages.append(_parse(body))
        return messages

    def _take_body(self) -> bytes | None:
        if len(self._buffer) < _HEADER.size:
            return None
        (length,) = _HEADER.unpack_from(self._buffer)
        if length > MAX_FRAME_BYTES:
            raise FrameError(f"a frame of {length} bytes is over the limit of {MAX_FRAME_BYTES}")
        end = _HEADER.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_HEADER.size : end])
        del self._buffer[:end]
        return body


def _parse(body: bytes) -> Message:
    try:
        message = json.loads(body)
    except ValueError as error:  # UnicodeDecodeError too
        raise FrameError("a frame is not JSON") from error
    if not isinstance(message, dict):
        raise FrameError("a frame is not a JSON object")
    return message
