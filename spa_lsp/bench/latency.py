"""The engine's arithmetic in this process, round by round, beside the base alone, PEFT and llama.cpp."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from spa_lsp.adapters.finding import find_set
from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.bases.catalog import find_base, source_path
from spa_lsp.bench.figures import Figure, Goal, Ratio, Round, Times, plain_figure, ratio_figure, run_rounds
from spa_lsp.bench.prompts import BenchPrompt, make_prompt
from spa_lsp.completion import CompletionRequest, Timing
from spa_lsp.errors import SpaError
from spa_lsp.prompt import infill_prompt

logger = logging.getLogger(__name__)

# The goals of the reference machine: 2 cores, the default base. Each reads: numerator / denominator.
RATIOS = (
    Ratio(name="prefill for {k} / for 1", goal=1.05, numerator="prefill_k", denominator="prefill_1"),
    Ratio(name="decode of {k} / of 1", goal=3.0, numerator="decode_k", denominator="decode_1"),
    Ratio(name="decode of {k} adapters / of {k} base rows", goal=1.25, numerator="decode_k", denominator="decode_base"),
    Ratio(
        name="PEFT, mixed batch of {k} / ours, cold",
        goal=3.0,
        is_at_most=False,
        numerator="peft",
        denominator="total_k",
    ),
    Ratio(
        name="llama.cpp, {k} samples / ours, cold",
        goal=1.2,
        is_at_most=False,
        numerator="llama_cpp",
        denominator="total_k",
    ),
    Ratio(
        name="prefill of the next keystroke / cold", goal=0.05, numerator="prefill_keystroke", denominator="prefill_k"
    ),
)
WARM = Goal(name="{k} alternatives over a warm prompt", goal=2.0, unit="s")


@dataclass(frozen=True, kw_only=True)
class LatencyPlan:
    """What is measured."""

    base_id: str
    set_name: str | None = None
    quantization: str = "auto"
    n_runs: int = 10
    prompt_tokens: int = 512
    new_tokens: int = 32
    has_rivals: bool = True


@dataclass(frozen=True, kw_only=True)
class LatencyReport:
    """What came out; `setting` says under which circumstances."""

    figures: list[Figure]
    times_ms: Times
    setting: dict[str, Any]


def measure_latency(plan: LatencyPlan, *, on_round: Callable[[], None] = lambda: None) -> LatencyReport:
    """Load what is compared and run the rounds; `plan.n_runs` + 1 of them, the first uncounted.

    Raises:
        NotFound: no base or no adapter set on this machine.
    """
    adapter_set = find_set(plan.set_name, plan.base_id)
    ours = _Ours(plan, adapter_set)
    jobs: dict[str, Round] = {"k adapters": ours.time_k, "one adapter": ours.time_one, "base rows": ours.time_base}
    missing = dict.fromkeys(("peft", "llama_cpp"), "left out by --no-rivals")
    if plan.has_rivals:
        rivals, missing = _rivals(plan, adapter_set, ours)
        jobs |= rivals
    times = run_rounds(jobs, plan.n_runs, on_round=on_round)
    figures = [
        *(ratio_figure(ratio, times, missing=missing) for ratio in RATIOS),
        plain_figure(WARM, median(times["total_warm"]) / 1000),
    ]
    named = [replace(figure, name=figure.name.format(k=adapter_set.k)) for figure in figures]
    return LatencyReport(figures=named, times_ms=times, setting=ours.setting())


class _Ours:
    """Our completer over a base that never stops by itself, so that every row has all its tokens."""

    def __init__(self, plan: LatencyPlan, adapter_set: AdapterSet) -> None:
        from spa_lsp.lm.completer import LocalCompleter
        from spa_lsp.lm.load import load_base

        self._plan = plan
        base = load_base(plan.base_id, quantization=plan.quantization)
        self._base = replace(base, stop_ids=frozenset())
        self._completer = LocalCompleter(self._base, adapter_set)
        self._k = adapter_set.k
        self._prompt_tokens = 0

    def setting(self) -> dict[str, Any]:
        """Under which circumstances the times were taken."""
        from spa_lsp.lm.bench import device_name

        described = {**self._completer.describe(), "k": self._k}
        return {
            **{name: described[name] for name in ("base", "adapter_set", "k", "quantization", "device")},
            "device_name": device_name(self._base.device),
            "runs": self._plan.n_runs,
            "prompt_tokens": self._prompt_tokens,
            "new_tokens": self._plan.new_tokens,
        }

    def time_k(self, number: int) -> dict[str, float]:
        """All adapters: over a prompt never seen, over the same again, and three tokens later."""
        prompt = self._prompt(f"adapters_{number}")
        cold = self._time(prompt)
        self._prompt_tokens = cold.prompt_tokens
        warm = self._time(prompt)
        keystroke = self._time(prompt, begun=prompt.typed)
        return {
            "prefill_k": cold.prefill_ms,
            "decode_k": cold.decode_ms,
            "total_k": cold.total_ms,
            "total_warm": warm.total_ms,
            "prefill_keystroke": keystroke.prefill_ms,
        }

    def time_one(self, number: int) -> dict[str, float]:
        """The first adapter alone."""
        timing = self._time(self._prompt(f"single_{number}"), k=1)
        return {"prefill_1": timing.prefill_ms, "decode_1": timing.decode_ms}

    def time_base(self, number: int) -> dict[str, float]:
        """As many rows of the base, greedy: what remains is the price of the adapters."""
        timing = self._time(self._prompt(f"base_{number}"), k=self._k, use_base=True)
        return {"decode_base": timing.decode_ms}

    def ids(self, key: str) -> list[int]:
        """Tokens of a prompt for somebody else."""
        prompt = self._prompt(key)
        return infill_prompt(self._base.prompt, prompt.prefix, prompt.suffix, max_tokens=self._plan.prompt_tokens)

    def _prompt(self, key: str) -> BenchPrompt:
        tokens = self._base.prompt
        return make_prompt(self._plan.prompt_tokens, key, encode=tokens.encode, decode=self._base.decode)

    def _time(self, prompt: BenchPrompt, *, begun: str = "", k: int | None = None, use_base: bool = False) -> Timing:
        request = CompletionRequest(
            prefix=prompt.prefix,
            begun=begun,
            suffix=prompt.suffix,
            k=k,
            use_base=use_base,
            max_tokens=self._plan.new_tokens,
            stop="none",
            temperature=0.0,
        )
        return self._completer.complete(request).timing


def _rivals(plan: LatencyPlan, adapter_set: AdapterSet, ours: _Ours) -> tuple[dict[str, Round], dict[str, str]]:
    """The jobs of those who can run here, and of the others why not."""
    makers: dict[str, Callable[[], Round]] = {
        "peft": lambda: _peft_job(plan, adapter_set, ours),
        "llama_cpp": lambda: _llama_cpp_job(plan, adapter_set, ours),
    }
    jobs: dict[str, Round] = {}
    missing = {}
    for name, make in makers.items():
        try:
            jobs[name] = make()
        except SpaError as error:
            logger.warning("%s is not measured: %s", name, error)
            missing[name] = str(error)
    return jobs, missing


def _peft_job(plan: LatencyPlan, adapter_set: AdapterSet, ours: _Ours) -> Round:
    from spa_lsp.lm.bench import PeftRival

    rival = PeftRival(plan.base_id, adapter_set, plan.quantization)
    return lambda number: {"peft": rival.time_ms(ours.ids(f"peft_{number}"), plan.new_tokens)}


def _llama_cpp_job(plan: LatencyPlan, adapter_set: AdapterSet, ours: _Ours) -> Round:
    from spa_lsp.errors import NotFound
    from spa_lsp.lm.bench import LlamaCppRival

    base = find_base(plan.base_id)
    gguf = source_path(base)
    if base.format != "gguf" or not gguf.exists():
        raise NotFound(f"{gguf} is not kept here; run: spa-lsp models pull {base.id} --force")
    n_context = plan.prompt_tokens + adapter_set.k * plan.new_tokens + 64
    rival = LlamaCppRival(gguf, n_rows=adapter_set.k, n_context=n_context)

    def time(number: int) -> dict[str, float]:
        prefill_ms, decode_ms = rival.time_ms(ours.ids(f"llama_{number}"), plan.new_tokens)
        return {
            "llama_cpp": prefill_ms + decode_ms,
            "llama_cpp_prefill": prefill_ms,
            "llama_cpp_decode": decode_ms,
        }

    return time
