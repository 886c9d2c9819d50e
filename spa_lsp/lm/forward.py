"""One pass of the base over the next tokens of some rows, and a clock that waits for the device."""

import time

import torch

from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.load import LoadedBase


def forward(base: LoadedBase, ids: torch.Tensor, key_values: KeyValues) -> torch.Tensor:
    """Hidden states `[B, T, D]` of the next T tokens of every row; their keys and values are added."""
    T = ids.shape[1]
    positions = key_values.next_positions(T).to(ids.device).expand(ids.shape)
    hidden: torch.Tensor
    if T == 1 and base.step is not None:
        hidden = base.step(ids, positions, key_values)
    else:
        output = base.decoder(input_ids=ids, position_ids=positions, use_cache=False, key_values=key_values)
        hidden = output.last_hidden_state
    key_values.advance(T)
    return hidden


def device_clock(base: LoadedBase) -> float:
    """Seconds, read when the device has done all that it was asked for."""
    if base.device == "cuda":
        torch.cuda.synchronize()  # its kernels run on after the call: their time would go to the next phase
    return time.perf_counter()
