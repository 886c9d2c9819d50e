"""What may be set, in one typed place: layers of JSON or TOML in, `Settings`, their sources and complaints out. Pure.

Where the layers come from is `files.py` and, for the client's, the server.
"""

import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, Literal

from spa_lsp.completion import StopPolicy
from spa_lsp.settings.engine_url import LOCAL, is_engine, is_same_server

QUANTIZATIONS = ("auto", "nf4", "int8", "bf16", "fp32")
STOP_POLICIES = ("auto", "multi", "single", "none")
AUTO: Literal["auto"] = "auto"  # chosen by what this machine can do, or by where the cursor stands
TRIGGERS = ("automatic", "manual")
DEFAULT = "default"  # the source of what nobody set
MAX_COMPLAINTS = 5  # of one layer: each is shown to the user, and anyone can have written the file

# What a file in the workspace may set: anyone can have written it. Nothing that costs the machine (other bases, memory,
# processes), and privacy only narrower: `ignore` without `!`, `record_outcomes` only false.
WORKSPACE_KEYS = frozenset(
    (
        "adapter_set",  # a name among the installed sets, never a path
        "alternatives",
        "max_tokens",
        "deadline_s",
        "stop",
        "prefix_chars",
        "suffix_chars",
        "context_chars",
        "trigger",
        "disabled_languages",
        "ignore",
        "record_outcomes",
    )
)

# What only the user's own file may set: where text goes that leaves the machine. An editor's settings may come from a
# folder that somebody else has written, too (`.vscode/settings.json`, `.nvim.lua`).
OWN_FILE_KEYS = frozenset(("engine", "engine_key", "engine_fallback", "allow_insecure"))
_SECRET = ("engine", "engine_key")  # what stands there by mistake is not repeated: it may be a password


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one front. In JSON their names are camelCase or snake_case."""

    base: str = AUTO  # auto: the best here, see `adapters.served_base`
    adapter_set: str | None = None  # None: the selected one
    quantization: str = "auto"
    alternatives: int | None = None  # at most so many, of the set's first adapters; None: one per adapter
    max_tokens: int = 64  # per alternative
    deadline_s: float | Literal["auto"] = AUTO  # after which alternatives are shown as far as they have come
    first_items_ms: int = 300  # after which the first are shown that are there, when nobody asked for all
    stop: StopPolicy | Literal["auto"] = AUTO  # auto: one line inside a line, a block where one begins or is asked for
    prefix_chars: int | Literal["auto"] = AUTO  # of the document before the cursor; auto: about a second of work
    suffix_chars: int | Literal["auto"] = AUTO  # and after it
    # of other files, or an object with `files` and `diff`; on two cores 1000 take half a second, once while they stay
    context_chars: int | Mapping[str, int] = 1000
    trigger: Literal["automatic", "manual"] = "automatic"  # manual: only when the user asks
    disabled_languages: tuple[str, ...] = ()  # LSP language ids
    ignore: tuple[str, ...] = ()  # lines as in a .gitignore: neither completed nor context
    learned_order: bool = True  # adapters that this user takes often come first
    speculative: bool = True  # ask for what follows an accepted alternative before the user does
    completion_fallback: bool = False  # offer alternatives in the ordinary completion menu, too
    record_outcomes: bool | Literal["text"] = True  # which adapter's alternative was taken; "text": and its text
    engine_idle_s: float = 1800.0  # an engine ends after so many seconds without a client
    max_memory_mb: int = 0  # of the engine; 0: no limit
    engine: str = LOCAL  # or the URL of a server that computes in its place
    engine_key: str = ""  # of that server: where it lies, an environment variable or a file that only the user reads
    engine_fallback: bool = False  # while that server cannot answer, the engine here does
    allow_insecure: bool = (
        False  # that server may be reached without TLS, or with a certificate that nobody vouches for
    )

    @property
    def files_chars(self) -> int:
        """Of `context_chars` that for other files as they are."""
        return self.context_chars if isinstance(self.context_chars, int) else self.context_chars.get("files", 0)

    @property
    def diff_chars(self) -> int:
        """Of `context_chars` that for what has changed since the last commit."""
        return 0 if isinstance(self.context_chars, int) else self.context_chars.get("diff", 0)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Settings from one place."""

    source: str  # a path, or `client`
    values: Any  # what JSON or TOML gave
    is_file: bool = False
    is_workspace: bool = False


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """The settings, of each where its value comes from, and a sentence about each that cannot be used."""

    settings: Settings = field(default_factory=Settings)
    sources: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(names(), DEFAULT))
    complaints: tuple[str, ...] = ()
    own_set: str | None = None  # the adapter set that is asked for by others than the workspace


