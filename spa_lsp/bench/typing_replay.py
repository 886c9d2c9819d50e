"""A typing trace replayed against a real front process and its engine: what is shown, when, and at what price."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from spa_lsp.bench.figures import Figure
from spa_lsp.bench.front_client import FRONT, FrontClient, initialize_parameters
from spa_lsp.bench.typing_figures import Figures, to_figures, to_goals
from spa_lsp.bench.typing_trace import Trace
from spa_lsp.bench.typist import Clock, RealClock, Seen, Typist, Way
from spa_lsp.engine.client import EngineClient, running_engines
from spa_lsp.engine.supervisor import socket_path

_ANSWER_S = 60.0  # a front that has not answered by then never will
_ENGINE_COUNTS = ("n_requests", "n_cancelled", "worked_s", "cancelled_s")
_CLIENT_NAMES: dict[Way, str] = {"vscode": "Visual Studio Code", "eager": "spa-lsp bench"}


@dataclass(frozen=True, kw_only=True)
class TypingPlan:
    """Which engine is asked and how, and how fast the typing goes."""

    base_id: str
    set_name: str | None = None
    quantization: str = "auto"
    pace: float = 1.0  # times the pauses of the trace
    way: Way = "vscode"


@dataclass(frozen=True, kw_only=True)
class TypingReport:
    """What came out; `setting` says under which circumstances."""

    figures: Figures
    goals: list[Figure]
    times_ms: dict[str, list[float | None]]  # None: it did not come
    setting: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """All of it, with every time."""
        goals = [figure.to_json() for figure in self.goals]
        return {"setting": self.setting, "figures": self.figures, "goals": goals, "times_ms": self.times_ms}


def measure_typing(
    plan: TypingPlan,
    traces: Sequence[Trace],
    *,
    command: Sequence[str] = FRONT,
    on_step: Callable[[], None] = lambda: None,
    clock: Clock | None = None,
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
        seen, window = _type_all(plan, traces, command, on_step, clock or RealClock())
        after = engine.status()
    finally:
        if not was_running:
            engine.stop()
        engine.close()
    spent = {name: round(after[name] - before[name], 3) for name in _ENGINE_COUNTS}
    names = ("base", "adapter_set", "quantization", "device")
    setting = {**{name: after[name] for name in names}, "way": plan.way, "pace": plan.pace}
    return TypingReport(
        figures=to_figures(seen, window["automatic"], spent),
        goals=to_goals(seen, spent),
        times_ms=_times_of(seen),
        setting={**setting, "files": [trace.name for trace in traces]},
    )


def _times_of(seen: Seen) -> dict[str, list[float | None]]:
    times = {
        "first": seen.first_ms,
        "all": seen.all_ms,
        "first_after_pause": seen.pause_first_ms,
        "all_after_pause": seen.pause_all_ms,
    }
    return {name: [ms if math.isfinite(ms) else None for ms in own] for name, own in times.items()}


def _type_all(
    plan: TypingPlan, traces: Sequence[Trace], command: Sequence[str], on_step: Callable[[], None], clock: Clock
) -> tuple[Seen, dict[str, dict[str, int]]]:
    """What was seen, and what the front says of its answers."""
    client, seen = FrontClient(command), Seen()
    try:
        asked = initialize_parameters(_settings(plan), client_name=_CLIENT_NAMES[plan.way])
        client.call("initialize", asked, _ANSWER_S)
        client.notify("initialized", {})
        client.wait_until_ready(_ANSWER_S)
        for trace in traces:
            typist = Typist(client, trace, seen, way=plan.way, clock=clock)
            for step in trace.steps:
                typist.do(step, pace=plan.pace)
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
