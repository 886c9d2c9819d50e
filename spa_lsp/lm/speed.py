"""How fast prompts are on this machine, measured when a base has been loaded; which brings its weights into memory."""

import torch

from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.forward import device_clock, forward
from spa_lsp.lm.load import LoadedBase

_TOKENS = 48  # a tenth or two of a second on two old cores
_RUNS = 2  # the better one counts: an editor that starts is busy with other things, too


def prompt_tokens_per_s(base: LoadedBase) -> float:
    """Tokens of a prompt per second, with nothing cached."""
    with torch.inference_mode():
        _run(base, 8)  # reads what is mapped, starts the threads
        return _TOKENS / min(_seconds(base) for _ in range(_RUNS))


def _seconds(base: LoadedBase) -> float:
    started = device_clock(base)
    _run(base, _TOKENS)
    return max(device_clock(base) - started, 1e-9)


def _run(base: LoadedBase, n_tokens: int) -> None:
    ids = torch.full((1, n_tokens), base.end_id, device=base.device)
    hidden = forward(base, ids, KeyValues(base.n_layers, capacity=n_tokens))
    base.model.lm_head(hidden[:, -1])