def names() -> list[str]:
    """The names of all settings, in snake_case."""
    return [each.name for each in fields(Settings)]


def with_engine(own: Settings, engine: str) -> Settings:
    """The settings with another engine; `engine_key` is for the server that they name, and no other gets it."""
    key = own.engine_key if is_same_server(engine, own.engine) else ""
    return replace(own, engine=engine, engine_key=key)


def resolve(layers: Sequence[Layer]) -> Resolved:
    """The settings of these layers, of which a later one wins; what cannot be used keeps the value from below."""
    values = {each.name: each.default for each in fields(Settings)}
    sources = dict.fromkeys(values, DEFAULT)
    complaints: list[str] = []
    for layer in layers:
        _apply(layer, values, sources, complaints)
    return Resolved(settings=Settings(**values), sources=sources, complaints=tuple(complaints))  # type: ignore[arg-type]  # checked by the rules


def to_camel_case(name: str) -> str:
    """`max_tokens` as clients write it."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def to_snake_case(name: str) -> str:
    """`maxTokens` as files write it."""
    return re.sub(r"(?<=[a-z])([A-Z])", lambda match: f"_{match[1].lower()}", name)


def _apply(layer: Layer, values: dict[str, Any], sources: dict[str, str], complaints: list[str]) -> None:
    where = f"{layer.source}: " if layer.is_file else ""
    if layer.values is None:
        return
    if not isinstance(layer.values, Mapping):
        kind = type(layer.values).__name__
        complaints.append(f"{where}the settings are not an object but {kind}; all defaults are kept")
        return
    n_refused = 0
    for key, value in layer.values.items():
        name = to_snake_case(str(key))
        if name in _RULES and value is None:  # not set, as JSON says it
            continue
        refusal = _refusal(layer, key, name, value)
        if refusal:
            n_refused += 1
            if n_refused <= MAX_COMPLAINTS:
                complaints.append(where + refusal + (_kept(name, values, sources) if name in _RULES else ""))
            continue
        value = tuple(value) if isinstance(value, list) else value
        is_added = name == "ignore" or (layer.is_workspace and name == "disabled_languages")
        values[name] = (*values[name], *value) if is_added else value
        sources[name] = f"{sources[name]}, {layer.source}" if is_added and sources[name] != DEFAULT else layer.source
    if n_refused > MAX_COMPLAINTS:
        complaints.append(f"{where}and {n_refused - MAX_COMPLAINTS} more settings cannot be used")


def _refusal(layer: Layer, key: Any, name: str, value: Any) -> str:
    """Why the layer's value cannot be used; empty when it can."""
    if name not in _RULES:
        return f"unknown setting {reprlib.repr(key)}; known: {_known()}"
    wanted, is_good = _RULES[name]
    if not is_good(value) and name in _SECRET:
        return f"setting {key!r} must be {wanted}"
    if not is_good(value):
        return f"setting {key!r} must be {wanted}, not {reprlib.repr(value)}"
    if name in OWN_FILE_KEYS and (layer.is_workspace or not layer.is_file):
        return f"setting {key!r} can only be set in your own file, see `spa-lsp config path`"
    if layer.is_workspace and name not in WORKSPACE_KEYS:
        return f"setting {key!r} cannot be set by a workspace; set it in your own file or in the editor"
    if layer.is_workspace and name == "record_outcomes" and value is not False:
        return f"setting {key!r} can only be false in a workspace"
    if layer.is_workspace and name == "context_chars" and isinstance(value, Mapping) and value.get("diff"):
        return f"setting {key!r} cannot ask for a diff in a workspace; set that in your own file or in the editor"
    if layer.is_workspace and name == "ignore" and any(line.startswith("!") for line in value):
        return f"setting {key!r} can only add lines in a workspace, not take back with '!'"
    return ""


