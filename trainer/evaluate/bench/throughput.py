"""How many completion tokens per second many requests at once give, beside a plain `generate` loop over the same rows.

Rows are samples of the base, all of the same length, so that both sides compute the same number of tokens.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from spa_lsp.completion import CompletionRequest
from spa_lsp.lm.completer import LocalCompleter
from spa_lsp.lm.load import LoadedBase, load_base
from spa_lsp.lm.request_plan import prompt_of


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Completion tokens per second, prompt passes included."""

    together: float  # rows of many requests in one batch
    one_by_one: float  # our own engine, one request after the other
    generate: float  # transformers, one request after the other, its k rows as `num_return_sequences`

    @property
    def ratio(self) -> float:
        """Of what evaluate and synthesize do to the plain loop."""
        return self.together / self.generate


def measure_throughput(
    requests: Sequence[CompletionRequest],
    *,
    base_id: str,
    quantization: str = "auto",
    on_pass: Callable[[], None] = lambda: None,
) -> Throughput:
    """Sample the rows of every request in three ways, each to its `max_tokens`; `on_pass` is called after each way.

    The requests are for the base and name `k` and a temperature.

    Raises:
        SpaError: the base cannot be loaded.
    """
    plain = load_base(base_id, quantization=quantization, is_training=True)
    plain.model.set_attn_implementation("sdpa")  # ours is for ours
    loaded = load_base(base_id, quantization=quantization)
    completer = LocalCompleter(replace(loaded, stop_ids=frozenset()))  # so that every row has all its tokens
    requests = [replace(request, stop="none") for request in requests]
    n_tokens = sum((request.k or 1) * request.max_tokens for request in requests)
    return Throughput(
        together=n_tokens / _seconds(lambda: completer.complete_many(requests), on_pass),
        one_by_one=n_tokens / _seconds(lambda: [completer.complete(request) for request in requests], on_pass),
        generate=n_tokens / _seconds(lambda: [_generate(plain, request) for request in requests], on_pass),
    )


def _generate(base: LoadedBase, request: CompletionRequest) -> Any:
    ids = torch.tensor([prompt_of(request, base, can_owe=False).tokens], device=base.device)
    with torch.inference_mode():
        return base.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            temperature=request.temperature,
            top_p=request.top_p,
            top_k=0,
            num_return_sequences=request.k,
            min_new_tokens=request.max_tokens,
            max_new_tokens=request.max_tokens,
            pad_token_id=base.end_id,
        )


def _seconds(work: Callable[[], object], on_pass: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    on_pass()
    return time.perf_counter() - started
