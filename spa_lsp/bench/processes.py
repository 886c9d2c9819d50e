"""The two processes a user has: the front's start and size, and the engine's size, both measured from outside."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import psutil

from spa_lsp.bench.figures import Figure, Goal, plain_figure
from spa_lsp.bench.front_client import FRONT, FrontClient, initialize_parameters
from spa_lsp.bench.prompts import source_code
from spa_lsp.completion import CompletionRequest
from spa_lsp.engine.client import EngineClient, running_engines
from spa_lsp.engine.supervisor import socket_path
from spa_lsp.errors import SpaError

ENGINE_MEMORY = Goal(name="engine, resident memory", goal=1.3, unit="GB")
ENGINE_START = Goal(name="engine, start to ready", goal=5.0, unit="s")
FRONT_MEMORY = Goal(name="front, resident memory", goal=90.0, unit="MB")
FRONT_START = Goal(name="front, start to initialize answered", goal=1.0, unit="s")
GOALS = (ENGINE_START, ENGINE_MEMORY, FRONT_MEMORY, FRONT_START)
N_STARTS = 5
_TEXT = source_code(1800)  # some 500 tokens
_URI = "file:///bench.py"
_ANSWER_S = 60.0  # a front that has not answered everything by then never will


@dataclass(frozen=True, kw_only=True)
class FrontTimes:
    """Starts of the front, and its size after it has answered for an open document."""

    start_s: list[float] = field(default_factory=list)
    resident_bytes: list[int] = field(default_factory=list)


def measure_processes(base_id: str, set_name: str | None, quantization: str) -> list[Figure]:
    """Start an engine if there is none, ask it once, look at its size and at that of fronts beside it.

    An engine that was started for this is stopped again. When one cannot be had, the figures say why.
    """
    try:
        start_s, engine_bytes, front = _measure(base_id, set_name, quantization)
    except SpaError as error:
        return [plain_figure(goal, None, note=str(error)) for goal in GOALS]
    was_there = "" if start_s else "it ran already; after: spa-lsp engine stop"
    return [
        plain_figure(ENGINE_START, start_s, note=was_there),
        plain_figure(ENGINE_MEMORY, engine_bytes / 1e9),
        plain_figure(FRONT_MEMORY, median(front.resident_bytes) / 1e6),
        plain_figure(FRONT_START, median(front.start_s), note=f"median of {N_STARTS} starts"),
    ]


def _measure(base_id: str, set_name: str | None, quantization: str) -> tuple[float | None, int, FrontTimes]:
    """Seconds until a started engine was ready, its bytes, and what fronts took."""
    path = str(socket_path(base_id, quantization))
    was_running = any(status["socket"] == path for status in running_engines())
    started = time.perf_counter()
    client = EngineClient.connect(base_id, set_name, quantization)
    try:
        client.wait_until_loaded()
        ready_s = time.perf_counter() - started
        client.complete(CompletionRequest(prefix=_TEXT, max_tokens=32, stop="none"))
        engine_bytes: int = client.status()["resident_bytes"]
        settings = {"base": base_id, "quantization": quantization}
        front = measure_front(FRONT, settings if set_name is None else {**settings, "adapterSet": set_name})
    finally:
        if not was_running:
            client.stop()
        client.close()
    return None if was_running else ready_s, engine_bytes, front


def measure_front(command: Sequence[str], settings: dict[str, Any], *, n_starts: int = N_STARTS) -> FrontTimes:
    """Start the language server so often, one after the other.

    Raises:
        Unavailable: it ended before it had answered.
    """
    times = FrontTimes()
    for _ in range(n_starts):
        started = time.perf_counter()
        client = FrontClient(command)
        try:
            client.call("initialize", initialize_parameters(settings), _ANSWER_S)
            times.start_s.append(time.perf_counter() - started)
            times.resident_bytes.append(_size_at_work(client))
        finally:
            client.close()
    return times


def _size_at_work(client: FrontClient) -> int:
    """Resident bytes after a document was opened and completed."""
    document = {"uri": _URI, "languageId": "python", "version": 1, "text": _TEXT}
    client.notify("initialized", {})
    client.notify("textDocument/didOpen", {"textDocument": document})
    position = {"line": _TEXT.count("\n"), "character": 0}
    client.call(
        "textDocument/inlineCompletion",
        {"textDocument": {"uri": _URI}, "position": position, "context": {"triggerKind": 1}},
        _ANSWER_S,
    )
    return int(psutil.Process(client.pid).memory_info().rss)
