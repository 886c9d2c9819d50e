"""From items in text to items in tokens, with the very prompts that are served: half words are written anew, too."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from spa_lsp.errors import BadInput
from spa_lsp.lm.load import BaseTokens, LoadedBase
from spa_lsp.prompt import PromptTokens, encode_text, infill_prompt, instruct_prompt
from spa_lsp.text.healing import heal
from trainer.configs import ItemsConfig
from trainer.data.samples import Item, Sample, make_items, split_holdout


@dataclass(frozen=True, kw_only=True)
class TokenItem:
    """One training item in tokens; the completion ends with the stop token."""

    item_id: str
    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    weight: float = 1.0  # its loss counts so many times

    @property
    def n_tokens(self) -> int:
        """Prompt and completion together."""
        return len(self.prompt) + len(self.completion)


@dataclass(frozen=True, kw_only=True)
class PartItems:
    """The token items of one part: those trained on, and those of its held-out samples."""

    train: tuple[TokenItem, ...]
    held: tuple[TokenItem, ...]


def part_items(
    samples: Sequence[Sample], base: LoadedBase | BaseTokens, config: ItemsConfig, *, n_held: int, seed: int
) -> PartItems:
    """The items of a part's samples, of which `n_held` samples (at most a fifth) are held out.

    Samples of weight 0 are neither learned nor held out.
    """
    wanted = [sample for sample in samples if sample.weight > 0]
    kept, held = split_holdout(wanted, config=replace(config, holdout=n_held), seed=seed)

    def tokens_of(sample: Sample) -> list[TokenItem]:
        made = token_items(
            make_items(sample, config=config, seed=seed),
            base.prompt,
            stop_id=base.end_id,
            max_tokens=config.max_tokens,
        )
        return [replace(item, weight=sample.weight) for item in made]

    return PartItems(
        train=tuple(item for sample in kept for item in tokens_of(sample)),
        held=tuple(item for sample in held for item in tokens_of(sample)[:1]),
    )


def with_equal_budget(items: Sequence[TokenItem]) -> list[TokenItem]:
    """The items with weights whose mean is 1: what counts more does so at the cost of the others."""
    mean = sum(item.weight for item in items) / len(items)
    return [replace(item, weight=item.weight / mean) for item in items]


def token_items(items: Iterable[Item], tokens: PromptTokens, *, stop_id: int, max_tokens: int) -> list[TokenItem]:
    """The items that fit into `max_tokens`, prompt and completion together; others are left out, never cut.

    Every completion ends with the stop token: knowing when to stop is half of what an adapter learns.
    """
    found = [_token_item(item, tokens, stop_id) for item in items]
    return [item for item in found if item.n_tokens <= max_tokens]


def check_layouts(base: LoadedBase | BaseTokens, config: ItemsConfig) -> None:
    """Refuse infill items for a base that cannot infill.

    Raises:
        BadInput: it has no infill tokens.
    """
    if base.prompt.fim_middle is None and config.infill_share > 0:
        raise BadInput(f"{base.base_id} cannot infill; pass --infill-share 0 or choose another base with --base")


def _token_item(item: Item, tokens: PromptTokens, stop_id: int) -> TokenItem:
    unlimited = 1 << 20  # the limit applies to the whole item, above
    if item.layout == "infill":
        text = heal(tokens, item.prefix, item.begun)
        prompt = infill_prompt(tokens, text.prefix, item.suffix, max_tokens=unlimited, begun=text.begun)
        completion = text.owed + item.completion
    else:
        prompt = instruct_prompt(tokens, item.prefix, max_tokens=unlimited, begun=item.begun)
        completion = item.completion
    return TokenItem(item_id=item.id, prompt=tuple(prompt), completion=(*encode_text(tokens, completion), stop_id))
