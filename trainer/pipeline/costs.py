"""What the stages cost on this machine, measured on a few of the samples that they will work on."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.load import LoadedBase, load_base
from spa_lsp.progress import progress
from trainer.attribute.gradients import sample_gradients, warm_up
from trainer.configs import AttributeConfig, FinetuneConfig, ItemsConfig
from trainer.data.items import TokenItem, token_items
from trainer.data.samples import Sample, make_items
from trainer.train.group_work import new_bank
from trainer.train.loss import adapter_losses, base_losses
from trainer.train.training import plan_steps, train

_MAX_SAMPLES = 64  # whose items are looked at


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds: of loading the base, and of one gradient, one optimizer step of all adapters, one held-out item."""

    load_s: float
    gradient_s: float
    step_s: float
    held_out_s: float


def measure_costs(
    samples: Sequence[Sample],
    attribute: AttributeConfig,
    finetune: FinetuneConfig,
    items: ItemsConfig,
    *,
    k: int,
    base_id: str,
    seed: int,
) -> Costs:
    """Load the base, take one batch of gradients and one step, each on items of middling length, and time them.

    Each is done twice and the second time counts: the first one also pays for what torch prepares.
    """
    with progress("measure this machine", 4, "stages") as shown:
        started = time.perf_counter()
        base = load_base(base_id, is_training=True)
        load_s = time.perf_counter() - started
        shown.advance()
        own = [_token_items(sample, base, items, seed) for sample in samples[:_MAX_SAMPLES]]
        shortest = [min(each, key=lambda item: item.n_tokens) for each in own if each]
        short = [item for item in shortest if item.n_tokens <= attribute.max_tokens] or shortest
        gradient_s = _gradient_seconds(base, _middling(short, attribute.batch), attribute, seed)
        shown.advance()
        bank = new_bank(base, finetune, n_adapters=k, seed=seed)
        every = _middling([item for each in own for item in each], k * finetune.accumulate)
        step_s = _second(lambda: _step(base, bank, every, finetune, seed))
        shown.advance()
        one = every[len(every) // 2]
        held_out_s = _second(lambda: (adapter_losses(base, bank, one, finetune.activation), base_losses(base, [one])))
        shown.advance()
    return Costs(load_s=load_s, gradient_s=gradient_s, step_s=step_s, held_out_s=held_out_s)


def _gradient_seconds(base: LoadedBase, items: list[TokenItem], config: AttributeConfig, seed: int) -> float:
    bank = AdapterBank(base.model, device=base.device)
    warm_up(base, bank, items, replace(config, warmup_samples=config.batch), seed=seed)
    return _second(lambda: sample_gradients(base, bank, items, config, seed=seed)) / len(items)


def _step(base: LoadedBase, bank: AdapterBank, items: list[TokenItem], config: FinetuneConfig, seed: int) -> None:
    shares = [items[row :: bank.n_adapters] for row in range(bank.n_adapters)]
    train(base, bank, plan_steps(shares, n_steps=1, accumulate=config.accumulate, seed=seed), config)


def _second(work: Callable[[], object]) -> float:
    """Seconds of the second run."""
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _middling(items: Sequence[TokenItem], n: int) -> list[TokenItem]:
    """`n` items spread over the lengths; some twice where there are fewer."""
    ordered = sorted(items, key=lambda item: item.n_tokens)
    return [ordered[len(ordered) * place // n] for place in range(n)]


def _token_items(sample: Sample, base: LoadedBase, config: ItemsConfig, seed: int) -> list[TokenItem]:
    made = make_items(sample, config=config, seed=seed)
    return token_items(made, base.prompt, stop_id=base.end_id, max_tokens=config.max_tokens)
