"""A typing trace replayed against a real front process and its engine: when alternatives are shown, and at what price.

The front is asked as VS Code does: at every key for the first ones, then, while nothing else is typed, for all k.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from spa_lsp.bench.front_client import FRONT, FrontClient, initialize_parameters
from spa_lsp.bench.typing_trace import Step, Trace
from spa_lsp.engine.client import EngineClient, running_engines
from spa_lsp.engine.supervisor import socket_path
from spa_lsp.errors import Unavailable
from spa_lsp.outcomes.metrics import percentile

_INLINE = "textDocument/inlineCompletion"
_INVOKED, _AUTOMATIC = 1, 2
_ANSWER_S = 60.0  # a front that has not answered by then never will
_ENGINE_COUNTS = ("n_requests", "n_cancelled", "cancelled_s")


@dataclass(frozen=True, kw_only=True)
class TypingPlan:
    """Which engine is asked, and how fast the typing goes."""

    base_id: str
    set_name: str | None = None
    quantization: str = "auto"
    pace: float = 1.0  # times the pauses of the trace


@dataclass(kw_only=True)
class Seen:
    """What one who types saw; times count from the key to what is shown, in milliseconds."""

    n_asked: int = 0  # keys, slips and accepts: each asks
    n_overtaken: int = 0  # whose answer had not come when the next key did
    n_accepted: int = 0
    first_ms: list[float] = field(default_factory=list)
    all_ms: list[float] = field(default_factory=list)
    n_items: list[int] = field(default_factory=list)  # of the answers with all


@dataclass(frozen=True, kw_only=True)
class TypingReport:
    """What came out; `setting` says under which circumstances."""

    figures: dict[str, float | int | None]
    times_ms: dict[str, list[float]]
    setting: dict[str, Any]


def measure_typing(
    plan: TypingPlan,
    traces: Sequence[Trace],
    *,
    command: Sequence[str] = FRONT,
    on_step: Callable[[], None] = lambda: None,
) -> TypingReport:
    """Type all traces, one document after the other, in one front; an engine that was started for it is stopped again.

    The engine's counts are those of all its clients: nobody else should use it meanwhile.

    Raises:
        SpaError: no base or set, or no engine. Unavailable: the front ended or does not answer.
    """
    path = str(socket_path(plan.base_id, plan.quantization))
    was_running = any(status["socket"] == path for status in running_engines())
    engine = EngineClient.connect(plan.base_id, plan.set_name, plan.quantization)
    try:
        engine.wait_until_loaded()
        before = engine.status()
        seen, window = _type_all(plan, traces, command, on_step)
        after = engine.status()
    finally:
        if not was_running:
            engine.stop()
        engine.close()
    spent = {name: round(after[name] - before[name], 3) for name in _ENGINE_COUNTS}
    names = ("base", "adapter_set", "quantization", "device")
    setting = {**{name: after[name] for name in names}, "pace": plan.pace, "files": [trace.name for trace in traces]}
    times_ms = {"first": seen.first_ms, "all": seen.all_ms}
    return TypingReport(figures=to_figures(seen, window["automatic"], spent), times_ms=times_ms, setting=setting)


def to_figures(seen: Seen, answered: dict[str, int], engine: dict[str, float]) -> dict[str, float | int | None]:
    """The figures by name, in the order in which they are printed; a share or a percentile of nothing is None.

    Args:
        seen: by the one who typed.
        answered: by the front to what the editor asked by itself: `answers` and those `from_cache`.
        engine: what the engine was asked and gave up meanwhile.
    """
    first, whole = sorted(seen.first_ms), sorted(seen.all_ms)
    return {
        "asked": seen.n_asked,
        "shown before the next key": len(first),
        "overtaken by the next key": seen.n_overtaken,
        "accepted": seen.n_accepted,
        "first shown, p50 ms": percentile(first, 50),
        "first shown, p95 ms": percentile(first, 95),
        "all shown before the next key": len(whole),
        "all shown, p50 ms": percentile(whole, 50),
        "all shown, p95 ms": percentile(whole, 95),
        "alternatives of them, mean": _ratio(sum(seen.n_items), len(seen.n_items)),
        "share of answers from the cache": _ratio(answered["from_cache"], answered["answers"]),
        "requests to the engine": engine["n_requests"],
        "of them cancelled": engine["n_cancelled"],
        "engine time on cancelled ones, s": engine["cancelled_s"],
    }


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 3) if whole else None


def _type_all(
    plan: TypingPlan, traces: Sequence[Trace], command: Sequence[str], on_step: Callable[[], None]
) -> tuple[Seen, dict[str, dict[str, int]]]:
    """What was seen, and what the front says of its answers."""
    client, seen = FrontClient(command), Seen()
    try:
        client.call("initialize", initialize_parameters(_settings(plan), client_name="Visual Studio Code"), _ANSWER_S)
        client.notify("initialized", {})
        client.wait_until_ready(_ANSWER_S)
        for trace in traces:
            typist = _Typist(client, trace, seen)
            for step in trace.steps:
                typist.do(step, pause_s=step.pause_s * plan.pace)
                on_step()
            typist.close()
        metrics = client.call("workspace/executeCommand", {"command": "spa-lsp.metrics"}, _ANSWER_S)
    finally:
        client.close()
    window: dict[str, dict[str, int]] = metrics["window"]
    return seen, window


def _settings(plan: TypingPlan) -> dict[str, Any]:
    return {
        "base": plan.base_id,
        "quantization": plan.quantization,
        "trigger": "automatic",
        "disabledLanguages": [],
        "recordOutcomes": False,  # nobody typed this
        "learnedOrder": False,
        **({} if plan.set_name is None else {"adapterSet": plan.set_name}),
    }


class _Typist:
    """One document, and the cursor of the one who types in it."""

    def __init__(self, client: FrontClient, trace: Trace, seen: Seen) -> None:
        self._client = client
        self._seen = seen
        self._uri = f"file:///bench/{trace.name}"
        self._before = trace.before
        self._version = 1
        self._shown: list[dict[str, Any]] = []  # items on the screen
        text = trace.before + trace.after
        document = {"uri": self._uri, "languageId": trace.language, "version": 1, "text": text}
        client.notify("textDocument/didOpen", {"textDocument": document})

    def do(self, step: Step, *, pause_s: float) -> None:
        """One step, and look at what comes of it until the pause is over."""
        if step.kind == "accept":
            self._accept(pause_s)
            return
        self._edit(typed=step.text, n_erased=int(step.kind == "erase"))
        self._look(time.perf_counter(), pause_s)

    def close(self) -> None:
        """Leave the document."""
        self._client.notify("textDocument/didClose", {"textDocument": {"uri": self._uri}})

    def _accept(self, pause_s: float) -> None:
        if not self._shown:
            time.sleep(pause_s)
            return
        item = self._shown[0]
        began_s = time.perf_counter()
        self._edit(typed=item["insertText"])
        command = {name: item["command"][name] for name in ("command", "arguments")}
        self._client.ask("workspace/executeCommand", command)
        self._seen.n_accepted += 1
        self._look(began_s, pause_s)
        self._edit(n_erased=len(item["insertText"]))  # back to where it was; nothing is asked for that

    def _edit(self, *, typed: str = "", n_erased: int = 0) -> None:
        start = len(self._before) - n_erased
        change = {"range": {"start": self._position(start), "end": self._position(len(self._before))}, "text": typed}
        self._version += 1
        document = {"uri": self._uri, "version": self._version}
        self._client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
        self._before = self._before[:start] + typed
        self._shown = []

    def _look(self, began_s: float, pause_s: float) -> None:
        """Ask as the editor does, for the first ones and then for all, as far as the pause allows."""
        self._seen.n_asked += 1
        end_s = began_s + pause_s
        first = self._ask(_AUTOMATIC, end_s)
        if first is None:
            self._seen.n_overtaken += 1
            return
        self._shown, at_s = first
        if self._shown:
            self._seen.first_ms.append((at_s - began_s) * 1000)
            if whole := self._ask(_INVOKED, end_s):
                self._shown, at_s = whole
                self._seen.all_ms.append((at_s - began_s) * 1000)
                self._seen.n_items.append(len(self._shown))
        time.sleep(max(0.0, end_s - time.perf_counter()))

    def _ask(self, kind: int, end_s: float) -> tuple[list[dict[str, Any]], float] | None:
        """The items and when they came; None when the time was over before, and the request is given up."""
        position = self._position(len(self._before))
        where = {"textDocument": {"uri": self._uri}, "position": position}
        call_id = self._client.ask(_INLINE, {**where, "context": {"triggerKind": kind}})
        reply = self._client.wait(call_id, max(0.0, end_s - time.perf_counter()))
        if reply is None:
            self._client.notify("$/cancelRequest", {"id": call_id})
            return None
        if "error" in reply.message:
            raise Unavailable(f"the language server refused: {reply.message['error'].get('message')}")
        return reply.message["result"]["items"], reply.at_s

    def _position(self, offset: int) -> dict[str, int]:
        text = self._before[:offset]
        character = len(text[text.rfind("\n") + 1 :].encode("utf-16-le", "surrogatepass")) // 2
        return {"line": text.count("\n"), "character": character}
