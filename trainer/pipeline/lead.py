"""The lead of a set, the adapter whose greedy completion is shown first: one of the k, their mean, or the base alone.

Mean and base are rows of their own, called `lead` and last of all, so that the others draw what they drew without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from safetensors.torch import load, save
from torch import Tensor

from spa_lsp.adapters.manifest import AdapterInfo, AdapterSet
from spa_lsp.adapters.writing import describe_adapter
from spa_lsp.errors import BadInput
from trainer.train.starting import BASE_LABEL, LEAD, lead_row

MEAN, BASE = "mean", "base"


def with_lead(
    adapter_set: AdapterSet, files: Mapping[str, bytes], of: str
) -> tuple[AdapterSet, dict[str, bytes], float]:
    """The set with another lead, its adapters' bytes by name, and how much of what was asked for the lead has.

    Args:
        adapter_set: a row that it has been given before goes, and is no part of the mean.
        files: of all its adapters.
        of: `mean`, `base`, or the name of one of its adapters.

    Raises:
        BadInput: it has no such adapter, or one of its own has the name that the row would have.
    """
    own = [info for info in adapter_set.adapters if info.name != lead_row(adapter_set)]
    kept = {info.name: files[info.name] for info in own}
    if of not in (MEAN, BASE):
        if of not in kept:
            raise BadInput(f"{adapter_set.name} has no adapter {of!r}; choose {MEAN}, {BASE} or {', '.join(kept)}")
        return replace(adapter_set, adapters=tuple(own), lead=of), kept, 1.0
    if LEAD in kept:
        raise BadInput(f"an adapter of {adapter_set.name} is named {LEAD} itself; choose one of {', '.join(kept)}")
    adapters = [load(data) for data in kept.values()]
    made, share = mean_adapter(adapters, adapter_set.rank) if of == MEAN else (_nothing(adapters[0]), 1.0)
    kept[LEAD] = save({name: tensor.contiguous() for name, tensor in made.items()})
    info = _describe(kept[LEAD], of, n_adapters=len(own), share=share)
    return replace(adapter_set, adapters=(*own, info), lead=LEAD), kept, share


def mean_adapter(adapters: Sequence[Mapping[str, Tensor]], rank: int) -> tuple[dict[str, Tensor], float]:
    """The mean of the products B A in as few ranks as a set's adapters have, and the share of it that this keeps.

    The best approximation there is (Eckart-Young), linear by linear. The share is that of the squared Frobenius norm,
    over all linears; it is 1 where `rank` is at least the sum of theirs.
    """
    found: dict[str, Tensor] = {}
    kept = whole = 0.0
    for name in (key.removesuffix("lora_A.weight") for key in adapters[0] if key.endswith("lora_A.weight")):
        down = torch.cat([own[f"{name}lora_A.weight"].float() for own in adapters])  # [K*R, D]
        up = torch.cat([own[f"{name}lora_B.weight"].float() for own in adapters], 1) / len(adapters)  # [N, K*R]
        left, inner_left = torch.linalg.qr(up)
        right, inner_right = torch.linalg.qr(down.T)
        U, S, Vh = torch.linalg.svd(inner_left @ inner_right.T, full_matrices=False)
        root = S[:rank].sqrt()
        dtype = adapters[0][f"{name}lora_A.weight"].dtype
        found[f"{name}lora_A.weight"] = (root[:, None] * (Vh[:rank] @ right.T)).to(dtype)
        found[f"{name}lora_B.weight"] = ((left @ U[:, :rank]) * root).to(dtype)
        kept, whole = kept + float((S[:rank] ** 2).sum()), whole + float((S**2).sum())
    return found, kept / whole if whole else 1.0


def _nothing(like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An adapter that changes nothing: the base, in a row among adapters."""
    return {name: torch.zeros_like(tensor) for name, tensor in like.items()}


def _describe(data: bytes, of: str, *, n_adapters: int, share: float) -> AdapterInfo:
    if of == BASE:
        return describe_adapter(LEAD, data, label=BASE_LABEL)
    figures = {"n_adapters": n_adapters, "share": round(share, 4)}
    return describe_adapter(LEAD, data, label=f"mean of {n_adapters} adapters", figures=figures)
