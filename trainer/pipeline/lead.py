"""The lead of a set, the adapter whose greedy completion is shown first.

It is one of the k, their mean, the base alone, or an adapter of another set, as one trained on all samples. All but the
first are rows of their own, called `lead` and last of all, so that the others draw what they drew without it.
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
    own = _without_lead_row(adapter_set, files)
    if of not in (MEAN, BASE):
        if of not in own:
            choices = f"{MEAN}, {BASE}, {', '.join(own)}, or a set of one adapter"
            raise BadInput(f"{adapter_set.name} has no adapter {of!r}; choose {choices}")
        kept = tuple(info for info in adapter_set.adapters if info.name in own)
        return replace(adapter_set, adapters=kept, lead=of), own, 1.0
    _check_row_is_free(adapter_set, own)
    adapters = [load(data) for data in own.values()]
    made, share = mean_adapter(adapters, adapter_set.rank) if of == MEAN else (_nothing(adapters[0]), 1.0)
    data = save({name: tensor.contiguous() for name, tensor in made.items()})
    return *_with_row(adapter_set, own, _describe(data, of, n_adapters=len(own), share=share), data), share


def with_lead_of_another(
    adapter_set: AdapterSet, files: Mapping[str, bytes], other: AdapterSet, data: bytes
) -> tuple[AdapterSet, dict[str, bytes]]:
    """The set with the only adapter of another set as its lead, and its adapters' bytes by name.

    Args:
        adapter_set: a row that it has been given before goes.
        files: of all its adapters.
        other: of one adapter, made for the same base.
        data: of that adapter.

    Raises:
        BadInput: the two cannot be rows of one set, or an adapter has the name that the row would have.
    """
    if other.k != 1:
        raise BadInput(f"adapter set {other.name!r} has {other.k} adapters; only one of a single adapter can lead")
    for name in ("base_sha256", "tokenizer_sha256", "rank", "alpha", "target_modules", "activation"):
        ours, theirs = getattr(adapter_set, name), getattr(other, name)
        if set(ours) != set(theirs) if name == "target_modules" else ours != theirs:
            what = f"{name} {theirs!s:.40} and {adapter_set.name} has {ours!s:.40}"
            raise BadInput(f"adapter set {other.name!r} has {what}; train one like the set that it is to lead")
    own = _without_lead_row(adapter_set, files)
    _check_row_is_free(adapter_set, own)
    (only,) = other.adapters
    info = describe_adapter(LEAD, data, label=only.label, figures={**only.figures, "set": other.name})
    return _with_row(adapter_set, own, info, data)


def _without_lead_row(adapter_set: AdapterSet, files: Mapping[str, bytes]) -> dict[str, bytes]:
    made = lead_row(adapter_set)
    return {info.name: files[info.name] for info in adapter_set.adapters if info.name != made}


def _check_row_is_free(adapter_set: AdapterSet, own: Mapping[str, bytes]) -> None:
    """Refuse an adapter of its own that has the name of the row, before anything is computed."""
    if LEAD in own:
        raise BadInput(f"an adapter of {adapter_set.name} is named {LEAD} itself; choose one of {', '.join(own)}")


def _with_row(
    adapter_set: AdapterSet, own: Mapping[str, bytes], info: AdapterInfo, data: bytes
) -> tuple[AdapterSet, dict[str, bytes]]:
    """The set of its own adapters and the row that leads."""
    kept = (each for each in adapter_set.adapters if each.name in own)
    return replace(adapter_set, adapters=(*kept, info), lead=LEAD), {**own, LEAD: data}


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
