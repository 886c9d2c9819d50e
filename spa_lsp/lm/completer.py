"""The completer that computes: one base, one adapter set, one prefix cache. Used by the engine, the trainer and tests.

Not thread-safe: whoever owns it calls it from one thread.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import psutil
import torch
from safetensors.torch import load as load_tensors
from torch import Tensor

from spa_lsp.adapters.check import check_adapter, check_made_for
from spa_lsp.adapters.finding import find_served_set
from spa_lsp.adapters.leads import Leads
from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.reading import read_adapter
from spa_lsp.adapters.row_plan import RowPlan, check_request, plan_rows
from spa_lsp.adapters.transfer import shapes_on_base
from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.bases.speeds import remember_speed
from spa_lsp.completion import (
    Alternative,
    CompletionRequest,
    CompletionResult,
    IsCancelled,
    OnAlternative,
    Timing,
)
from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.continuous import Asked, decode_many
from spa_lsp.lm.decode import HALF_CHARACTER, Row, decode, new_rows
from spa_lsp.lm.forward import device_clock
from spa_lsp.lm.likelihood import log_likelihoods, next_token_logprobs
from spa_lsp.lm.load import LoadedBase, load_base, pick_quantization
from spa_lsp.lm.memory import give_back_memory
from spa_lsp.lm.pack import halve_embedding, pack_linears
from spa_lsp.lm.prefix_cache import PrefixCache, WholePrompts, prefill, prefill_rows
from spa_lsp.lm.request_plan import Prompt, alternative_of, prompt_of, rules_of
from spa_lsp.lm.speed import PromptSpeed, measure_prompt_speed
from spa_lsp.lm.static_decode import StaticDecoder, StaticStep, fits, pays
from spa_lsp.lm.turns import Turns
from spa_lsp.lm.vocabulary import read_vocabulary
from spa_lsp.prompt import clean_text, encode_text

logger = logging.getLogger(__name__)

OnResult = Callable[[int, CompletionResult], object]  # the request's number, and its result
OnLoad = Callable[[str, float], None]  # what is being loaded, and how much of the whole is done, 0 to 1


class LocalCompleter:
    """Completes in this process; on a CPU it packs the weights of the base that it is given."""

    def __init__(
        self, base: LoadedBase, adapter_set: AdapterSet | None = None, *, is_static: bool | None = None
    ) -> None:
        is_static = pays(base) if is_static is None else is_static
        if base.device == "cpu":
            pack_linears(base.model)
            halve_embedding(base.model)
        self.base = base
        self.speed = PromptSpeed()  # measured by `load`
        self.adapter_set: AdapterSet | None = None
        self._bank = AdapterBank(base.model, dtype=base.dtype, device=base.device)
        self._vocabulary = read_vocabulary(base.tokenizer.pieces())
        self._cache = PrefixCache(base.n_layers)
        self._read_under: tuple[int, PrefixCache] | None = None
        self._whole_prompts = WholePrompts(base.n_layers)
        self._leads = Leads[Row]()
        self.static = StaticDecoder(base, self._bank, self._vocabulary) if is_static else None
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
        report(f"weights of {name}", 0.7)
        completer.speed = measure_prompt_speed(completer.base)
        if completer.base.quantization == pick_quantization(completer.base.device):
            remember_speed(name, completer.speed.tokens_per_s)
        if chosen is not None:
            report(f"adapter set {chosen.name}", 0.9)
            completer.swap_set(chosen)
        give_back_memory()
        report("ready", 1.0)
        return completer

    def swap_set(self, adapter_set: AdapterSet | None) -> None:
        """Serve another set from now on; when it is refused, the one before stays.

        Raises:
            AdapterMismatch: the set was made for another base or tokenizer.
            Damaged: a file of the set is not what its manifest says.
        """
        if adapter_set is None:
            self._load_bank([], [])
            self.adapter_set = None
            return
        check_made_for(adapter_set, self.base.base_id)
        adapters = _read_adapters(adapter_set)
        self._load_bank(adapters, [adapter_set.alpha / adapter_set.rank] * len(adapters))
        self.adapter_set = adapter_set
        logger.info("serving adapter set %s, %d adapters", adapter_set.name, adapter_set.k)

    def _load_bank(self, adapters: Sequence[dict[str, Tensor]], scalings: Sequence[float]) -> None:
        self._bank.load(adapters, scalings)
        self._leads.clear()
        self._read_under = None
        if self.static:
            self.static.clear()

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

    def next_token_logprobs(self, request: CompletionRequest, text: str) -> Iterator[Tensor]:
        """What every adapter of the set, or the base, thinks of `text` as the answer to a request, place by place.

        Blocks `[K, T, V]`, see `likelihood.next_token_logprobs`; of the request only the prompt counts. The first
        places are those of what the text before the cursor owes.
        """
        is_base = request.use_base or self.adapter_set is None
        is_shared = self.adapter_set is None or self.adapter_set.activation == "completion"
        bank = None if is_base else self._bank
        prompt = self._prompt(request)
        tokens = prompt.tokens
        continuation = encode_text(self.base.prompt, prompt.owed + clean_text(text))
        known = self._known_prompt(tokens) if is_base or is_shared else None
        return next_token_logprobs(self.base, bank, tokens, continuation, is_shared=is_base or is_shared, known=known)

    def log_likelihoods(self, choices: Sequence[tuple[str, str]]) -> Tensor:
        """Log-probability of each choice's continuation after its context, `[K, choices]`, in nats; all is plain text.

        K are the adapters of the set, or the base alone where there is none.
        """
        tokens = [
            (encode_text(self.base.prompt, clean_text(context)), encode_text(self.base.prompt, clean_text(text)))
            for context, text in choices
        ]
        is_shared = self.adapter_set is None or self.adapter_set.activation == "completion"
        return log_likelihoods(
            self.base,
            self._bank if self.adapter_set else None,
            tokens,
            is_shared=is_shared,
            know=self._known_prompt if is_shared else None,
        )

    def _known_prompt(self, prompt: Sequence[int]) -> KeyValues:
        """Keys and values of all but the last token, from the caches as far as they have them."""
        if whole := self._whole_prompts.find(prompt[:-1]):
            return whole.key_values
        with torch.inference_mode():
            entry = self._cache.entry_for(prompt[:-1])
            prefill(self.base, entry, prompt[:-1])
        return entry.key_values

    def describe(self) -> dict[str, Any]:
        """What is loaded, for status messages and evaluation rows."""
        return {
            "base": self.base.base_id,
            "adapter_set": self.adapter_set.name if self.adapter_set else "",
            "quantization": self.base.quantization,
            "device": self.base.device,
            "kernel": self.base.kernel,
            "prompt_tokens_per_s": round(self.speed.tokens_per_s, 1),
            "adapters": [info.name for info in self.adapter_set.adapters] if self.adapter_set else [],
            "resident_bytes": psutil.Process().memory_info().rss,
        }

    def complete_many(
        self, requests: Sequence[CompletionRequest], *, on_result: OnResult = lambda number, result: None
    ) -> list[CompletionResult]:
        """As `complete` of each, rows of many in one batch: more tokens per second, for evaluations.

        The more requests at once the better: rows begin where others have ended. Whole prompts are kept for the next
        call that has them. A result's time is that of its prompt, counted again when it was kept, and its rows' share
        of the steps; deadlines do not count. Where adapters act on the prompt, rows of the base and of adapters are
        mixed, or a lead has been told before, requests run one after the other.

        Args:
            requests: in the order in which they begin.
            on_result: told of each result when it is there, with the request's number; it may ask this completer.

        Raises:
            SpaError: as `complete`; then nothing more comes back.
        """
        for request in requests:
            check_request(request)
        plans = [plan_rows(request, self.adapter_set) for request in requests]
        is_uniform = len({bool(plan.adapters) for plan in plans}) == 1
        is_together = is_uniform and all(
            plan.is_shared and plan.reader is None and plan.behind is None for plan in plans
        )
        each = self._together(requests, plans) if is_together else enumerate(map(self.complete, requests))
        found: dict[int, CompletionResult] = {}
        for number, result in each:
            found[number] = result
            on_result(number, result)
        return [found[number] for number in range(len(requests))]

    def _complete(
        self, request: CompletionRequest, on_alternative: OnAlternative | None, is_cancelled: IsCancelled
    ) -> CompletionResult:
        started = time.perf_counter()
        check_request(request)
        plan = plan_rows(request, self.adapter_set)
        prompt = self._prompt(request)
        deadline = started + request.deadline_s if request.deadline_s is not None else math.inf

        turns = self._turns(request, plan, prompt)
        growing = turns.rows[0] if request.tells_growing and plan.has_lead else None

        def is_over() -> bool:  # asked between steps
            if growing and growing.text and growing.finish is None and on_alternative:
                so_far = replace(growing, finish="growing", text=growing.text.rstrip(HALF_CHARACTER))
                on_alternative(alternative_of(so_far, plan, self.adapter_set))
            return is_cancelled() or time.perf_counter() >= deadline

        key_values, n_cached, is_whole = self._prefill(prompt.tokens, plan, is_over)
        prefilled = device_clock(self.base)
        found: dict[int, Alternative] = {}
        for row in self._decode_in_turn(request, turns, plan, key_values, is_over) if is_whole else turns.rows:
            if row.finish is None and is_cancelled():
                continue
            if row.finish is None:
                row.finish, row.text = "deadline", row.text.rstrip(HALF_CHARACTER)
            found[row.index] = alternative_of(row, plan, self.adapter_set)
            if on_alternative:
                on_alternative(found[row.index])
        timing = _timing(started, prefilled, time.perf_counter(), n_tokens=len(prompt.tokens), n_cached=n_cached)
        alternatives = [found[index] for index in sorted(found)]
        return self._result(alternatives, timing, is_cancelled=len(found) < plan.n_rows)

    def _together(
        self, requests: Sequence[CompletionRequest], plans: Sequence[RowPlan]
    ) -> Iterator[tuple[int, CompletionResult]]:
        """The results with the numbers of their requests, as they come."""
        prompts = [self._prompt(request) for request in requests]
        lanes = sorted({adapter for plan in plans for adapter in plan.adapters})

        def ask(number: int) -> Asked:
            plan, prompt = plans[number], prompts[number]
            with torch.inference_mode():
                known = self._whole_prompts.compute(self.base, prompt.tokens[:-1])
            return Asked(
                number=number,
                turns=self._turns(requests[number], plan, prompt),
                lanes=[lanes.index(adapter) for adapter in plan.adapters],
                key_values=KeyValues(self.base.n_layers, prefix=known.key_values, capacity=32),
                prompt_s=known.seconds,
            )

        self._bank.select(torch.tensor(lanes, dtype=torch.long, device=self.base.device))
        for asked in decode_many(
            self.base,
            map(ask, range(len(requests))),
            bank=self._bank if lanes else None,
            vocabulary=self._vocabulary,
        ):
            plan, n_tokens = plans[asked.number], len(prompts[asked.number].tokens)
            timing = _timing(0.0, asked.prompt_s, asked.prompt_s + asked.decode_s, n_tokens=n_tokens, n_cached=0)
            alternatives = [alternative_of(row, plan, self.adapter_set) for row in asked.rows]
            yield asked.number, self._result(alternatives, timing)
            self._bank.select(torch.tensor(lanes, dtype=torch.long, device=self.base.device))

    def _prompt(self, request: CompletionRequest) -> Prompt:
        return prompt_of(request, self.base, can_owe=self._vocabulary.can_spell_all)

    def _turns(self, request: CompletionRequest, plan: RowPlan, prompt: Prompt) -> Turns:
        return Turns(
            plan,
            rules_of(request, plan),
            self._vocabulary,
            last_token=prompt.tokens[-1],
            owed=prompt.owed,
            may_try_again=request.layout == "infill",
        )

    def _prefill(self, prompt: Sequence[int], plan: RowPlan, is_cancelled: IsCancelled) -> tuple[KeyValues, int, bool]:
        """Keys and values of all but the last token for every row; how many came from the cache; False: cancelled."""
        n_layers = self.base.n_layers
        if plan.is_shared:
            entry = self._cache_under(plan.reader).entry_for(prompt[:-1])
            n_cached = len(entry.tokens)
            with self._reading_under(plan.reader):
                is_whole = prefill(self.base, entry, prompt[:-1], is_cancelled, on_read=self.speed.learn)
            return KeyValues(n_layers, prefix=entry.key_values, capacity=32), n_cached, is_whole
        key_values = KeyValues(n_layers)
        self._bank.select(torch.tensor(plan.adapters, device=self.base.device))
        with self._bank.on():
            is_whole = prefill_rows(self.base, key_values, prompt[:-1], plan.n_rows, is_cancelled)
        return key_values, 0, is_whole

    def _cache_under(self, reader: int | None) -> PrefixCache:
        """The prompts read under this adapter, or under the base; kept of one adapter at a time."""
        if reader is None:
            return self._cache
        if self._read_under is None or self._read_under[0] != reader:
            self._read_under = reader, PrefixCache(self.base.n_layers)
        return self._read_under[1]

    def _reading_under(self, reader: int | None) -> AbstractContextManager[None]:
        """While a prompt is read under this adapter, or under the base."""
        if reader is None:
            return nullcontext()
        self._bank.select(torch.tensor([reader], device=self.base.device))
        return self._bank.on()

    def _decode_in_turn(
        self, request: CompletionRequest, turns: Turns, plan: RowPlan, key_values: KeyValues, is_over: IsCancelled
    ) -> Iterator[Row]:
        """The rows as they finish, the lead before all others, and at last those that said nothing new."""
        if not plan.is_shared:  # all read the prompt at once
            decoded = self._decode(turns.rows, plan.adapters, key_values, is_over)
            yield from _with_first_in_front(decoded) if plan.has_lead else decoded
            return
        if plan.behind is not None and not plan.has_lead:
            lead = self._leads.find(request, plan.behind)
            turns.follow(lead or self._lead_again(turns.rows[0], plan.behind, key_values, is_over))
        told: set[int] = set()
        while places := turns.next():
            adapters = [plan.adapters[place] for place in places] if plan.adapters else []
            rows = [turns.rows[place] for place in places]
            is_static = not turns.is_last  # a step is not captured for the few that chance has left
            for row in self._decode(rows, adapters, key_values.behind_same_prefix(), is_over, is_static=is_static):
                if row.choices is not None and row.is_whole and adapters:  # of a base alone all are asked for at once
                    self._leads.keep(request, adapters[0], row)
                if turns.note_end(row):
                    told.add(row.index)
                    yield row
        yield from (row for row in turns.rows if row.index not in told)

    def _lead_again(self, row: Row, adapter: int, key_values: KeyValues, is_over: IsCancelled) -> Row:
        """The lead of a row's request, which has been told and is forgotten."""
        (lead,) = new_rows([adapter], row.rules, row.last_token, row.owed)
        lead.make_lead()
        for _ in self._decode([lead], [adapter], key_values.behind_same_prefix(), is_over):
            pass
        return lead

    def _decode(
        self,
        rows: Sequence[Row],
        adapters: Sequence[int],
        key_values: KeyValues,
        is_over: IsCancelled,
        *,
        is_static: bool = True,
    ) -> Iterator[Row]:
        """The rows as they finish, row i under `adapters[i]`, or all under the base alone when there are none."""
        going = torch.tensor(adapters, dtype=torch.long, device=self.base.device)
        step = self._static_step(adapters, len(rows)) if is_static and fits(key_values) else None
        if self.static and step:
            rest = yield from self.static.decode(step, rows, key_values.prefix, is_over)
            rows, key_values = rest.rows, rest.key_values
            going = going[rest.places] if adapters else going
        self._bank.select(going)

        def keep_rows(kept: Tensor) -> None:
            nonlocal going
            if adapters:
                going = going[kept]
                self._bank.select(going)

        with self._bank.on() if adapters else nullcontext():
            yield from decode(
                self.base, rows, key_values, keep_rows=keep_rows, is_over=is_over, vocabulary=self._vocabulary
            )

    def _static_step(self, adapters: Sequence[int], n_rows: int) -> StaticStep | None:
        """What makes static steps of such rows; None: eager ones do."""
        try:
            return self.static.step_for(adapters, n_rows) if self.static else None
        except RuntimeError as error:
            logger.warning("no step can be captured here, eager ones are made from now on", exc_info=error)
            self.static = None
            return None

    def _result(
        self, alternatives: Sequence[Alternative], timing: Timing, *, is_cancelled: bool = False
    ) -> CompletionResult:
        return CompletionResult(
            base=self.base.base_id,
            adapter_set=self.adapter_set.name if self.adapter_set else "",
            quantization=self.base.quantization,
            device=self.base.device,
            alternatives=tuple(alternatives),
            timing=timing,
            prompt_tokens_per_s=round(self.speed.tokens_per_s, 1),
            is_cancelled=is_cancelled,
        )


