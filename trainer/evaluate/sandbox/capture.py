"""What comes out of a confined process until it has ended, or until it is ended for what it takes."""

import os
import selectors
import subprocess
import time
from dataclasses import dataclass
from typing import Literal

from trainer.evaluate.sandbox.limits import Limits
from trainer.evaluate.sandbox.memory import resident_bytes
from trainer.evaluate.sandbox.process import end

EndedBy = Literal["itself", "deadline", "output", "memory"]

PROTOCOL_BYTES = 64 << 10
TICK_S = 0.02  # between two checks of the memory; a processor fills 30 to 60 MiB meanwhile


@dataclass(frozen=True, kw_only=True)
class Captured:
    """Both streams, the exit status, and whether we ended it ourselves."""

    output: bytes
    protocol: bytes
    status: int
    ended_by: EndedBy


def capture(process: "subprocess.Popen[bytes]", *, deadline: float, limits: Limits) -> Captured:
    """Read until the process has ended or is over a limit; then nothing of it is left. Streams are cut."""
    assert process.stdout is not None and process.stderr is not None
    streams = {process.stdout: (bytearray(), limits.output_bytes), process.stderr: (bytearray(), PROTOCOL_BYTES)}
    ended_by: EndedBy = "deadline"
    with process.stdout, process.stderr, selectors.DefaultSelector() as selector:
        for stream, buffer in streams.items():
            selector.register(stream, selectors.EVENT_READ, buffer)
        try:
            ended_by = _drain(process, selector, deadline=deadline, memory_bytes=limits.memory_bytes)
        finally:
            end(process, is_running=ended_by != "itself")
    output, protocol = (bytes(buffer) for buffer, _ in streams.values())
    return Captured(output=output, protocol=protocol, status=process.returncode, ended_by=ended_by)


def _drain(
    process: "subprocess.Popen[bytes]", selector: selectors.BaseSelector, *, deadline: float, memory_bytes: int
) -> EndedBy:
    next_check = time.monotonic() + TICK_S
    while selector.get_map() or process.poll() is None:
        now = time.monotonic()
        if now >= deadline:
            return "deadline"
        if now >= next_check:
            if resident_bytes(process.pid) > memory_bytes:
                return "memory"
            next_check = now + TICK_S
        if not _read_or_wait(process, selector, timeout_s=min(deadline, next_check) - now):
            return "output"
    return "itself"


def _read_or_wait(process: "subprocess.Popen[bytes]", selector: selectors.BaseSelector, *, timeout_s: float) -> bool:
    """Read what is there, or wait for the end of a process that has closed its streams; False: over its limit."""
    if selector.get_map():
        return all([_read_some(selector, key) for key, _ in selector.select(timeout_s)])
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        pass
    return True


def _read_some(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> bool:
    """Read once; False when the stream is over its limit."""
    buffer, limit = key.data
    piece = os.read(key.fd, 65536)
    if not piece:
        selector.unregister(key.fileobj)
    buffer += piece[: limit - len(buffer)]
    return len(piece) == 0 or len(buffer) < limit
