"""Which token comes next, by the logits `[n, V]` of n rows: the likeliest, or one that is drawn.

A vocabulary has 150,000 tokens: torch's logsumexp, argmax and topk over it took a tenth of a step with 8 rows. Here
they look at the largest of each block first, or at a softmax, which is several times faster.
"""

import torch
from torch import Tensor

from spa_lsp.text.branching import N_CHOICES, Choice

# Sorting a vocabulary takes longer than the layers do for a row; a few tokens usually have it all.
FEW_TOKENS = 256
_BLOCK = 64  # of a vocabulary; most are a multiple of it


def log_sums(logits: Tensor) -> Tensor:
    """Logarithm of the sum of exponentials, `[n]`; not finite if a logit is NaN or infinite, or all are -inf."""
    return logits.amax(-1) - torch.softmax(logits, -1).amax(-1).log()


def argmax(logits: Tensor) -> Tensor:
    """The likeliest token of every row, `[n]`; of equal ones the first."""
    if logits.shape[-1] % _BLOCK:
        return logits.argmax(-1)
    blocks = logits.reshape(len(logits), -1, _BLOCK)
    block = blocks.amax(-1).argmax(-1)
    return block * _BLOCK + blocks[torch.arange(len(logits), device=logits.device), block].argmax(-1)


def likeliest(logits: Tensor, n_tokens: int) -> tuple[Tensor, Tensor]:
    """The largest logits of every row, the largest first, and their tokens, `[n, n_tokens]` or the whole vocabulary."""
    if logits.shape[-1] % _BLOCK or logits.shape[-1] <= n_tokens * _BLOCK:
        values, tokens = logits.topk(min(n_tokens, logits.shape[-1]))
        return values, tokens
    blocks = logits.reshape(len(logits), -1, _BLOCK)
    places = blocks.amax(-1).topk(n_tokens).indices  # nothing outside of these blocks is among the largest
    values, at = blocks.gather(1, places[:, :, None].expand(-1, -1, _BLOCK)).flatten(1).topk(n_tokens)
    return values, places.gather(1, at // _BLOCK) * _BLOCK + at % _BLOCK


def choices_of(logits: Tensor, log_sum: float) -> list[Choice[int]]:
    """The likeliest tokens by the logits `[V]` of one row."""
    values, tokens = (found[0].tolist() for found in likeliest(logits[None], N_CHOICES))
    return [Choice(token=token, logprob=value - log_sum) for value, token in zip(values, tokens, strict=True)]


def draw(logits: Tensor, temperatures: Tensor, top_p: Tensor, randoms: Tensor) -> tuple[Tensor, Tensor]:
    """One token of every row from the fewest that have `top_p` of the probability, by its random number in 0 to 1.

    And whether the likeliest few, which are all that is looked at, do not have so much: then the token is a wrong one.
    """
    scaled = logits / temperatures.clamp(min=1e-6)[:, None]
    top, order = likeliest(scaled, FEW_TOKENS)
    top = (top - log_sums(scaled)[:, None]).exp()
    is_inside = _is_inside(top, top_p[:, None])
    cumulative = (top * is_inside).cumsum(-1)
    wanted = randoms[:, None] * cumulative[:, -1:]
    places = torch.searchsorted(cumulative, wanted, right=True).clamp(max=is_inside.sum(-1, keepdim=True) - 1)
    return order.gather(1, places.clamp(min=0))[:, 0], is_inside[:, -1]


def draw_of_all(logits: Tensor, temperature: float, top_p: float, random: float) -> int:
    """As `draw` of one row's logits `[V]`, all of which are sorted."""
    top, tokens = torch.softmax(logits / temperature, -1).sort(descending=True)
    cumulative = top[_is_inside(top, top_p)].cumsum(0)
    place = int(torch.searchsorted(cumulative, random * cumulative[-1], right=True))
    return int(tokens[min(place, len(cumulative) - 1)])


def _is_inside(top: Tensor, top_p: Tensor | float) -> Tensor:
    return (top.cumsum(-1) - top < top_p) & (top > 0)  # where text is owed most tokens have none
