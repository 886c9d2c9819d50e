"""One pass of the base over the next tokens of some rows, and a clock that waits for the device."""

import time

import torch

from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.load import LoadedBase


def forward(base: LoadedBase, ids: torch.Tensor, key_values: KeyValues) -> torch.Tensor:
    """Hidden states `[B, T, D]` of the next T tokens of every row; their keys and values are added."""
    T = ids.shape[1]
    positions = key_values.next_positions(T).to(ids.device).expand(ids.shape)
    next_states = base.step if T == 1 and base.step is not None else base.hidden_states
    hidden = next_states(ids, positions, key_values)
    key_values.advance(T)
    return hidden


def device_clock(base: LoadedBase) -> float:
    """Seconds, read when the device has done all that it was asked for."""
    if base.device == "cuda":
        torch.cuda.synchronize()  # its kernels run on after the call: their time would go to the next phase
    return time.perf_counter()
