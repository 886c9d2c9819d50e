"""What `bench latency` times of our own: k rows, one row and rows of the base, cold, warm and at the next key."""

from dataclasses import dataclass, replace
from typing import Any

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.row_plan import ONE_MODEL_ROWS
from spa_lsp.bench.prompts import make_prompt
from spa_lsp.completion import CompletionRequest, Timing
from spa_lsp.errors import BadInput
from spa_lsp.prompt import infill_prompt
from spa_lsp.text.site import Site


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How much is asked of everybody."""

    k: int
    prompt_tokens: int
    new_tokens: int


def count_rows(k: int | None, adapter_set: AdapterSet | None) -> int:
    """How many rows to compare: k, else one per adapter, else some of the base.

    Raises:
        BadInput: the set has fewer.
    """
    if adapter_set is None:
        return k or ONE_MODEL_ROWS
    if k is not None and k > adapter_set.k:
        raise BadInput(f"-k is {k}, but {adapter_set.name} has {adapter_set.k} adapters; give less, or --set ''")
    return k or adapter_set.k


class Ours:
    """Our completer over a base that never stops by itself, so that every row has all its tokens.

    Where there is no set its rows are those of the base.
    """

    def __init__(self, base_id: str, quantization: str, adapter_set: AdapterSet | None, shape: Shape) -> None:
        from spa_lsp.lm.completer import LocalCompleter
        from spa_lsp.lm.load import load_base

        self.base = replace(load_base(base_id, quantization=quantization), stop_ids=frozenset())
        self.has_set = adapter_set is not None
        self._shape = shape
        self._completer = LocalCompleter(self.base, adapter_set)
        self._prompt_tokens = 0

    def describe(self) -> dict[str, Any]:
        """Under which circumstances the times were taken."""
        from spa_lsp.lm.bench import device_name

        described = self._completer.describe()
        names = [name for name in ("base", "adapter_set", "quantization", "kernel", "device") if name in described]
        return {
            **{name: described[name] for name in names},
            "device_name": device_name(self.base.device),
            "k": self._shape.k,
            "prompt_tokens": self._prompt_tokens,
            "new_tokens": self._shape.new_tokens,
        }

    def time_k(self, number: int) -> dict[str, float]:
        """All rows: over a prompt never seen, over the same again, and three tokens later."""
        k = self._shape.k
        prompt = self._prompt(f"adapters_{number}")
        cold = self._time(prompt, k=k)
        self._prompt_tokens = cold.prompt_tokens
        warm = self._time(prompt, k=k)
        next_key = self._time(prompt, begun=prompt.begun, k=k)
        return {
            **_cold_times(cold, k),
            "total_warm": warm.total_ms,
            "prefill_next_key": next_key.prefill_ms,
            "total_next_key": next_key.total_ms,
        }

    def time_one(self, number: int) -> dict[str, float]:
        """The first row alone."""
        return _cold_times(self._time(self._prompt(f"single_{number}"), k=1), 1)

    def time_base(self, number: int) -> dict[str, float]:
        """As many rows of the base, greedy: what remains is the price of the adapters."""
        timing = self._time(self._prompt(f"base_{number}"), k=self._shape.k, use_base=True)
        return {"decode_base": timing.decode_ms}

    def time_eager(self, number: int) -> dict[str, float]:
        """All rows without captured steps, where there are some."""
        static, self._completer.static = self._completer.static, None
        try:
            timing = self._time(self._prompt(f"eager_{number}"), k=self._shape.k)
        finally:
            self._completer.static = static
        return {f"eager_{self._shape.k}": timing.decode_ms}

    def time_steps(self, number: int) -> dict[str, float]:
        """Only the decoding, of all rows and of one, when another precision is compared with this one."""
        prompt = self._prompt(f"steps_{number}")
        return {f"fp32_{k}": self._time(prompt, k=k).decode_ms for k in sorted({self._shape.k, 1})}

    def ids(self, key: str) -> list[int]:
        """Tokens of a prompt for somebody else."""
        prompt = self._prompt(key)
        return infill_prompt(self.base.prompt, prompt.prefix, prompt.suffix, max_tokens=self._shape.prompt_tokens)

    def _prompt(self, key: str) -> Site:
        tokens = self.base.prompt
        return make_prompt(self._shape.prompt_tokens, key, encode=tokens.encode, decode=self.base.decode)

    def _time(self, prompt: Site, *, k: int, begun: str = "", use_base: bool = False) -> Timing:
        request = CompletionRequest(
            prefix=prompt.prefix,
            begun=begun,
            suffix=prompt.suffix,
            k=k,
            use_base=use_base or not self.has_set,
            max_tokens=self._shape.new_tokens,
            stop="none",
            temperature=0.0,
        )
        return self._completer.complete(request).timing


def _cold_times(timing: Timing, k: int) -> dict[str, float]:
    return {f"prefill_{k}": timing.prefill_ms, f"decode_{k}": timing.decode_ms, f"total_{k}": timing.total_ms}
