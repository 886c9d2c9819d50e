"""What a client may set, in one typed place: `initializationOptions` in, `Settings` and complaints out. Pure."""

import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from spa_lsp.catalog import DEFAULT_BASE
from spa_lsp.completion import StopPolicy

QUANTIZATIONS = ("auto", "nf4", "int8", "bf16", "fp32")
STOP_POLICIES = ("multi", "single", "none")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one front. In JSON their names are camelCase or snake_case."""

    base: str = DEFAULT_BASE
    adapter_set: str | None = None  # None: the selected one
    quantization: str = "auto"
    alternatives: int | None = None  # at most so many, of the set's first adapters; None: one per adapter
    max_tokens: int = 64  # per alternative
    deadline_s: float = 15.0  # after which alternatives are shown as far as they have come
    stop: StopPolicy = "multi"
    prefix_chars: int = 6000  # of the document before the cursor
    suffix_chars: int = 2000  # and after it
    disabled_languages: tuple[str, ...] = ()  # LSP language ids
    record_outcomes: bool = True  # which adapter's alternative was taken, in which language; never any text
    engine_idle_s: float = 1800.0  # an engine ends after so many seconds without a client
    max_memory_mb: int | None = None  # and when it has more resident memory than this; None: no limit


def read_settings(options: Any) -> tuple[Settings, list[str]]:
    """The settings in a client's options, and a sentence about each that cannot be used and keeps its default."""
    if options is None:
        return Settings(), []
    if not isinstance(options, Mapping):
        return Settings(), [f"the settings are not an object but {type(options).__name__}; all defaults are kept"]
    values: dict[str, Any] = {}
    complaints = []
    for key, value in options.items():
        name = _to_snake_case(str(key))
        if name not in _RULES:
            known = ", ".join(_to_camel_case(field.name) for field in fields(Settings))
            complaints.append(f"unknown setting {key!r}; known: {known}")
        elif not _RULES[name][1](value):
            kept = f"its default {getattr(Settings, name)!r} is kept"
            complaints.append(f"setting {key!r} must be {_RULES[name][0]}, not {reprlib.repr(value)}; {kept}")
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return Settings(**values), complaints


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200


def _is_text_or_none(value: Any) -> bool:
    return value is None or value == "" or _is_text(value)


def _is_number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is_count(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(_is_text(item) for item in value)


_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "base": ("a base id, see `spa-lsp models list`", _is_text),
    "adapter_set": ("the name of an adapter set, see `spa-lsp adapters list`", _is_text_or_none),
    "quantization": (f"one of {', '.join(QUANTIZATIONS)}", lambda value: value in QUANTIZATIONS),
    "alternatives": ("a number from 1 to 64", lambda value: value is None or _is_count(1, 64)(value)),
    "max_tokens": ("a number from 1 to 512", _is_count(1, 512)),
    "deadline_s": ("seconds from 0.1 to 300", _is_number(0.1, 300)),
    "stop": (f"one of {', '.join(STOP_POLICIES)}", lambda value: value in STOP_POLICIES),
    "prefix_chars": ("a number from 200 to 100000", _is_count(200, 100_000)),
    "suffix_chars": ("a number from 0 to 100000", _is_count(0, 100_000)),
    "disabled_languages": ("a list of language ids", _is_list_of_texts),
    "record_outcomes": ("true or false", lambda value: isinstance(value, bool)),
    "engine_idle_s": ("seconds, at least 1", _is_number(1, 1e9)),
    "max_memory_mb": ("megabytes, at least 100", lambda value: value is None or _is_count(100, 1 << 30)(value)),
}


def _to_snake_case(key: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda match: f"_{match[1].lower()}", key)


def _to_camel_case(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
