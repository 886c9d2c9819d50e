"""How fast prompts are on this machine, measured when a base has been loaded; which brings its weights into memory."""

import torch

from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.forward import device_clock, forward
from spa_lsp.lm.load import LoadedBase

_TOKENS = 64  # some tenths of a second on two old cores


def prompt_tokens_per_s(base: LoadedBase) -> float:
    """Tokens of a prompt per second, with nothing cached."""
    with torch.inference_mode():
        _run(base, 8)  # reads what is mapped, starts the threads
        started = device_clock(base)
        _run(base, _TOKENS)
        return _TOKENS / max(device_clock(base) - started, 1e-9)


def _run(base: LoadedBase, n_tokens: int) -> None:
    ids = torch.full((1, n_tokens), base.end_id, device=base.device)
    hidden = forward(base, ids, KeyValues(base.n_layers, capacity=n_tokens))
    base.model.lm_head(hidden[:, -1])
