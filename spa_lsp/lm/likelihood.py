"""How likely a given text is after a prompt, under every adapter: nothing is chosen or generated here.

Adapters act from the prompt's last token on, as they are served (`activation: completion`), or on all of it (`all`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.forward import forward
from spa_lsp.lm.load import LoadedBase

_BLOCK = 16  # places whose logits are held at once: 8 adapters x 16 x 150,000 tokens are 78 MB


def next_token_logprobs(
    base: LoadedBase,
    bank: AdapterBank | None,
    prompt: Sequence[int],
    continuation: Sequence[int],
    *,
    is_shared: bool = True,
    known: KeyValues | None = None,
) -> Iterator[Tensor]:
    """Log-probabilities of the token at each place of the continuation, in blocks `[K, T, V]` of at most 16 places.

    All but the head runs before this returns, so that `known` may change as soon as it has.

    Args:
        base: the base.
        bank: its adapters, all of them, K; None: the base alone, and K is 1.
        prompt: at least one token.
        continuation: what stands behind it; the last token is predicted, but never fed.
        is_shared: the adapters leave the prompt alone, which is then computed once.
        known: keys and values of all but the prompt's last token under the base, where they are at hand.
    """
    K = bank.n_adapters if bank else 1
    if bank:
        bank.select(None)
    if not continuation:
        return iter(())
    with torch.inference_mode():
        hidden = _hidden(base, bank, prompt, continuation, K=K, is_shared=is_shared, known=known)  # [K, T, D]
    return _blocks(base, hidden)


def _blocks(base: LoadedBase, hidden: Tensor) -> Iterator[Tensor]:
    for start in range(0, hidden.shape[1], _BLOCK):
        with torch.inference_mode():  # inside the loop: the caller's code between two blocks is not ours
            block = torch.log_softmax(base.logits(hidden[:, start : start + _BLOCK]), dim=-1)
        yield block


def log_likelihoods(
    base: LoadedBase,
    bank: AdapterBank | None,
    choices: Sequence[tuple[Sequence[int], Sequence[int]]],
    *,
    is_shared: bool = True,
    know: Callable[[Sequence[int]], KeyValues] | None = None,
) -> Tensor:
    """Log-probability of each choice's continuation after its prompt, `[K, choices]`, in nats, not per token.

    `know` gives what `known` is in `next_token_logprobs`, for a prompt.
    """
    columns = []
    for prompt, continuation in choices:
        known = know(prompt) if know else None
        blocks = next_token_logprobs(base, bank, prompt, continuation, is_shared=is_shared, known=known)
        logprobs = torch.cat([_chosen(block, continuation, n * _BLOCK) for n, block in enumerate(blocks)], dim=1)
        columns.append(logprobs.sum(1))
    return torch.stack(columns, dim=1)


def _chosen(block: Tensor, continuation: Sequence[int], start: int) -> Tensor:
    """Of a block `[K, T, V]` the log-probability of the token that stands at each place, `[K, T]`."""
    tokens = torch.tensor(continuation[start : start + block.shape[1]], device=block.device)
    return block.gather(2, tokens[None, :, None].expand(len(block), -1, 1)).squeeze(2)


def _hidden(
    base: LoadedBase,
    bank: AdapterBank | None,
    prompt: Sequence[int],
    continuation: Sequence[int],
    *,
    K: int,
    is_shared: bool,
    known: KeyValues | None,
) -> Tensor:
    """What the head makes the continuation's tokens of, `[K, T, D]`."""
    n_layers = base.n_layers
    adapters = bank.on() if bank else nullcontext()
    if not is_shared:
        rows = torch.tensor([[*prompt, *continuation[:-1]]] * K, device=base.device)
        with adapters:
            return forward(base, rows, KeyValues(n_layers))[:, len(prompt) - 1 :]
    shared = known
    if shared is None and len(prompt) > 1:
        shared = KeyValues(n_layers)
        forward(base, torch.tensor([list(prompt[:-1])], device=base.device), shared)
    inputs = torch.tensor([[prompt[-1], *continuation[:-1]]] * K, device=base.device)
    with adapters:
        return forward(base, inputs, KeyValues(n_layers, prefix=shared))
