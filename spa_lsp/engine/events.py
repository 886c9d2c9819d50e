"""What an engine says, as types: each event is a message of `wire.py`. And what a front's link makes of it."""

from dataclasses import dataclass
from typing import Any

import cattrs
from cattrs.strategies import configure_tagged_union

from spa_lsp import errors
from spa_lsp.completion import Alternative, CompletionResult
from spa_lsp.engine.wire import FrameError, Message


@dataclass(frozen=True, kw_only=True)
class Hello:
    """The answer to a greeting."""

    id: int | None = None
    protocol: int
    version: str
    pid: int


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """It is about to end by intention."""

    id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How far the load is, for a call that waits for it."""

    id: int
    stage: str
    fraction: float  # of the whole load


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The base has loaded."""

    id: int


@dataclass(frozen=True, kw_only=True)
class Found:
    """One alternative has finished."""

    id: int
    alternative: Alternative
    adapter_set: str = ""  # that it is of: the answer's name is known before its end


@dataclass(frozen=True, kw_only=True)
class Result:
    """A request has ended."""

    id: int
    result: CompletionResult


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of the engine."""

    id: int
    status: dict[str, Any]  # what `spa-lsp engine status --json` prints


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A call cannot be served; without an id: the engine ends against its will."""

    id: int | None = None
    kind: str  # name of a SpaError
    message: str
    is_loading: bool = False  # the same request will be served in a while

    @classmethod
    def of(cls, error: errors.SpaError, call_id: int | None, *, is_loading: bool = False) -> "Failed":
        """The event that carries an error."""
        return cls(id=call_id, kind=type(error).__name__, message=str(error), is_loading=is_loading)

    @property
    def error(self) -> errors.SpaError:
        """What it carries; a kind of a newer version becomes a plain SpaError."""
        kinds = {kind.__name__: kind for kind in errors.SpaError.__subclasses__()}
        return kinds.get(self.kind, errors.SpaError)(self.message)


Event = Hello | Stopping | Loading | Ready | Found | Result | Status | Failed

_converter = cattrs.Converter()
configure_tagged_union(Event, _converter, tag_name="type", tag_generator=lambda kind: kind.__name__.lower())


def to_message(event: Event) -> Message:
    """The message of an event; its type is the event's in small letters."""
    message: Message = _converter.unstructure(event, unstructure_as=Event)
    return message


def to_event(message: Message) -> Event:
    """The event of a message.

    Raises:
        FrameError: no engine of this version says that.
    """
    try:
        return _converter.structure(message, Event)  # type: ignore[arg-type]  # a union is no type to mypy
    except (KeyError, TypeError, cattrs.BaseValidationError) as error:
        raise FrameError(f"the engine says something unknown, {message.get('type')!r}") from error


# what a front's link tells, beside Loading, Ready and Failed


@dataclass(frozen=True)
class Starting:
    """An engine is looked for, or started."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """What the engine holds; its status tells the speed, too."""

    base: str
    adapter_set: str
    prompt_tokens_per_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Using:
    """The set that answers what this front has asked: others may have had another loaded before."""

    adapter_set: str


@dataclass(frozen=True)
class Busy:
    """The engine was asked for alternatives."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """One such request is over."""

    is_served: bool


@dataclass(frozen=True)
class Gone:
    """There is no engine any more."""


LinkEvent = Starting | Loading | Ready | Names | Using | Busy | Done | Failed | Gone
