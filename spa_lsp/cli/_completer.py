"""What `complete`, `generate` and `demo` share: the options that choose a model, and a completer that is ready."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click

from spa_lsp.adapters.manifest import MAX_TEMPERATURE
from spa_lsp.completion import Completer, CompletionRequest, CompletionResult, IsCancelled, OnAlternative
from spa_lsp.errors import Unavailable
from spa_lsp.settings.engine_url import LOCAL, parse_engine_url
from spa_lsp.settings.schema import QUANTIZATIONS, Settings, with_engine

PATIENCE_S = 2.0  # a wait that is over sooner is not worth a line
LOAD_S = 10.0  # on two slow cores, with the default base and its set

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Model:
    """Which base and set answer, and where."""

    base_id: str
    set_name: str | None  # None: the one in use; "": none
    quantization: str
    is_local: bool = False
    engine: str | None = None  # `local` or a URL; None: what the user's own settings say


@dataclass
class ReadyCompleter:
    """A completer that has its base."""

    completer: Completer
    load_ms: float  # 0: it had it before

    def complete(
        self,
        request: CompletionRequest,
        *,
        on_alternative: OnAlternative | None = None,
        is_cancelled: IsCancelled | None = None,
    ) -> CompletionResult:
        """As the completer does; the first result says how long the load took, too."""
        result = self.completer.complete(request, on_alternative=on_alternative, is_cancelled=is_cancelled)
        load_ms, self.load_ms = self.load_ms, 0.0
        timing = replace(result.timing, load_ms=load_ms, total_ms=result.timing.total_ms + load_ms)
        return replace(result, timing=timing)


def temperature_option(command: _Command) -> _Command:
    """The option `--temperature`."""
    text = "Sample at it, without a lead; 0 is greedy.  [default: what the set says]"
    return click.option("--temperature", type=click.FloatRange(min=0, max=MAX_TEMPERATURE), help=text)(command)


def model_options(command: _Command) -> _Command:
    """The options `--base`, `--set`, `--quantization`, `--engine` and `--no-engine`."""
    engine = click.option(
        "--engine",
        metavar="local|URL",
        callback=_check_engine,
        help="Ask this server with the completions API, or the engine here.  [default: what your own settings say]",
    )
    local = click.option(
        "--no-engine",
        "is_local",
        is_flag=True,
        help="Load the base in this process, for this one call, instead of asking the engine.",
    )
    return _served_by(base_id=None, quantization=None, shown="what your own settings say")(engine(local(command)))


def _check_engine(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    from spa_lsp.settings.engine_url import is_engine

    if value is not None and not is_engine(value):
        raise click.BadParameter("it is neither local nor a URL as https://HOST:PORT")
    return value


def bench_options(command: _Command) -> _Command:
    """The options `--base`, `--set` and `--quantization` of a measurement: of the base that the goals are for."""
    from spa_lsp.bases.catalog import DEFAULT_BASE

    return _served_by(base_id=DEFAULT_BASE, quantization=Settings.quantization)(command)


def _served_by(*, base_id: str | None, quantization: str | None, shown: str = "") -> Callable[[_Command], _Command]:
    """The three options with these defaults; where those are None, `shown` is what the help says instead."""
    options = (
        click.option(
            "--base",
            "base_id",
            metavar="ID",
            default=base_id,
            help=f"Base, see spa-lsp models list.  [default: {base_id or shown}]",
        ),
        click.option("--set", "set_name", metavar="ID", help="Adapter set; '' is none.  [default: the one in use]"),
        click.option(
            "--quantization",
            type=click.Choice(QUANTIZATIONS),
            default=quantization,
            help=f"Precision of the base.  [default: {quantization or shown}]",
        ),
    )

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def k_option(command: _Command) -> _Command:
    """The option `-k`."""
    return click.option(
        "-k", type=click.IntRange(1, 64), metavar="N", help="At most N alternatives.  [default: one per adapter]"
    )(command)


def max_tokens_option(default: int) -> Callable[[_Command], _Command]:
    """The option `--max-tokens` with this default."""
    return click.option(
        "--max-tokens",
        type=click.IntRange(1, 2048),
        metavar="N",
        default=default,
        show_default=True,
        help="Length of each alternative, at most.",
    )


def choose_model(
    base_id: str | None = None,
    set_name: str | None = None,
    quantization: str | None = None,
    *,
    engine: str | None = None,
    is_local: bool = False,
) -> Model:
    """The model that the options name; what they leave open is as the user's own settings have it."""
    from spa_lsp.adapters.served_base import served_base

    own = own_settings()
    set_name = _own_set(own, base_id) if set_name is None else set_name
    return Model(
        base_id=served_base(base_id or own.base, set_name),
        set_name=set_name,
        quantization=quantization or own.quantization,
        is_local=is_local,
        engine=engine,
    )


def own_settings() -> Settings:
    """What the user's own file says: a command has no editor and no workspace."""
    from spa_lsp.settings.files import read_settings

    return read_settings(None).settings