@cache
def _known() -> str:
    return ", ".join(map(to_camel_case, names()))


def _kept(name: str, values: Mapping[str, Any], sources: Mapping[str, str]) -> str:
    value = values[name]
    if name in _SECRET and sources[name] != DEFAULT:
        return f"; that of {sources[name]} is kept"
    said = reprlib.repr(value)
    return f"; its default {said} is kept" if sources[name] == DEFAULT else f"; {said} of {sources[name]} is kept"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200


def _is_text_or_empty(value: Any) -> bool:
    return value == "" or _is_text(value)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_one_of(*known: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in known


def _is_number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is_count(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _or_auto(is_good: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value == AUTO or is_good(value)


def _is_context(value: Any) -> bool:
    is_count = _is_count(0, 20_000)
    if isinstance(value, Mapping):
        return value.keys() <= {"files", "diff"} and all(map(is_count, value.values()))
    return is_count(value)


def _is_place_of_key(value: Any) -> bool:
    """Never the key itself."""
    return isinstance(value, str) and re.fullmatch(r"([A-Z_][A-Z0-9_]{0,99}|~?/.{1,200})?", value) is not None


def _is_list_of_lines(value: Any) -> bool:
    """Of texts that `.gitignore` has one line for each, so that a `!` can stand at the beginning only."""
    return _is_list_of_texts(value) and not any("\n" in line or line.startswith("\ufeff") for line in value)


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 1000 and all(_is_text(item) for item in value)


_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "base": ("auto, or a base id, see `spa-lsp models list`", _is_text),
    "adapter_set": ("the name of an adapter set, see `spa-lsp adapters list`", _is_text_or_empty),
    "quantization": (f"one of {', '.join(QUANTIZATIONS)}", _is_one_of(*QUANTIZATIONS)),
    "alternatives": ("a number from 1 to 64", _is_count(1, 64)),
    "max_tokens": ("a number from 1 to 512", _is_count(1, 512)),
    "deadline_s": ("auto, or seconds from 0.1 to 300", _or_auto(_is_number(0.1, 300))),
    "first_items_ms": ("milliseconds from 0 to 60000", _is_count(0, 60_000)),
    "stop": (f"one of {', '.join(STOP_POLICIES)}", _is_one_of(*STOP_POLICIES)),
    "prefix_chars": ("auto, or a number from 200 to 100000", _or_auto(_is_count(200, 100_000))),
    "suffix_chars": ("auto, or a number from 0 to 100000", _or_auto(_is_count(0, 100_000))),
    "context_chars": ("a number from 0 to 20000, or an object of such: files, diff", _is_context),
    "trigger": (f"one of {', '.join(TRIGGERS)}", _is_one_of(*TRIGGERS)),
    "disabled_languages": ("a list of language ids", _is_list_of_texts),
    "ignore": ("a list of lines as in a .gitignore", _is_list_of_lines),
    "learned_order": ("true or false", _is_bool),
    "speculative": ("true or false", _is_bool),
    "completion_fallback": ("true or false", _is_bool),
    "record_outcomes": ('true, false or "text"', lambda value: _is_bool(value) or value == "text"),
    "engine_idle_s": ("seconds, at least 1", _is_number(1, 1e9)),
    "max_memory_mb": ("megabytes, or 0 for no limit", _is_count(0, 100_000_000)),
    "engine": (f"{LOCAL}, or a URL as https://HOST:PORT without user and query", is_engine),
    "engine_key": ("an environment variable as SPA_KEY, or a file as ~/.spa-key, and never the key", _is_place_of_key),
    "engine_fallback": ("true or false", _is_bool),
    "allow_insecure": ("true or false", _is_bool),
}
