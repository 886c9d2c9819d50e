"""How many adapters fit into one pass: the bytes that one row keeps for its gradient, beside what is free."""

import logging
from collections.abc import Sequence

import psutil
import torch
from torch import Tensor

from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.load import LoadedBase
from trainer.configs import Activation
from trainer.data.items import TokenItem
from trainer.train.loss import item_losses

_SHARE = 0.5  # of the free memory; the rest is for what else runs, and for the holes that an allocator leaves
_TEMPORARIES = 2.0  # a backward pass needs up to as much again as it keeps

logger = logging.getLogger(__name__)


def adapters_at_once(
    base: LoadedBase, bank: AdapterBank, widest: Sequence[TokenItem], activation: Activation, *, free: int | None = None
) -> int:
    """As many adapters as fit into one pass over the largest micro-step; at least one.

    Args:
        base: the frozen base.
        bank: holds the adapters.
        widest: the micro-step with the most tokens, one item for each adapter.
        activation: where adapters act.
        free: bytes; None: what this device has now.
    """
    free = free_bytes(base.device) if free is None else free
    own = kept_bytes(base, bank, widest, activation) * _TEMPORARIES
    fitting = int(_SHARE * free / max(1.0, own))
    logger.info("one adapter needs %.0f MB in a pass, %.0f MB are free", own / 1e6, free / 1e6)
    if fitting < 1:
        logger.warning("one adapter in a pass may already need more memory than is free (%.0f MB)", free / 1e6)
    return min(bank.n_adapters, max(1, fitting))


def kept_bytes(base: LoadedBase, bank: AdapterBank, items: Sequence[TokenItem], activation: Activation) -> int:
    """What the first row of a micro-step, padded as among all, keeps for its gradient: measured by a pass forward."""
    known = {_place(tensor) for tensor in (*base.model.parameters(), *base.model.buffers())}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if _place(tensor) not in known:
            kept[_place(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        held = item_losses(base, bank, items[:1], activation, among=items, rows=slice(0, 1))
    del held  # a storage that is freed may give its place to another one, so not before
    return sum(kept.values())


def free_bytes(device: str) -> int:
    """Memory of a device that is free now."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info()[0])
    return int(psutil.virtual_memory().available)


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