def _own_set(own: Settings, base_id: str | None) -> str | None:
    """The set of the user's own file; where a command names another base than that means, the set is not for it."""
    from spa_lsp.adapters.served_base import served_base

    if base_id is None or not own.adapter_set:
        return own.adapter_set
    is_own_base = served_base(base_id, own.adapter_set) == served_base(own.base, own.adapter_set)
    return own.adapter_set if is_own_base else None


@contextmanager
def open_completer(model: Model) -> Iterator[ReadyCompleter]:
    """A completer whose base is loaded: the engine, started when it is not there, or this process.

    Raises:
        NotFound: no such base or set, or the base was never pulled; known before anything heavy happens.
    """
    settings = _engine_settings(model)
    if settings.engine != LOCAL:
        from spa_lsp.remote.client import RemoteClient

        client = RemoteClient(settings)
        click.echo(f"text goes to {parse_engine_url(settings.engine).place}", err=True)
        try:
            yield ReadyCompleter(client, 0.0)
        finally:
            client.close()
        return
    check_model(model)
    with _Notice(f"loading {model.base_id}", about_s=LOAD_S) as notice:
        ready = _load_here(model, notice.tell) if model.is_local else _connect(model, settings, notice.tell)
    try:
        yield ready
    finally:
        close = getattr(ready.completer, "close", None)
        if close:
            close()


def _engine_settings(model: Model) -> Settings:
    """The user's own settings, with what the command says of base, set and engine."""
    if model.is_local:
        return Settings()
    own = own_settings()
    settings = replace(own, base=model.base_id, adapter_set=model.set_name)
    return with_engine(settings, model.engine) if model.engine else settings


def ask(ready: ReadyCompleter, request: CompletionRequest) -> CompletionResult:
    """The whole result.

    Raises:
        Unavailable: somebody else ended the work on it.
    """
    result = ready.complete(request)
    if result.is_cancelled:
        raise Unavailable("the engine gave up this request, as it does when it is stopped; run the command again")
    return result


@contextmanager
def computing(what: str, about_s: float) -> Iterator[None]:
    """Say on stderr what is being computed and about how long that takes, unless it is over at once."""
    with _Notice(f"computing {what}", about_s=about_s, is_over="computed"):
        yield


def say(lines: Iterable[str]) -> None:
    """Print lines; what the terminal's encoding does not have is replaced."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    for line in lines:
        click.echo(line)


def check_model(model: Model) -> None:
    """Refuse what cannot work before anything heavy happens.

    Raises:
        NotFound: no such base or set, or the base was never pulled. AdapterMismatch: the set is for another base.
    """
    from spa_lsp.adapters.finding import find_set
    from spa_lsp.bases.catalog import find_base, installed_base

    installed_base(find_base(model.base_id))
    if model.set_name:
        find_set(model.set_name, model.base_id)


def _load_here(model: Model, tell: Callable[[str, float], None]) -> ReadyCompleter:
    started = time.perf_counter()
    from spa_lsp.lm.completer import LocalCompleter

    completer = LocalCompleter.load(
        model.base_id, adapter_set=model.set_name, quantization=model.quantization, on_load=tell
    )
    return ReadyCompleter(completer, (time.perf_counter() - started) * 1000)


def _connect(model: Model, settings: Settings, tell: Callable[[str, float], None]) -> ReadyCompleter:
    from spa_lsp.engine.client import EngineClient

    started = time.perf_counter()
    client = EngineClient.connect(
        model.base_id,
        model.set_name,
        model.quantization,
        idle_s=settings.engine_idle_s,
        max_memory_mb=settings.max_memory_mb or None,
        on_loading=tell,
    )
    try:
        if client.status()["state"] == "ready":
            return ReadyCompleter(client, 0.0)
        client.wait_until_loaded()
    except BaseException:
        client.close()
        raise
    return ReadyCompleter(client, (time.perf_counter() - started) * 1000)


class _Notice:
    """Says on stderr what is going on and when it is over, unless that is sooner than `patience_s`."""

    def __init__(
        self, what: str, *, about_s: float | None = None, is_over: str = "loaded", patience_s: float = PATIENCE_S
    ) -> None:
        self._what = what
        self._about = f", about {about_s:.0f} s" if about_s else ""
        self._is_over = is_over
        self._stage = ""
        self._is_shown = False
        self._started_s = time.monotonic()
        self._timer = threading.Timer(patience_s, self._show)
        self._timer.daemon = True

    def __enter__(self) -> "_Notice":
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._timer.cancel()
        if self._is_shown and error is None:
            click.echo(f"{self._is_over} after {time.monotonic() - self._started_s:.0f} s", err=True)

    def tell(self, stage: str, fraction: float) -> None:
        """Another stage has begun."""
        if stage == self._stage:
            return
        self._stage = stage
        if self._is_shown and fraction < 1:
            self._line(f"{stage}, {fraction:.0%}")

    def _show(self) -> None:
        self._is_shown = True
        self._line((self._stage or "started") + self._about)

    def _line(self, text: str) -> None:
        click.echo(f"{self._what}: {text}", err=True)
