"""What a stage gains from its batches, on this machine: the same work done in two ways, timed.

Items and exercises are those of the bundled anchors, so that nothing need be imported first.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from spa_lsp.completion import CompletionRequest
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.load import LoadedBase, load_base
from trainer.attribute.anchors import load_anchors
from trainer.attribute.gradients import sample_gradients, warm_up
from trainer.configs import AttributeConfig, FinetuneConfig, ItemsConfig, SynthesizeConfig
from trainer.data.items import TokenItem, token_items
from trainer.executor.work import blocks
from trainer.pipeline.costs import middling
from trainer.synthesize.generation import Question, request_of
from trainer.synthesize.prompts import code_questions, describe_function, signature_of
from trainer.train.group_work import new_bank
from trainer.train.training import train

_N_ROUNDS = 2  # of both ways in turn; of each the faster one counts


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Tokens per second in two ways, of prompts and completions together."""

    ours: float
    plain: float

    @property
    def ratio(self) -> float:
        """How many times as fast ours is."""
        return self.ours / self.plain


@dataclass(frozen=True, kw_only=True)
class TrainingSpeed:
    """Each beside the way that it replaces."""

    stacked: Compared  # k adapters in one pass, and one after the other
    on_completion: Compared  # adapters that act on the completion, and on all tokens
    batched_gradients: Compared  # of a batch in one backward pass, and in one for each sample


def measure_training(base_id: str, *, k: int, on_pass: Callable[[], None] = lambda: None) -> TrainingSpeed:
    """Optimizer steps of k adapters with one item each, and gradients of a batch of k; `on_pass` after each of 12.

    Raises:
        SpaError: the base cannot be loaded.
    """
    base = load_base(base_id, is_training=True)
    items = _items(base, k)
    n_tokens = sum(item.n_tokens for item in items)

    def compare(ours: Callable[[], float], plain: Callable[[], float]) -> Compared:
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(_N_ROUNDS):
            for way, found in zip((ours, plain), seconds, strict=True):
                found.append(way())
                on_pass()
        return Compared(ours=n_tokens / min(seconds[0]), plain=n_tokens / min(seconds[1]))

    config = FinetuneConfig()
    everywhere = replace(config, activation="all")
    return TrainingSpeed(
        stacked=compare(lambda: _of_step(base, items, config), lambda: _of_step(base, items, config, at_once=1)),
        on_completion=compare(lambda: _of_step(base, items, config), lambda: _of_step(base, items, everywhere)),
        batched_gradients=compare(lambda: _of_gradients(base, items, k), lambda: _of_gradients(base, items, 1)),
    )


def synthesis_requests(n_exercises: int, *, responses: int, new_tokens: int) -> list[CompletionRequest]:
    """What synthesize asks for solutions of `n_exercises` exercises, each answer of at most `new_tokens` tokens."""
    functions = [item.prefix + item.completion for item in load_anchors()[0].items[:n_exercises]]
    questions = [question for code in functions for question in _questions(code, responses)]
    return [request_of(replace(question, max_tokens=new_tokens), seed=0) for question in questions]


def _questions(code: str, responses: int) -> list[Question]:
    entry_point = code.removeprefix("def ").partition("(")[0]
    problem = describe_function(code, entry_point, [])
    signature = signature_of(code, entry_point)
    return code_questions(problem, "", signature, n=responses, temperature=SynthesizeConfig.temperature)


def _items(base: LoadedBase, n: int) -> list[TokenItem]:
    """`n` items spread over the lengths."""
    own = [item for anchor in load_anchors() for item in anchor.items]
    fitting = token_items(own, base.prompt, stop_id=base.end_id, max_tokens=ItemsConfig.max_tokens)
    return middling(fitting, n)


def _of_step(base: LoadedBase, items: Sequence[TokenItem], config: FinetuneConfig, at_once: int | None = None) -> float:
    """Seconds of one optimizer step of as many adapters as there are items."""
    bank = new_bank(base, config, n_adapters=len(items), seed=0)
    started = time.perf_counter()
    train(base, bank, [[items]], config, at_once=at_once)
    return time.perf_counter() - started


def _of_gradients(base: LoadedBase, items: Sequence[TokenItem], batch: int) -> float:
    """Seconds of all items' gradients, so many in one backward pass."""
    config = AttributeConfig(batch=batch, warmup_samples=batch)
    bank = AdapterBank(base.model, device=base.device)
    warm_up(base, bank, items[:batch], config, seed=0)
    started = time.perf_counter()
    for block in blocks(items, batch):
        sample_gradients(base, bank, block, config, seed=0)
    return time.perf_counter() - started
