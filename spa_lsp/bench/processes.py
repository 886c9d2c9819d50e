"""The two processes a user has: the front's start and size, and the engine's size, both measured from outside."""

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from typing import IO, Any

import psutil

from spa_lsp.bench.figures import Figure, Goal, plain_figure
from spa_lsp.bench.prompts import source_code
from spa_lsp.completion import CompletionRequest
from spa_lsp.engine.client import EngineClient, running_engines
from spa_lsp.engine.supervisor import socket_path
from spa_lsp.errors import Unavailable

ENGINE_MEMORY = Goal(name="engine, resident memory", goal=3.0, unit="GB")
FRONT_MEMORY = Goal(name="front, resident memory", goal=90.0, unit="MB")
FRONT_START = Goal(name="front, start to initialize answered", goal=1.0, unit="s")
N_STARTS = 5
_TEXT = source_code(1800)  # some 500 tokens
_URI = "file:///bench.py"
_EXIT_S = 5.0
_ANSWER_S = 60.0  # a front that has not answered everything by then never will


@dataclass(frozen=True, kw_only=True)
class FrontTimes:
    """Starts of the front, and its size after it has answered for an open document."""

    start_s: list[float] = field(default_factory=list)
    resident_bytes: list[int] = field(default_factory=list)


def measure_processes(base_id: str, set_name: str | None, quantization: str) -> list[Figure]:
    """Start an engine if there is none, ask it once, look at its size and at that of fronts beside it.

    An engine that was started for this is stopped again.
    """
    path = str(socket_path(base_id, quantization))
    was_running = any(status["socket"] == path for status in running_engines())
    client = EngineClient.connect(base_id, set_name, quantization)
    try:
        client.complete(CompletionRequest(prefix=_TEXT, max_tokens=32, stop="none"))
        engine_bytes = client.status()["resident_bytes"]
        settings = {"base": base_id, "quantization": quantization, **({"adapterSet": set_name} if set_name else {})}
        front = measure_front([sys.executable, "-P", "-m", "spa_lsp", "--stdio"], settings)
    finally:
        if not was_running:
            client.stop()
        client.close()
    return [
        plain_figure(ENGINE_MEMORY, engine_bytes / 1e9),
        plain_figure(FRONT_MEMORY, median(front.resident_bytes) / 1e6),
        plain_figure(FRONT_START, median(front.start_s), note=f"median of {N_STARTS} starts"),
    ]


def measure_front(command: list[str], settings: dict[str, Any], *, n_starts: int = N_STARTS) -> FrontTimes:
    """Start the language server so often, one after the other.

    Raises:
        Unavailable: it ended before it had answered.
    """
    times = FrontTimes()
    for _ in range(n_starts):
        started = time.perf_counter()
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            call = _Caller(process.stdin, process.stdout)
            watchdog = threading.Timer(_ANSWER_S, process.kill)
            watchdog.start()
            try:
                call.request("initialize", _initialize(settings))
                times.start_s.append(time.perf_counter() - started)
                times.resident_bytes.append(_size_at_work(call, process.pid))
                _end(call)
                process.wait(_EXIT_S)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise Unavailable(f"the language server ended early ({error}); see: spa-lsp doctor") from error
            finally:
                watchdog.cancel()
                process.kill()
    return times


def _initialize(settings: dict[str, Any]) -> dict[str, Any]:
    capabilities: dict[str, Any] = {"textDocument": {"inlineCompletion": {}}}
    return {"processId": None, "rootUri": None, "capabilities": capabilities, "initializationOptions": settings}


def _size_at_work(call: "_Caller", pid: int) -> int:
    """Resident bytes after a document was opened and completed."""
    document = {"uri": _URI, "languageId": "python", "version": 1, "text": _TEXT}
    call.notify("initialized", {})
    call.notify("textDocument/didOpen", {"textDocument": document})
    position = {"line": _TEXT.count("\n"), "character": 0}
    call.request(
        "textDocument/inlineCompletion",
        {"textDocument": {"uri": _URI}, "position": position, "context": {"triggerKind": 1}},
    )
    return int(psutil.Process(pid).memory_info().rss)


def _end(call: "_Caller") -> None:
    call.request("shutdown", None)
    with suppress(BrokenPipeError):
        call.notify("exit", None)


class _Caller:
    """A language client that does one thing at a time."""

    def __init__(self, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._n_calls = 0

    def request(self, method: str, parameters: Any) -> dict[str, Any]:
        """The answer, whatever else the server says before."""
        self._n_calls += 1
        self._send({"id": self._n_calls, "method": method, "params": parameters})
        while True:
            message = self._receive()
            if message.get("id") == self._n_calls and "method" not in message:
                return message

    def notify(self, method: str, parameters: Any) -> None:
        """Say something that has no answer."""
        self._send({"method": method, "params": parameters})

    def _send(self, message: dict[str, Any]) -> None:
        message = {name: value for name, value in message.items() if value is not None}
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._stdin.flush()

    def _receive(self) -> dict[str, Any]:
        length = 0
        while (line := self._stdout.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = self._stdout.read(length)
        if not body:
            raise OSError("no more answers")
        message: dict[str, Any] = json.loads(body)
        return message
