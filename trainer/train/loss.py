"""The loss of training items under the adapters of a bank: item i on row i. Knows no stages and no store."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.forward import forward
from spa_lsp.lm.load import LoadedBase
from trainer.configs import Activation
from trainer.data.items import TokenItem


def item_losses(base: LoadedBase, bank: AdapterBank, items: Sequence[TokenItem], activation: Activation) -> Tensor:
    """Mean nats per completion token of each item, `[B]`; differentiable in the bank's adapters.

    With `completion` the prompt is seen by the base alone, without a graph, and the adapters act from the last prompt
    token on, exactly as they are served; with `all` they act on every token. The mean is taken per item: a mean over
    the batch would scale the gradient of each item by the lengths of its neighbours.
    """
    if activation == "all":
        return _losses_all(base, bank, items)
    return _losses_completion(base, bank, items)


def adapter_losses(base: LoadedBase, bank: AdapterBank, item: TokenItem, activation: Activation) -> Tensor:
    """Mean nats per completion token of one item under each adapter, `[K]`; the prompt is computed once."""
    K = bank.n_adapters
    with torch.no_grad():
        if activation == "all":
            return item_losses(base, bank, [item] * K, activation)
        n_layers = base.n_layers
        prompt = KeyValues(n_layers)
        forward(base, torch.tensor([item.prompt[:-1]], device=base.device), prompt)
        rows = KeyValues(n_layers, prefix=prompt)
        inputs = torch.tensor([[item.prompt[-1], *item.completion[:-1]]] * K, device=base.device)
        with bank.on():
            hidden = forward(base, inputs, rows)
        return _mean_nats(base, hidden, _pad([item.completion] * K, base.device))


def base_losses(base: LoadedBase, items: Sequence[TokenItem]) -> Tensor:
    """The same under the base alone, `[B]`."""
    with torch.no_grad():
        inputs, targets = _all_tokens(items, base.device)
        hidden = base.decoder(input_ids=inputs, use_cache=False).last_hidden_state
        return _mean_nats(base, hidden, targets)


def _losses_completion(base: LoadedBase, bank: AdapterBank, items: Sequence[TokenItem]) -> Tensor:
    heads = [item.prompt[:-1] for item in items]
    n_heads = torch.tensor([len(head) for head in heads], device=base.device)
    with torch.no_grad():
        cache = DynamicCache(config=base.model.config)
        base.decoder(input_ids=_pad(heads, base.device), past_key_values=cache, use_cache=True)
    inputs = _pad([(item.prompt[-1], *item.completion[:-1]) for item in items], base.device)
    targets = _pad([item.completion for item in items], base.device, fill=-100)
    positions = n_heads[:, None] + torch.arange(inputs.shape[1], device=base.device)
    mask = _completion_mask(n_heads, n_prompt=int(n_heads.max()), n_completion=inputs.shape[1])
    with bank.on():
        hidden = base.decoder(
            input_ids=inputs, position_ids=positions, past_key_values=cache, use_cache=True, attention_mask=mask
        ).last_hidden_state
    return _mean_nats(base, hidden, targets)


def _losses_all(base: LoadedBase, bank: AdapterBank, items: Sequence[TokenItem]) -> Tensor:
    inputs, targets = _all_tokens(items, base.device)
    with bank.on():
        hidden = base.decoder(input_ids=inputs, use_cache=False).last_hidden_state
    return _mean_nats(base, hidden, targets)


def _all_tokens(items: Sequence[TokenItem], device: str) -> tuple[Tensor, Tensor]:
    """Inputs and targets `[B, S]`; -100 where nothing is learned."""
    inputs = _pad([(*item.prompt, *item.completion[:-1]) for item in items], device)
    targets = _pad([(*[-100] * (len(item.prompt) - 1), *item.completion) for item in items], device, fill=-100)
    return inputs, targets


def _completion_mask(n_heads: Tensor, *, n_prompt: int, n_completion: int) -> Tensor:
    """True where a completion token may look, `[B, 1, C, P + C]`: its own prompt without padding, and backwards."""
    prompt = torch.arange(n_prompt, device=n_heads.device)[None, :] < n_heads[:, None]  # [B, P]
    own = torch.ones(n_completion, n_completion, dtype=torch.bool, device=n_heads.device).tril()
    B = len(n_heads)
    return torch.cat(
        [prompt[:, None, :].expand(B, n_completion, n_prompt), own.expand(B, n_completion, n_completion)], dim=-1
    )[:, None]


def _mean_nats(base: LoadedBase, hidden: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy per row over the targets that are not -100; the head sees only those positions."""
    is_target = targets != -100  # [B, S]
    logits = base.logits(hidden[is_target])
    nats = torch.nn.functional.cross_entropy(logits, targets[is_target], reduction="none")
    rows = torch.arange(len(targets), device=targets.device)[:, None].expand_as(targets)[is_target]
    sums = torch.zeros(len(targets), device=targets.device).index_add(0, rows, nats)
    return sums / is_target.sum(1)


def _pad(rows: Sequence[Sequence[int]], device: str, *, fill: int = 0) -> Tensor:
    width = max(len(row) for row in rows)
    return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows], device=device)
