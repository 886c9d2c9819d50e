"""The completer that computes: one base, one adapter set, one prefix cache. Used by the engine, the trainer and tests.

Not thread-safe: whoever owns it calls it from one thread.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from safetensors.torch import load as load_tensors
from torch import Tensor

from spa_lsp.adapter_set import AdapterSet, check_adapter, find_set, read_adapter
from spa_lsp.adapter_transfer import shapes_on_base
from spa_lsp.catalog import DEFAULT_BASE
from spa_lsp.completion import (
    Alternative,
    CompletionRequest,
    CompletionResult,
    IsCancelled,
    OnAlternative,
    Timing,
)
from spa_lsp.errors import AdapterMismatch, BadInput, NotFound
from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.decode import HALF_CHARACTER, Row, Rules, decode, new_rows
from spa_lsp.lm.load import LoadedBase, load_base
from spa_lsp.lm.pack import pack_linears
from spa_lsp.lm.prefix_cache import PrefixCache, prefill, prefill_rows
from spa_lsp.lm.stopping import make_cut
from spa_lsp.prompt import clean_text, infill_prompt, instruct_prompt

logger = logging.getLogger(__name__)

MAX_PROMPT_TOKENS = 2048
MAX_ROWS = 64
_MAX_TEMPERATURE = 100.0
_SEEDS = 2**32
_MIN_PROMPT_TOKENS = 64  # room that a prompt must keep beside the completion
OnLoad = Callable[[str, float], None]  # what is being loaded, and how much of the whole is done, 0 to 1


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """The rows of one request: adapters by place in the set, or base rows."""

    adapters: tuple[int, ...]
    n_rows: int
    is_shared: bool  # the adapters leave the prompt alone


class LocalCompleter:
    """Completes in this process; on a CPU it packs the weights of the base that it is given."""

    def __init__(self, base: LoadedBase, adapter_set: AdapterSet | None = None) -> None:
        if base.device == "cpu":
            pack_linears(base.model)
        self.base = base
        self.adapter_set: AdapterSet | None = None
        self._bank = AdapterBank(base.model, dtype=base.dtype, device=base.device)
        self._cache = PrefixCache(base.model.config.num_hidden_layers)
        if adapter_set is not None:
            self.swap_set(adapter_set)

    @classmethod
    def load(
        cls,
        base_id: str | None = None,
        *,
        adapter_set: str | AdapterSet | None = None,
        quantization: str = "auto",
        on_load: OnLoad | None = None,
    ) -> "LocalCompleter":
        """Load a base and a set.

        Args:
            base_id: None is the default base.
            adapter_set: a set or its name; None is the one in use, and no set at all if there is none; "" is no set.
            quantization: `auto`, `nf4`, `int8`, `bf16` or `fp32`.
            on_load: told of the progress.

        Raises:
            SpaError: the base or the set is missing, damaged, or they do not belong together.
        """
        report = on_load or (lambda _what, _share: None)
        name = base_id or DEFAULT_BASE
        chosen = _choose_set(adapter_set, name)
        report(f"base {name}", 0.0)
        completer = cls(load_base(name, quantization=quantization))
        if chosen is not None:
            report(f"adapter set {chosen.name}", 0.9)
            completer.swap_set(chosen)
        report("ready", 1.0)
        return completer

    def swap_set(self, adapter_set: AdapterSet | None) -> None:
        """Serve another set from now on; when it is refused, the one before stays.

        Raises:
            AdapterMismatch: the set was made for another base or tokenizer.
            Damaged: a file of the set is not what its manifest says.
        """
        if adapter_set is None:
            self._bank.load([], [])
            self.adapter_set = None
            return
        if adapter_set.base_id != self.base.base_id:
            raise AdapterMismatch(
                f"adapter set {adapter_set.name!r} was made for {adapter_set.base_id}, the base is "
                f"{self.base.base_id}; pass --base {adapter_set.base_id} or choose another set"
            )
        adapters = _read_adapters(adapter_set)
        self._bank.load(adapters, [adapter_set.alpha / adapter_set.rank] * len(adapters))
        self.adapter_set = adapter_set
        logger.info("serving adapter set %s, %d adapters", adapter_set.name, adapter_set.k)

    def complete(
        self,
        request: CompletionRequest,
        *,
        on_alternative: OnAlternative | None = None,
        is_cancelled: IsCancelled | None = None,
    ) -> CompletionResult:
        """Compute the alternatives, in the order of the adapters asked for; see `completion.Completer`.

        Raises:
            BadInput: nothing to complete, or a layout that the base does not have.
            NotFound: an adapter that the set does not have.
        """
        with torch.inference_mode():
            return self._complete(request, on_alternative, is_cancelled or (lambda: False))

    def describe(self) -> dict[str, Any]:
        """What is loaded, for status messages and evaluation rows."""
        return {
            "base": self.base.base_id,
            "adapter_set": self.adapter_set.name if self.adapter_set else "",
            "quantization": self.base.quantization,
            "device": self.base.device,
            "adapters": [info.name for info in self.adapter_set.adapters] if self.adapter_set else [],
            "resident_bytes": psutil.Process().memory_info().rss,
        }

    def _complete(
        self, request: CompletionRequest, on_alternative: OnAlternative | None, is_cancelled: IsCancelled
    ) -> CompletionResult:
        started = time.perf_counter()
        _check(request)
        plan = self._plan(request)
        prompt = self._prompt(request)
        deadline = started + request.deadline_s if request.deadline_s is not None else math.inf

        def is_over() -> bool:
            return is_cancelled() or time.perf_counter() >= deadline

        key_values, n_cached, is_whole = self._prefill(prompt, plan, is_over)
        if self.base.device == "cuda":
            torch.cuda.synchronize()  # its kernels run on after the call: the time would go to the decoding
        prefilled = time.perf_counter()
        found: dict[int, Alternative] = {}
        if is_whole:
            for row in self._decode(request, plan, prompt[-1], key_values, is_over=is_over, is_cancelled=is_cancelled):
                found[row.index] = self._alternative(row, plan)
                if on_alternative:
                    on_alternative(found[row.index])
        ended = time.perf_counter()
        return CompletionResult(
            base=self.base.base_id,
            adapter_set=self.adapter_set.name if self.adapter_set else "",
            quantization=self.base.quantization,
            device=self.base.device,
            alternatives=tuple(found[index] for index in sorted(found)),
            timing=Timing(
                prefill_ms=(prefilled - started) * 1000,
                prompt_tokens=len(prompt),
                cached_tokens=n_cached,
                decode_ms=(ended - prefilled) * 1000,
                total_ms=(ended - started) * 1000,
            ),
            is_cancelled=len(found) < plan.n_rows,
        )

    def _plan(self, request: CompletionRequest) -> _Plan:
        if request.use_base or self.adapter_set is None:
            if request.adapters and not request.use_base:
                raise NotFound("no adapter set is loaded; choose one with `spa-lsp adapters use NAME`")
            return _Plan(adapters=(), n_rows=request.k or 1, is_shared=True)
        chosen = _find_adapters(self.adapter_set, request.adapters)
        if request.k is not None and request.k > len(chosen):
            raise BadInput(f"k is {request.k}, but {self.adapter_set.name} has {len(chosen)} adapters to choose from")
        chosen = chosen[: request.k]
        return _Plan(adapters=chosen, n_rows=len(chosen), is_shared=self.adapter_set.activation == "completion")

    def _prompt(self, request: CompletionRequest) -> list[int]:
        context_tokens = self.base.model.config.max_position_embeddings
        limit = min(MAX_PROMPT_TOKENS, context_tokens - request.max_tokens)
        if request.max_tokens < 1 or limit < _MIN_PROMPT_TOKENS:
            most = context_tokens - _MIN_PROMPT_TOKENS
            raise BadInput(f"max_tokens is {request.max_tokens}; choose 1 to {most} for {self.base.base_id}")
        prefix, suffix = clean_text(request.prefix), clean_text(request.suffix)
        if request.layout == "instruct":
            if not prefix.strip():
                raise BadInput("the instruction is empty; say what to write")
            return instruct_prompt(self.base.prompt, prefix, max_tokens=limit)
        if self.base.prompt.fim_middle is None:
            raise BadInput(f"{self.base.base_id} cannot infill; use the instruct layout or another base")
        context = [(clean_text(piece.path), clean_text(piece.text)) for piece in request.context]
        path = clean_text(request.path)
        return infill_prompt(self.base.prompt, prefix, suffix, max_tokens=limit, context=context, path=path)

    def _prefill(self, prompt: Sequence[int], plan: _Plan, is_cancelled: IsCancelled) -> tuple[KeyValues, int, bool]:
        """Keys and values of all but the last token for every row; how many came from the cache; False: cancelled."""
        n_layers = self.base.model.config.num_hidden_layers
        if plan.is_shared:
            entry = self._cache.entry_for(prompt[:-1])
            n_cached = len(entry.tokens)
            is_whole = prefill(self.base, entry, prompt[:-1], is_cancelled)
            return KeyValues(n_layers, prefix=entry.key_values, capacity=32), n_cached, is_whole
        key_values = KeyValues(n_layers)
        self._bank.select(torch.tensor(plan.adapters, device=self.base.device))
        with self._bank.on():
            is_whole = prefill_rows(self.base, key_values, prompt[:-1], plan.n_rows, is_cancelled)
        return key_values, 0, is_whole

    def _decode(
        self,
        request: CompletionRequest,
        plan: _Plan,
        last_token: int,
        key_values: KeyValues,
        *,
        is_over: IsCancelled,
        is_cancelled: IsCancelled,
    ) -> Iterator[Row]:
        """The rows as they finish; after a cancel only those that had finished before."""
        going = torch.tensor(plan.adapters, dtype=torch.long, device=self.base.device)
        self._bank.select(going)

        def keep_rows(kept: Tensor) -> None:
            nonlocal going
            if plan.adapters:
                going = going[kept]
                self._bank.select(going)

        rules = _rules(request)
        rows = new_rows(plan.n_rows, rules)
        with self._bank.on() if plan.adapters else nullcontext():
            for row in decode(self.base, rows, last_token, key_values, rules, keep_rows=keep_rows, is_over=is_over):
                if row.finish is None and is_cancelled():
                    continue
                if row.finish is None:
                    row.finish, row.text = "deadline", row.text.rstrip(HALF_CHARACTER)
                yield row

    def _alternative(self, row: Row, plan: _Plan) -> Alternative:
        index = plan.adapters[row.index] if plan.adapters else row.index
        info = self.adapter_set.adapters[index] if plan.adapters and self.adapter_set else None
        assert row.finish is not None
        if row.finish == "disabled":
            logger.warning("adapter %s gave numbers that are not finite; its alternative is empty", index)
        return Alternative(
            text=row.text,
            adapter=info.name if info else "base",
            label=info.label if info else "base",
            index=index,
            mean_logprob=row.mean_logprob,
            n_tokens=len(row.logprobs),
            finish=row.finish,
        )


def _check(request: CompletionRequest) -> None:
    """Refuse what no base could serve."""
    if request.k is not None and not 1 <= request.k <= MAX_ROWS:
        raise BadInput(f"k is {request.k}; choose 1 to {MAX_ROWS}")
    if len(request.adapters) > MAX_ROWS:
        raise BadInput(f"{len(request.adapters)} adapters are asked for; choose at most {MAX_ROWS}")
    if not 0 <= request.temperature <= _MAX_TEMPERATURE:
        raise BadInput(f"the temperature is {request.temperature}; choose 0 to {_MAX_TEMPERATURE:.0f}")
    if not 0 < request.top_p <= 1:
        raise BadInput(f"top_p is {request.top_p}; choose more than 0 and at most 1")
    if not 0 <= request.seed < _SEEDS:
        raise BadInput(f"the seed is {request.seed}; choose 0 to {_SEEDS - 1}")


def _choose_set(adapter_set: str | AdapterSet | None, base_id: str) -> AdapterSet | None:
    if isinstance(adapter_set, AdapterSet):
        return adapter_set
    if adapter_set == "":
        return None
    try:
        return find_set(adapter_set, base_id)
    except NotFound as error:
        if adapter_set is not None:
            raise
        logger.warning("completing with the base alone: %s", error)
        return None


def _read_adapters(adapter_set: AdapterSet) -> list[dict[str, Tensor]]:
    """The tensors of every adapter, each checked against the base that lies here."""
    shapes = shapes_on_base(adapter_set)
    files = [read_adapter(adapter_set, info.name) for info in adapter_set.adapters]
    for data in files:
        check_adapter(data, adapter_set, shapes)
    return [load_tensors(data) for data in files]


def _find_adapters(adapter_set: AdapterSet, names: Sequence[str]) -> tuple[int, ...]:
    known = [info.name for info in adapter_set.adapters]
    for name in names:
        if name not in known:
            raise NotFound(f"{adapter_set.name} has no adapter {name!r}; choose one of: {', '.join(known)}")
    return tuple(known.index(name) for name in names) if names else tuple(range(len(known)))


def _rules(request: CompletionRequest) -> Rules:
    return Rules(
        max_tokens=request.max_tokens,
        cut=make_cut(request.stop, request.layout, prefix=request.prefix, suffix=request.suffix),
        temperature=request.temperature,
        top_p=request.top_p,
        seed=request.seed,
    )
