"""The loss of training items under the adapters of a bank: item i on row i. Knows no stages and no store."""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor
from transformers import DynamicCache

from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.forward import forward
from spa_lsp.lm.load import LoadedBase
from trainer.configs import Activation
from trainer.data.items import TokenItem

# Rows of a product that are computed together: in another place of a tile, sums come out in another order. Where every
# row of a batch fills whole tiles it is computed alike, whatever stands beside it.
_TILE = 8

_Count = TypeVar("_Count", int, Tensor)


def item_losses(
    base: LoadedBase,
    bank: AdapterBank,
    items: Sequence[TokenItem],
    activation: Activation,
    *,
    among: Sequence[TokenItem] = (),
    rows: slice | None = None,
) -> Tensor:
    """Mean nats per completion token of each item, `[B]`; differentiable in the bank's adapters.

    With `completion` the prompt is seen by the base alone, without a graph, and the adapters act from the last prompt
    token on, exactly as they are served; with `all` they act on every token. The mean is taken per item: a mean over
    the batch would scale the gradient of each item by the lengths of its neighbours.

    Args:
        base: the frozen base.
        bank: holds the adapters.
        items: one for each adapter.
        activation: where the adapters act.
        among: items to whose widths all are padded, these included; by default these alone. With the same widths a row
            comes out the same, bit for bit, whatever other rows are beside it (float32 on a CPU; other kernels may
            choose their order of sums by the number of rows).
        rows: the adapters that the items are for; by default all.
    """
    losses = _losses_all if activation == "all" else _losses_completion
    return losses(base, bank, items, among or items, rows)


def adapter_losses(
    base: LoadedBase, bank: AdapterBank, item: TokenItem, activation: Activation, rows: slice | None = None
) -> Tensor:
    """Mean nats per completion token of one item under each adapter (of `rows`), `[K]`; the prompt is computed once."""
    K = len(range(bank.n_adapters)[rows or slice(None)])
    with torch.no_grad():
        if activation == "all":
            return item_losses(base, bank, [item] * K, activation, rows=rows)
        n_layers = base.n_layers
        prompt = KeyValues(n_layers)
        forward(base, torch.tensor([item.prompt[:-1]], device=base.device), prompt)
        own = KeyValues(n_layers, prefix=prompt)
        inputs = torch.tensor([[item.prompt[-1], *item.completion[:-1]]] * K, device=base.device)
        with bank.on(rows):
            hidden = forward(base, inputs, own)
        return _mean_nats(base, hidden, _pad([item.completion] * K, base.device))


def base_losses(base: LoadedBase, items: Sequence[TokenItem]) -> Tensor:
    """The same under the base alone, `[B]`."""
    with torch.no_grad():
        inputs, targets = _all_tokens(items, base.device)
        hidden = base.decoder(input_ids=inputs, use_cache=False).last_hidden_state
        return _mean_nats(base, hidden, targets)


def _losses_completion(
    base: LoadedBase, bank: AdapterBank, items: Sequence[TokenItem], among: Sequence[TokenItem], rows: slice | None
) -> Tensor:
    n_prompt = _whole_tiles(max(len(item.prompt) - 1 for item in among))
    n_completion = _whole_tiles(max(len(item.completion) for item in among))
    heads = [item.prompt[:-1] for item in items]
    n_heads = torch.tensor([len(head) for head in heads], device=base.device)
    is_shared = len(heads) > 1 and len(set(heads)) == 1  # every adapter sees this item
    with torch.no_grad():
        cache = DynamicCache(config=base.model.config)
        seen = _pad(heads[:1] if is_shared else heads, base.device, width=n_prompt)
        base.decoder(input_ids=seen, past_key_values=cache, use_cache=True)
        if is_shared:
            cache.batch_repeat_interleave(len(heads))
    inputs = _pad([(item.prompt[-1], *item.completion[:-1]) for item in items], base.device, width=n_completion)
    targets = _pad([item.completion for item in items], base.device, fill=-100, width=n_completion)
    positions = n_heads[:, None] + torch.arange(inputs.shape[1], device=base.device)
    mask = _completion_mask(n_heads, n_prompt=n_prompt, n_completion=n_completion)
    with bank.on(rows):
        hidden = base.decoder(
            input_ids=inputs, position_ids=positions, past_key_values=cache, use_cache=True, attention_mask=mask
        ).last_hidden_state
    return _mean_nats(base, hidden, targets)


def _losses_all(
    base: LoadedBase, bank: AdapterBank, items: Sequence[TokenItem], among: Sequence[TokenItem], rows: slice | None
) -> Tensor:
    inputs, targets = _all_tokens(items, base.device, width=_whole_tiles(max(item.n_tokens for item in among) - 1))
    with bank.on(rows):
        hidden = base.decoder(input_ids=inputs, use_cache=False).last_hidden_state
    return _mean_nats(base, hidden, targets)


def _all_tokens(items: Sequence[TokenItem], device: str, *, width: int | None = None) -> tuple[Tensor, Tensor]:
    """Inputs and targets `[B, S]`; -100 where nothing is learned."""
    inputs = _pad([(*item.prompt, *item.completion[:-1]) for item in items], device, width=width)
    marked = [(*[-100] * (len(item.prompt) - 1), *item.completion) for item in items]
    return inputs, _pad(marked, device, fill=-100, width=width)


def _completion_mask(n_heads: Tensor, *, n_prompt: int, n_completion: int) -> Tensor:
    """True where a completion token may look, `[B, 1, C, P + C]`: its own prompt without padding, and backwards."""
    prompt = torch.arange(n_prompt, device=n_heads.device)[None, :] < n_heads[:, None]  # [B, P]
    own = torch.ones(n_completion, n_completion, dtype=torch.bool, device=n_heads.device).tril()
    B = len(n_heads)
    return torch.cat(
        [prompt[:, None, :].expand(B, n_completion, n_prompt), own.expand(B, n_completion, n_completion)], dim=-1
    )[:, None]


def _mean_nats(base: LoadedBase, hidden: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy per row over the targets that are not -100; the head sees those positions and fills up a tile."""
    is_target = targets != -100  # [B, S]
    n_targets = is_target.sum(1)
    places = torch.arange(targets.shape[1], device=targets.device)
    is_seen = places < _whole_tiles(n_targets)[:, None]
    columns = is_target.int().argsort(dim=1, descending=True, stable=True)[
        is_seen
    ]  # of each row its targets come first
    rows = torch.arange(len(targets), device=targets.device)[:, None].expand_as(targets)[is_seen]
    nats = torch.nn.functional.cross_entropy(
        base.logits(hidden[rows, columns]), targets[rows, columns], reduction="none"
    )
    return torch.zeros(len(targets), device=targets.device).index_add(0, rows, nats) / n_targets


def _whole_tiles(n: _Count) -> _Count:
    return -(-n // _TILE) * _TILE


def _pad(rows: Sequence[Sequence[int]], device: str, *, fill: int = 0, width: int | None = None) -> Tensor:
    width = width or max(len(row) for row in rows)
    return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows], device=device)
