"""From items in text to items in tokens, with the very prompts that are served: half words are written anew, too."""

from collections.abc import Iterable
from dataclasses import dataclass

from spa_lsp.errors import BadInput
from spa_lsp.lm.load import LoadedBase
from spa_lsp.prompt import PromptTokens, encode_text, infill_prompt, instruct_prompt
from spa_lsp.text.healing import heal
from trainer.configs import ItemsConfig
from trainer.data.samples import Item


@dataclass(frozen=True, kw_only=True)
class TokenItem:
    """One training item in tokens; the completion ends with the stop token."""

    item_id: str
    prompt: tuple[int, ...]
    completion: tuple[int, ...]

    @property
    def n_tokens(self) -> int:
        """Prompt and completion together."""
        return len(self.prompt) + len(self.completion)


def token_items(items: Iterable[Item], tokens: PromptTokens, *, stop_id: int, max_tokens: int) -> list[TokenItem]:
    """The items that fit into `max_tokens`, prompt and completion together; others are left out, never cut.

    Every completion ends with the stop token: knowing when to stop is half of what an adapter learns.
    """
    found = [_token_item(item, tokens, stop_id) for item in items]
    return [item for item in found if item.n_tokens <= max_tokens]


def check_layouts(base: LoadedBase, config: ItemsConfig) -> None:
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
