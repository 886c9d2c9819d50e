"""How many completion tokens per second an evaluation makes, beside a plain `generate` loop over the same rows.

Rows are samples of the base, all of the same length, so that both sides compute the same number of tokens.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from spa_lsp.completion import TOP_P, CompletionRequest
from spa_lsp.lm.completer import LocalCompleter
from spa_lsp.lm.load import LoadedBase, load_base
from spa_lsp.lm.request_plan import prompt_of
from trainer.evaluate.benchmarks.problems import Problem

_TEMPERATURE = 0.8


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Completion tokens per second, prompt passes included."""

    together: float  # rows of many problems in one batch
    one_by_one: float  # our own engine, one problem after the other
    generate: float  # transformers, one problem after the other, its k rows as `num_return_sequences`

    @property
    def ratio(self) -> float:
        """Of what an evaluation does to the plain loop."""
        return self.together / self.generate


def measure_throughput(
    problems: Sequence[Problem],
    *,
    base_id: str,
    quantization: str = "auto",
    k: int = 8,
    new_tokens: int = 32,
    on_pass: Callable[[], None] = lambda: None,
) -> Throughput:
    """Sample `k` rows of `new_tokens` tokens for every problem in three ways; `on_pass` is called after each.

    Raises:
        SpaError: the base cannot be loaded.
    """
    plain = load_base(base_id, quantization=quantization, is_training=True)
    plain.model.set_attn_implementation("sdpa")  # ours is for ours
    loaded = load_base(base_id, quantization=quantization)
    completer = LocalCompleter(replace(loaded, stop_ids=frozenset()))  # so that every row has all its tokens
    requests = [_request(problem, k=k, new_tokens=new_tokens) for problem in problems]
    n_tokens = len(problems) * k * new_tokens
    return Throughput(
        together=n_tokens / _seconds(lambda: completer.complete_many(requests), on_pass),
        one_by_one=n_tokens / _seconds(lambda: [completer.complete(request) for request in requests], on_pass),
        generate=n_tokens / _seconds(lambda: [_generate(plain, request) for request in requests], on_pass),
    )


def _request(problem: Problem, *, k: int, new_tokens: int) -> CompletionRequest:
    return CompletionRequest(
        prefix=problem.prefix,
        suffix=problem.suffix,
        k=k,
        use_base=True,
        max_tokens=new_tokens,
        stop="none",
        temperature=_TEMPERATURE,
    )


def _generate(base: LoadedBase, request: CompletionRequest) -> Any:
    ids = torch.tensor([prompt_of(request, base, can_owe=False).tokens], device=base.device)
    with torch.inference_mode():
        return base.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            temperature=_TEMPERATURE,
            top_p=TOP_P,
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
