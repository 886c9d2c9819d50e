"""A few training steps of fresh adapters on whatever device the base is on, timed."""

import time
from dataclasses import dataclass, replace

from spa_lsp.bench.prompts import source_code
from trainer.configs import FinetuneConfig
from trainer.data.items import TokenItem
from trainer.train.group_work import new_bank
from trainer.train.training import plan_steps, train

_PROMPT_CHARACTERS, _COMPLETION_CHARACTERS = 800, 120  # some 200 and 30 tokens, as usual items


@dataclass(frozen=True)
class Trained:
    """What every step took, and the losses of its adapters in nats per token."""

    step_ms: list[float]
    losses: list[tuple[float, ...]]


def train_steps(base, *, n_adapters, n_steps, learning_rate=FinetuneConfig.learning_rate):
    """Train that many adapters at once, one item each per step, on code that is always at hand."""
    config = replace(FinetuneConfig(), learning_rate=learning_rate, warmup_steps=0, accumulate=1)
    items = [[_item(base, index)] for index in range(n_adapters)]
    plan = plan_steps(items, n_steps=n_steps, accumulate=1, seed=0)
    ends_s = [time.perf_counter()]
    bank = new_bank(base, config, n_adapters=n_adapters, seed=0)
    # a step's losses are read on the processor: it is over by then
    done = train(base, bank, plan, config, on_step=lambda _: ends_s.append(time.perf_counter()))
    step_ms = [(end - start) * 1000 for start, end in zip(ends_s, ends_s[1:], strict=False)]
    return Trained(step_ms=step_ms, losses=[state.losses for state in done])


def _item(base, index):
    code = source_code(4 * _PROMPT_CHARACTERS)[index * _COMPLETION_CHARACTERS :]
    prompt = base.prompt.encode(code[:_PROMPT_CHARACTERS])
    rest = base.prompt.encode(code[_PROMPT_CHARACTERS:][:_COMPLETION_CHARACTERS])
    room = base.model.config.max_position_embeddings - len(rest) - 1
    return TokenItem(item_id=str(index), prompt=tuple(prompt[-min(room, 300) :]), completion=(*rest, base.end_id))
