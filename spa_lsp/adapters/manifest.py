"""The manifest of an adapter set: the records, their JSON form, and the rules for every field.

Nothing is read or written here; where sets lie is `finding.py`, what is in their files `check.py`.
"""

import re
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from spa_lsp.completion import Layout
from spa_lsp.errors import BadInput, TooNew
from spa_lsp.storage import store
from spa_lsp.text.ranking import FEATURES

MANIFEST_FORMAT = 4  # 1; 2 has a temperature; 3 names a lead; 4 has a ranker
MAX_SCALING = 64.0  # alpha / rank; PEFT takes an alpha of 1e30 in silence
MAX_RANK = 1024
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 2.0  # greedy in effect, and noise; 0 is greedy
MAX_ADAPTER_BYTES = 1 << 30
MAX_WEIGHT = 1e6  # of a feature in a ranker: far above any that was fitted, and no sum of them overflows

Activation = Literal["completion", "all"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_BASE_ID = re.compile(r"[a-z0-9]([a-z0-9_-]|\.(?!\.)){0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MODULE = re.compile(r"[a-z0-9_]{1,64}")
_WINDOWS_NAMES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


@dataclass(frozen=True, kw_only=True)
class AdapterInfo:
    """One adapter of a set; `label` is one line for people, `figures` what evaluation said of it."""

    name: str
    label: str
    file: str
    sha256: str
    n_bytes: int
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AdapterSet:
    """The k adapters of one partition, and what they need. `folder` is None for rows of the store."""

    name: str
    base_id: str
    base_sha256: str
    tokenizer_sha256: str
    rank: int
    alpha: float  # scaling is alpha / rank and not folded into the files
    target_modules: tuple[str, ...]
    activation: Activation
    layouts: tuple[str, ...]
    method: str
    run_id: str
    data: dict[str, Any]
    figures: dict[str, Any]
    adapters: tuple[AdapterInfo, ...]
    temperature: float = 0.0  # at which completions are sampled where nobody asks for another; 0: greedy
    lead: str = ""  # the adapter whose greedy completion is shown first; empty: the first one
    ranker: dict[str, float] = field(default_factory=dict)  # see `text.ranking`; empty: it has none
    folder: Path | None = None

    @property
    def k(self) -> int:
        """Number of adapters."""
        return len(self.adapters)

    @property
    def lead_index(self) -> int:
        """Place of the adapter that leads."""
        names = [adapter.name for adapter in self.adapters]
        return names.index(self.lead) if self.lead else 0

    @cached_property
    def set_id(self) -> str:
        """Digest of the manifest, and so of every adapter; the id of the set's row in the store."""
        return store.json_sha256(to_manifest(self))


def to_manifest(adapter_set: AdapterSet) -> dict[str, Any]:
    """The manifest as plain JSON data; `from_manifest` gives an equal set and the same `set_id`."""
    record = asdict(adapter_set)
    del record["folder"]
    if not adapter_set.temperature:
        del record["temperature"]  # format 1 has none; such sets keep their ids
    if not adapter_set.lead:
        del record["lead"]
    if not adapter_set.ranker:
        del record["ranker"]
    record["target_modules"] = list(adapter_set.target_modules)
    record["layouts"] = list(adapter_set.layouts)
    record["adapters"] = list(record["adapters"])
    needed = 4 if adapter_set.ranker else 3 if adapter_set.lead else 2 if adapter_set.temperature else 1
    return {"format": needed, **record}


def from_manifest(manifest: Any, folder: Path | None) -> AdapterSet:
    """The set that a manifest describes, every field checked.

    Raises:
        BadInput: a field is missing, unknown or out of range. TooNew: another format.
    """
    _check_format(manifest)
    values = {name: value for name, value in manifest.items() if name != "format"}
    _check_keys({"temperature": 0.0, "lead": "", "ranker": {}, **values}, AdapterSet, without={"folder"})
    for name in ("target_modules", "layouts", "adapters"):
        _require(isinstance(values[name], list) and values[name], f"{name} must be a list that is not empty")
    for record in values["adapters"]:
        _check_keys(record, AdapterInfo, without=set())
    adapters = tuple(AdapterInfo(**record) for record in values["adapters"])
    lists = {name: tuple(values[name]) for name in ("target_modules", "layouts")}
    adapter_set = AdapterSet(**{**values, **lists, "adapters": adapters, "folder": folder})
    check_set(adapter_set)
    return adapter_set


def _check_format(manifest: Any) -> None:
    _require(isinstance(manifest, dict), "a manifest must be an object")
    version = manifest.get("format")
    _require(type(version) is int and version >= 1, f"format {version!r} is not a manifest's")
    if version > MANIFEST_FORMAT:
        raise TooNew(f"the set has manifest format {version}, this version knows {MANIFEST_FORMAT}; upgrade spa-lsp")


def _check_keys(record: Any, kind: type[AdapterSet | AdapterInfo], *, without: set[str]) -> None:
    wanted = {found.name for found in fields(kind)} - without
    _require(isinstance(record, dict), f"{kind.__name__} must be an object")
    missing, unknown = wanted - record.keys(), record.keys() - wanted
    _require(not missing, f"{', '.join(sorted(missing))} missing in the manifest")
    _require(not unknown, f"unknown in a manifest: {', '.join(sorted(map(repr, unknown)))}")


def check_set(adapter_set: AdapterSet) -> None:
    """Refuse a set whose fields are out of range; its files are not looked at.

    Raises:
        BadInput: with the field and its value.
    """
    check_name(adapter_set.name, what="adapter set")
    _require(_matches(_BASE_ID, adapter_set.base_id), f"base_id {adapter_set.base_id!r} is not a base's id")
    for name in ("base_sha256", "tokenizer_sha256"):
        value = getattr(adapter_set, name)
        _require(_matches(_SHA256, value), f"{name} {value!r} is not a sha256")
    check_scaling(adapter_set.rank, adapter_set.alpha)
    check_temperature(adapter_set.temperature)
    for module in adapter_set.target_modules:
        _require(_matches(_MODULE, module), f"target module {module!r} is not a linear's name")
    _require(adapter_set.activation in get_args(Activation), f"activation {adapter_set.activation!r} is not known")
    for layout in adapter_set.layouts:
        _require(layout in get_args(Layout), f"layout {layout!r} is not known")
    for name, kind in (("method", str), ("run_id", str), ("data", dict), ("figures", dict)):
        _require(isinstance(getattr(adapter_set, name), kind), f"{name} must be of type {kind.__name__}")
    names = [adapter.name for adapter in adapter_set.adapters]
    for adapter in adapter_set.adapters:
        _check_info(adapter)
    _require(len(set(names)) == len(names), f"an adapter's name comes twice: {', '.join(map(str, names))}")
    _require(adapter_set.lead in ("", *names), f"lead {adapter_set.lead!r} is none of the adapters")
    _check_ranker(adapter_set.ranker)


def check_scaling(rank: Any, alpha: Any) -> None:
    """Refuse a rank or a scaling that no honest training gives.

    Raises:
        BadInput: with the value and the bounds.
    """
    _require(type(rank) is int and 0 < rank <= MAX_RANK, f"rank {rank!r} is not between 1 and {MAX_RANK}")
    # compared, not divided: an integer may be larger than any float
    is_sensible = type(alpha) in (int, float) and 0 < alpha <= MAX_SCALING * rank  # so not NaN
    _require(is_sensible, f"alpha {alpha!r:.40} / rank {rank} is not in (0, {MAX_SCALING:.0f}]")


def check_temperature(temperature: Any) -> None:
    """Refuse a temperature at which nothing sensible is written.

    Raises:
        BadInput: with the value and the bounds.
    """
    is_number = type(temperature) in (int, float)
    is_sensible = is_number and (temperature == 0 or MIN_TEMPERATURE <= temperature <= MAX_TEMPERATURE)  # so not NaN
    _require(
        is_sensible, f"temperature {temperature!r} is neither 0 nor between {MIN_TEMPERATURE:g} and {MAX_TEMPERATURE:g}"
    )


def _check_ranker(ranker: Any) -> None:
    _require(isinstance(ranker, dict), "ranker must be an object")
    for name, weight in ranker.items():
        _require(name in FEATURES, f"a ranker knows no {name!r}, only {', '.join(FEATURES)}")
        is_sensible = type(weight) in (int, float) and abs(weight) <= MAX_WEIGHT  # so not NaN
        _require(is_sensible, f"the weight {weight!r:.40} of {name!r} in the ranker is no number up to {MAX_WEIGHT:g}")


def _check_info(adapter: AdapterInfo) -> None:
    check_name(adapter.name, what="adapter")
    check_label(adapter.label, of=adapter.name)
    _require(
        adapter.file == f"{adapter.name}.safetensors",
        f"file {adapter.file!r} of adapter {adapter.name!r} must be {adapter.name}.safetensors",
    )
    _require(_matches(_SHA256, adapter.sha256), f"sha256 {adapter.sha256!r} of {adapter.name!r} is not one")
    _require(type(adapter.n_bytes) is int and 0 < adapter.n_bytes <= MAX_ADAPTER_BYTES, f"{adapter.n_bytes!r} bytes")
    _require(isinstance(adapter.figures, dict), f"figures of {adapter.name!r} must be an object")


def check_label(label: Any, *, of: Any) -> None:
    """Refuse a label that an editor could not show in one line.

    Raises:
        BadInput: with the name of the adapter or anchor it belongs to.
    """
    is_line = isinstance(label, str) and label.isprintable() and len(label) <= 120
    _require(is_line, f"the label of {of!r} is not one printable line of at most 120 characters")


def check_name(name: Any, *, what: str) -> None:
    """Refuse a name that could leave its folder or mean something to a file system.

    Raises:
        BadInput: with the name and the rule.
    """
    is_plain = _matches(_NAME, name) and name not in _WINDOWS_NAMES
    _require(is_plain, f"{what} name {name!r} must be 1-64 of a-z 0-9 _ - and start with a letter or digit")


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _require(condition: Any, message: str) -> None:
    if not condition:
        raise BadInput(message)


def with_name(adapter_set: AdapterSet, name: str | None) -> AdapterSet:
    """The same set under another name; None keeps the name.

    Raises:
        BadInput: it is not a name.
    """
    if name is not None:
        check_name(name, what="adapter set")
    return adapter_set if name is None else replace(adapter_set, name=name)