def _with_first_in_front(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows in their order, but for the first of all, for which those that come before it wait."""
    waiting: list[Row] = []
    has_first = False
    for row in rows:
        has_first = has_first or row.index == 0
        if not has_first:
            waiting.append(row)
            continue
        yield row
        yield from waiting
        waiting.clear()
    yield from waiting


def _timing(started: float, prefilled: float, ended: float, *, n_tokens: int, n_cached: int) -> Timing:
    return Timing(
        prefill_ms=(prefilled - started) * 1000,
        prompt_tokens=n_tokens,
        cached_tokens=n_cached,
        decode_ms=(ended - prefilled) * 1000,
        total_ms=(ended - started) * 1000,
    )


def _choose_set(adapter_set: str | AdapterSet | None, base_id: str) -> AdapterSet | None:
    if isinstance(adapter_set, AdapterSet):
        return adapter_set
    chosen = find_served_set(adapter_set, base_id)
    if chosen is None and adapter_set is None:
        logger.warning("there is no adapter set for %s: completing with the base alone", base_id)
    return chosen


def _read_adapters(adapter_set: AdapterSet) -> list[dict[str, Tensor]]:
    """The tensors of every adapter, each checked against the base that lies here."""
    shapes = shapes_on_base(adapter_set)
    files = [read_adapter(adapter_set, info.name) for info in adapter_set.adapters]
    for data in files:
        check_adapter(data, adapter_set, shapes)
    return [load_tensors(data) for data in files]
