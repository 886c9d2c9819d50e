"""Embeddings: the mean hidden state of a completion's tokens in the base; no adapter, no gradient."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from spa_lsp.lm.load import LoadedBase
from trainer.attribute.cosine import cosine
from trainer.data.items import TokenItem

Layer = Literal["middle", "last"]


def embeddings(base: LoadedBase, items: Sequence[TokenItem], layer: Layer) -> Tensor:
    """`[B, 1, D]` in float32 on the CPU: each completion after its prompt, the stop token left out.

    `last` is after the final norm, `middle` what half of the layers have made.
    """
    rows = [(*item.prompt, *item.completion) for item in items]
    width = max(map(len, rows))
    inputs = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=base.device)
    with torch.no_grad():  # what is padded stands behind: nothing looks at it
        made = base.decoder(input_ids=inputs, use_cache=False, output_hidden_states=layer == "middle")
    hidden = made.last_hidden_state if layer == "last" else made.hidden_states[base.n_layers // 2]
    means = [
        hidden[n, len(item.prompt) : len(item.prompt) + max(1, len(item.completion) - 1)].float().mean(0)
        for n, item in enumerate(items)
    ]
    return torch.stack(means)[:, None].cpu()


def embedding_influence(train: Tensor, query: Tensor) -> Tensor:
    """The cosine of sample and query, `[N, Q]`, both less the samples' mean, which all hidden states have in common."""
    mean = train.mean(dim=0)
    return cosine(train - mean, query - mean)
