"""The engine's arithmetic in this process, round by round, beside the base alone, fp32, PEFT and llama.cpp.

llama.cpp runs in a process of its own, half of its rounds before all others and half behind them, and is not there
while anything else is timed.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from spa_lsp.adapters.finding import find_served_set
from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.bases.catalog import find_base, source_path
from spa_lsp.bench.figures import Figure, Goal, Round, Times, plain_figure, ratio_figure, run_rounds
from spa_lsp.bench.goals import DECODE_ON_CUDA, WARM, ratios
from spa_lsp.bench.llama_cpp import LlamaPlan, find_llama_cpp, gguf_for, time_llama_cpp
from spa_lsp.bench.ours import Ours, Shape, count_rows
from spa_lsp.errors import SpaError, Unavailable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LatencyPlan:
    """What is measured."""

    base_id: str
    set_name: str | None = None  # None: the one in use, if there is one; "": none, base rows only
    quantization: str = "auto"
    k: int | None = None  # None: one row per adapter
    n_runs: int = 10
    prompt_tokens: int = 440
    new_tokens: int = 32
    has_rivals: bool = True
    has_fp32: bool = False


@dataclass(frozen=True, kw_only=True)
class LatencyReport:
    """What came out; `setting` says under which circumstances."""

    figures: list[Figure]
    times_ms: Times
    setting: dict[str, Any]


@dataclass
class _Missing:
    """Why some times are not there, by their beginning."""

    reasons: dict[str, str] = field(default_factory=dict)

    def of(self, times: Times, names: tuple[str, ...]) -> dict[str, str]:
        """The reason for each of these times that was not taken, where one is known."""
        absent = [name for name in names if name not in times]
        found = {name: [why for begin, why in self.reasons.items() if name.startswith(begin)] for name in absent}
        return {name: reasons[0] for name, reasons in found.items() if reasons}


def measure_latency(plan: LatencyPlan, *, on_round: Callable[[], None] = lambda: None) -> LatencyReport:
    """Load what is compared and run the rounds; `plan.n_runs` + 1 of them, the first uncounted.

    What cannot run here is left out, and its figures say why.

    Raises:
        NotFound: no such base or set on this machine. BadInput: more rows than the set has adapters.
    """
    adapter_set = find_served_set(plan.set_name, plan.base_id)
    k = count_rows(plan.k, adapter_set)
    shape = Shape(k=k, prompt_tokens=plan.prompt_tokens, new_tokens=plan.new_tokens)
    ours = Ours(plan.base_id, plan.quantization, adapter_set, shape)
    missing = _Missing()
    jobs = _jobs(plan, adapter_set, ours, shape, missing)
    halves = (plan.n_runs - plan.n_runs // 2, plan.n_runs // 2)
    times = _llama_times(plan, ours, shape, missing, first=0, n_runs=halves[0])
    times |= run_rounds(jobs, plan.n_runs, on_round=on_round)
    if "llama_cpp" not in missing.reasons and halves[1]:
        for name, more in _llama_times(plan, ours, shape, missing, first=halves[0] + 1, n_runs=halves[1]).items():
            times[name] += more
    setting = {**ours.describe(), "runs": plan.n_runs}
    return LatencyReport(figures=_figures(times, k, ours.base.device, missing), times_ms=times, setting=setting)


def _figures(times: Times, k: int, device: str, missing: _Missing) -> list[Figure]:
    figures = []
    for ratio in ratios(k, device):
        why = missing.of(times, (ratio.numerator, ratio.denominator))
        figures.append(ratio_figure(ratio, times, missing=why))
    goals: Mapping[str, Goal] = {"total_warm": WARM}
    if device == "cuda":
        goals = {**goals, f"decode_{k}": DECODE_ON_CUDA}
    plain = [plain_figure(goal, median(times[name]) / 1000) for name, goal in goals.items()]
    return figures + [replace(figure, name=figure.name.format(k=k)) for figure in plain]


def _jobs(
    plan: LatencyPlan, adapter_set: AdapterSet | None, ours: Ours, shape: Shape, missing: _Missing
) -> dict[str, Round]:
    """What takes part in every round; of what does not, `missing` learns why."""
    jobs: dict[str, Round] = {"k rows": ours.time_k}
    if shape.k > 1:
        jobs["one row"] = ours.time_one
    if ours.base.device == "cuda":
        jobs["eager"] = ours.time_eager
    if adapter_set:
        jobs["base rows"] = ours.time_base
    else:
        missing.reasons["decode_base"] = "there is no adapter set: all rows are the base's"
    makers: dict[str, Callable[[], Round]] = {
        "fp32": lambda: _fp32_job(plan, adapter_set, ours, shape),
        "peft": lambda: _peft_job(plan, adapter_set, ours, shape),
    }
    for name, make in makers.items():
        try:
            jobs[name] = make()
        except SpaError as error:
            logger.info("%s is not measured: %s", name, error)
            missing.reasons[name] = str(error)
    return jobs


def _fp32_job(plan: LatencyPlan, adapter_set: AdapterSet | None, ours: Ours, shape: Shape) -> Round:
    if not plan.has_fp32:
        raise Unavailable("only with --fp32: it takes the memory of a second base")
    if ours.base.quantization == "fp32":
        raise Unavailable("fp32 is what is used here")
    return Ours(plan.base_id, "fp32", adapter_set, shape).time_steps


def _peft_job(plan: LatencyPlan, adapter_set: AdapterSet | None, ours: Ours, shape: Shape) -> Round:
    if not plan.has_rivals:
        raise Unavailable("left out by --no-rivals")
    if adapter_set is None:
        raise Unavailable("there is no adapter set")
    from spa_lsp.lm.bench import PeftRival

    rival = PeftRival(adapter_set, ours.base.quantization, device=ours.base.device, k=shape.k)
    return lambda number: {"peft": rival.time_ms(ours.ids(f"peft_{number}"), shape.new_tokens)}


def _llama_times(plan: LatencyPlan, ours: Ours, shape: Shape, missing: _Missing, *, first: int, n_runs: int) -> Times:
    """The times of llama.cpp over `n_runs` + 1 prompts from number `first` on; without it none, and `missing` why."""
    from spa_lsp.lm.bench import n_threads

    numbers = range(first, first + n_runs + 1)
    times: Times = {}
    try:
        _check_llama_cpp(plan, ours)
        base = find_base(plan.base_id)
        for n_rows in sorted({1, shape.k}):
            asked = LlamaPlan(
                gguf=gguf_for(source_path(base), base.id),
                n_threads=n_threads(),
                n_rows=n_rows,
                n_new=shape.new_tokens,
                prompts=[ours.ids(f"llama_{n_rows}_{number}") for number in numbers],
            )
            times |= time_llama_cpp(asked)
    except SpaError as error:
        logger.info("llama.cpp is not measured: %s", error)
        missing.reasons["llama_cpp"] = str(error)
        return {}
    return times


def _check_llama_cpp(plan: LatencyPlan, ours: Ours) -> None:
    if not plan.has_rivals:
        raise Unavailable("left out by --no-rivals")
    if ours.base.device != "cpu":
        raise Unavailable("the prebuilt llama.cpp computes on the processor, ours does not")
    if find_base(plan.base_id).format != "gguf":
        raise Unavailable("the base was not made from a GGUF")
    find_llama_cpp()
