"""How fast prompts are on this machine: measured when a base has been loaded, then learned from what is read.

The measurement brings the weights into memory; what is learned follows the other programs that come and go.
"""

import torch

from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.forward import device_clock, forward
from spa_lsp.lm.load import LoadedBase

_TOKENS = 48  # a tenth or two of a second on two old cores
_RUNS = 2  # the better one counts: an editor that starts is busy with other things, too
_ENOUGH_TOKENS = 100  # fewer say more of what a call costs than of what a token does
_WEIGHT = 0.3  # of what is new: three chunks change two thirds of the figure
_LEAP = 4.0  # no chunk counts as more than so many times faster or slower: the machine may have slept
# A window that changes with every prompt would begin elsewhere in the text each time, and nothing would be cached.
_STEP = 1.25


class PromptSpeed:
    """Tokens of a prompt per second, with nothing cached."""

    def __init__(self, tokens_per_s: float = 0.0) -> None:
        self.tokens_per_s = tokens_per_s  # what windows are made by; 0: not known
        self._average = tokens_per_s

    def learn(self, n_tokens: int, seconds: float) -> None:
        """A chunk of a prompt was read; the figure follows when it is no longer about right.

        Chunks of prompts that were given up count, too: on a machine under load that may be all of them.
        """
        if n_tokens < _ENOUGH_TOKENS or seconds <= 0:
            return
        seen = n_tokens / seconds
        before = self._average or seen
        self._average = before + _WEIGHT * (min(max(seen, before / _LEAP), before * _LEAP) - before)
        if not self.tokens_per_s / _STEP < self._average < self.tokens_per_s * _STEP:
            self.tokens_per_s = self._average


def measure_prompt_speed(base: LoadedBase) -> PromptSpeed:
    """As it is now."""
    with torch.inference_mode():
        _run(base, 8)  # reads what is mapped, starts the threads
        return PromptSpeed(_TOKENS / min(_seconds(base) for _ in range(_RUNS)))


def _seconds(base: LoadedBase) -> float:
    started = device_clock(base)
    _run(base, _TOKENS)
    return max(device_clock(base) - started, 1e-9)


def _run(base: LoadedBase, n_tokens: int) -> None:
    ids = torch.full((1, n_tokens), base.end_id, device=base.device)
    hidden = forward(base, ids, KeyValues(base.n_layers, capacity=n_tokens))
    base.model.lm_head(hidden[:, -1])
