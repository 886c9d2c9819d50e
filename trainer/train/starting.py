"""Going on from an adapter set: which of its adapters each part gets, and what of the config is the set's. No torch."""

from collections.abc import Sequence
from dataclasses import MISSING, fields, replace
from typing import Any

from spa_lsp.adapters.check import check_base
from spa_lsp.adapters.finding import find_set
from spa_lsp.adapters.manifest import AdapterSet, check_scaling
from spa_lsp.bases.catalog import find_base, installed_base
from spa_lsp.errors import BadInput
from trainer.configs import FinetuneConfig

LEAD, BASE_LABEL = "lead", "the base"  # the name of a row that `trainer lead` makes, and its label where it is nothing


def check_ranks(config: FinetuneConfig) -> None:
    """Refuse what publishing, or the start of the training, would refuse after hours of other work.

    Raises:
        BadInput: alpha does not fit the rank, or nothing of the rank would be the adapters' own.
    """
    check_scaling(config.rank, config.alpha)
    if config.shared_rank >= config.rank:
        raise BadInput(f"--shared-rank {config.shared_rank} leaves nothing of rank {config.rank} to the adapters")


def set_to_go_on_from(config: FinetuneConfig, base_id: str) -> AdapterSet | None:
    """The set that `init_from` names, made for the installed base; None where none is named.

    Raises:
        NotFound: there is none of this name. AdapterMismatch: it was made for other weights.
    """
    if config.init_from is None:
        return None
    found = find_set(config.init_from, base_id)
    base = installed_base(find_base(base_id))
    check_base(found, base_id=base.id, base_sha256=base.weights_sha256, tokenizer_sha256=base.tokenizer_sha256)
    return found


def taken_over(config: FinetuneConfig, start: AdapterSet) -> FinetuneConfig:
    """The config with the set's rank, alpha, linears and activation.

    Raises:
        BadInput: the config asks for something else, or the set's alpha is no whole number.
    """
    if int(start.alpha) != start.alpha:
        raise BadInput(f"adapter set {start.name!r} has alpha {start.alpha}, training takes whole numbers only")
    of_set: dict[str, Any] = {
        "rank": start.rank,
        "alpha": int(start.alpha),
        "target_modules": start.target_modules,
        "activation": start.activation,
    }
    for name, value in of_set.items():
        asked = getattr(config, name)
        if asked not in (value, _default(name)):
            flag = f"--{name.replace('_', '-')}"
            raise BadInput(
                f"adapter set {start.name!r} has {name} {_text(value)}, not {_text(asked)}; leave out {flag}, or leave "
                "out --init-from"
            )
    return replace(config, **of_set)


def part_names(adapter_set: AdapterSet) -> list[str]:
    """The names of its adapters that have learned a part: all but a row that was made to lead."""
    made = lead_row(adapter_set)
    return [info.name for info in adapter_set.adapters if info.name != made]


def lead_row(adapter_set: AdapterSet) -> str | None:
    """The adapter that only leads, as `trainer lead` makes them of the others or of nothing; None: it has none.

    It is none of the parts that the set says it was made of, or, where it says nothing of them, says what it is itself.
    """
    lead = adapter_set.adapters[adapter_set.lead_index]
    others = {info.name for info in adapter_set.adapters if info is not lead}
    divided = adapter_set.figures.get("partition")
    parts = divided.get("sizes") if isinstance(divided, dict) else None
    if isinstance(parts, dict) and others <= parts.keys():
        is_row = bool(adapter_set.lead) and lead.name not in parts
    else:
        is_row = adapter_set.lead == LEAD and (lead.label == BASE_LABEL or bool(lead.figures.keys() & {"share", "set"}))
    return lead.name if is_row else None


def starts_of_parts(start: AdapterSet, names: Sequence[str]) -> list[str]:
    """The set's adapter for each part: the one of its name, else one of those that are left, in their order.

    Raises:
        BadInput: there are not as many adapters as parts.
    """
    check_n_parts(start, len(names))
    own = part_names(start)
    left = iter([name for name in own if name not in names])
    return [name if name in own else next(left) for name in names]


def check_n_parts(start: AdapterSet, n_parts: int) -> None:
    """Refuse another number of parts than the set's adapters have learned.

    Raises:
        BadInput: with both numbers.
    """
    k = len(part_names(start))
    if k != n_parts:
        what = f"adapter set {start.name!r} has {k} adapters and there are {n_parts} parts"
        raise BadInput(f"{what}; pass --k {k} to trainer partition or run")


def _default(name: str) -> Any:
    (found,) = (each for each in fields(FinetuneConfig) if each.name == name)
    assert found.default is not MISSING
    return found.default


def _text(value: Any) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)
