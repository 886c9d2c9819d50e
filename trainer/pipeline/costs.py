"""What the stages cost on this machine, measured on a few of the samples that they will work on."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from spa_lsp.errors import BadInput
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.load import BaseTokens, LoadedBase, load_base, load_tokens
from spa_lsp.progress import progress
from trainer.attribute.anchors import Anchor
from trainer.attribute.gradients import sample_gradients, warm_up
from trainer.attribute.stage import anchor_items
from trainer.configs import BASE_METHODS, AttributeConfig, FinetuneConfig, ItemsConfig
from trainer.data.items import TokenItem, check_layouts, token_items
from trainer.data.samples import Sample, make_items, spread
from trainer.pipeline.request import RunRequest
from trainer.train.group_work import new_bank
from trainer.train.loss import adapter_losses, base_losses
from trainer.train.memory import adapters_at_once
from trainer.train.training import train

_MAX_SAMPLES = 64  # whose items are looked at


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds of loading the base, and of one optimizer step of all adapters; of one item the seconds of what is done.

    A warm-up sees longer items than those that get a gradient; anchors have items of their own. Where the method asks
    no base, what is only of gradients is 0.
    """

    load_s: float
    warm_up_s: float
    gradient_s: float
    gradient_share: float  # of the samples, that are short enough for one
    anchor_s: float
    step_s: float
    held_out_s: float


def measure_costs(samples: Sequence[Sample], anchors: Sequence[Anchor], request: RunRequest) -> Costs:
    """Load the base, take one batch of gradients and a pass of a step, each on items of middling length, and time them.

    Each is done before, a pass on the shortest items: the first time also pays for what torch prepares.

    Raises:
        BadInput: the base cannot infill and items or anchors ask for it, or no item fits.
    """
    attribute, finetune = request.attribute, request.finetune
    k, seed = request.partition.k, request.seed
    tokens = load_tokens(request.base_id)
    own = _items_of_samples(spread(samples, _MAX_SAMPLES), tokens, request.items, seed)
    is_base_asked = attribute.method in BASE_METHODS
    of_anchors = [item for anchor in anchors for item in anchor_items(anchor, tokens)] if is_base_asked else []
    with progress("measure this machine", 4, "stages") as shown:
        started = time.perf_counter()
        base = load_base(request.base_id, is_training=True)
        load_s = time.perf_counter() - started
        shown.advance()
        shortest = [min(each, key=lambda item: item.n_tokens) for each in own if each]
        short = [item for item in shortest if item.n_tokens <= attribute.max_tokens]
        asked = short or shortest
        warm_up_s = gradient_s = anchor_s = 0.0
        if is_base_asked:
            warm_up_s, gradient_s, anchor_s = _gradient_seconds(base, asked, [asked, of_anchors], attribute, seed)
        shown.advance()
        bank = new_bank(base, finetune, n_adapters=k, seed=seed)
        fitting = [item for each in own for item in each]
        widest = sorted(fitting, key=lambda item: item.n_tokens)[-k:]
        at_once = finetune.at_once or adapters_at_once(base, bank, widest, finetune.activation)
        every, brief = middling(fitting, k), [min(fitting, key=lambda item: item.n_tokens)] * k
        train_pass = partial(_train_pass, base, bank, finetune, at_once)
        train_pass(brief)  # pays for what torch prepares; the pass that counts takes a minute on a slow machine
        step_s = finetune.accumulate * _seconds(lambda: train_pass(every))
        shown.advance()
        one = every[len(every) // 2]
        held_out_s = _second(lambda: (adapter_losses(base, bank, one, finetune.activation), base_losses(base, [one])))
        shown.advance()
    return Costs(
        load_s=load_s,
        warm_up_s=warm_up_s,
        gradient_s=gradient_s,
        gradient_share=len(short) / len(own),
        anchor_s=anchor_s,
        step_s=step_s,
        held_out_s=held_out_s,
    )


def _items_of_samples(
    samples: Sequence[Sample], tokens: BaseTokens, config: ItemsConfig, seed: int
) -> list[list[TokenItem]]:
    """The items of each sample that fit; some have none."""
    check_layouts(tokens, config)
    made = (make_items(sample, config=config, seed=seed) for sample in samples)
    fitting = [token_items(own, tokens.prompt, stop_id=tokens.end_id, max_tokens=config.max_tokens) for own in made]
    if not any(fitting):
        raise BadInput(
            f"none of {len(samples)} samples has an item of at most {config.max_tokens} tokens; raise --max-tokens"
        )
    return fitting


def _gradient_seconds(
    base: LoadedBase,
    warm: Sequence[TokenItem],
    kinds: Sequence[Sequence[TokenItem]],
    config: AttributeConfig,
    seed: int,
) -> list[float]:
    """Seconds of an item in the warm-up, then those of a gradient of each kind of items."""
    bank = AdapterBank(base.model, device=base.device)
    found = [_second(lambda: warm_up(base, bank, middling(warm, config.batch), config, seed=seed))]
    for kind in kinds:
        items = middling(kind, config.batch)
        found.append(_second(partial(sample_gradients, base, bank, items, config, seed=seed)))
    return [seconds / config.batch for seconds in found]


def _train_pass(
    base: LoadedBase, bank: AdapterBank, config: FinetuneConfig, at_once: int, items: Sequence[TokenItem]
) -> None:
    """The pass of a step, in which each adapter has one of the items."""
    train(base, bank, [[items]], config, at_once=at_once)


def _second(work: Callable[[], object]) -> float:
    """Seconds of the second run."""
    work()
    return _seconds(work)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def middling(items: Sequence[TokenItem], n: int) -> list[TokenItem]:
    """`n` items spread over the lengths; some twice where there are fewer."""
    ordered = sorted(items, key=lambda item: item.n_tokens)
    return [ordered[len(ordered) * place // n] for place in range(n)]
