"""What a front tells its client about itself: `spa-lsp/status` at each change, a progress bar while the base loads."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Literal, Protocol

from lsprotocol import types

from spa_lsp.engine import events

STATUS = "spa-lsp/status"
BUSY_AFTER_S = 0.15  # what is over sooner is not worth a flicker
PROGRESS_TOKEN = "spa-lsp/load"

State = Literal["starting", "loading", "ready", "busy", "off", "error"]

logger = logging.getLogger(__name__)


class Bar(Protocol):
    """The client's progress bar, as pygls offers it."""

    async def create_async(self, token: types.ProgressToken) -> Any:
        """Ask the client for one."""
        ...

    def begin(self, token: types.ProgressToken, value: types.WorkDoneProgressBegin) -> None:
        """Show it."""
        ...

    def report(self, token: types.ProgressToken, value: types.WorkDoneProgressReport) -> None:
        """Move it."""
        ...

    def end(self, token: types.ProgressToken, value: types.WorkDoneProgressEnd) -> None:
        """Take it away."""
        ...


class Status:
    """The state of one front; `notify` sends it. Fed with the events of the engine's link."""

    def __init__(self, notify: Callable[[str, dict[str, Any]], None], bar: Callable[[], Bar | None]) -> None:
        self.state: State = "starting"
        self.message = ""
        self._names: dict[str, Any] = {"base": "", "adapter_set": "", "k": None, "sends_to": ""}
        self._is_off = False
        self._notify = notify
        self._get_bar = bar
        self._bar: Bar | None = None
        self._n_bars = 0
        self._is_bar_shown = False  # not before the client has agreed to it
        self._n_busy = 0  # requests that the engine works on
        self._busy_timer: asyncio.TimerHandle | None = None

    def tell(self) -> None:
        """Send the state as it is."""
        state = "off" if self._is_off else self.state
        self._notify(STATUS, {"state": state, "message": self.message, **self._names})

    def switch(self, *, is_off: bool) -> None:
        """The user switched alternatives off or on."""
        self._is_off = is_off
        self.tell()

    def send_to(self, place: str) -> None:
        """Text is sent to this server from now on, `HOST:PORT`; empty: it stays on the machine."""
        self._tell_names(sends_to=place)

    def hold(self, base: str, adapter_set: str) -> None:
        """This base and set answer from now on; the adapters of another set are not counted yet."""
        is_same = (base, adapter_set) == (self._names["base"], self._names["adapter_set"])
        self._tell_names(base=base, adapter_set=adapter_set, k=self._names["k"] if is_same else None)

    def count(self, k: int | None) -> None:
        """The set that answers has so many adapters; None where that is not known."""
        self._tell_names(k=k)

    def _tell_names(self, **changes: str | int | None) -> None:
        names = {**self._names, **changes}
        if names != self._names:
            self._names = names
            self.tell()

    def on_event(self, event: events.LinkEvent) -> None:
        """Take an event of the engine's link, see `EngineLink`."""
        match event:
            case events.Starting():
                self._become("starting", "the engine is starting")
            case events.Loading(stage=stage, fraction=fraction):
                self._become("loading", f"{stage}, {fraction:.0%}")
                self._show_bar(stage, fraction)
            case events.Ready():
                self._become("ready", "")
            case events.Busy():
                self._n_busy += 1
                if self._busy_timer is None:
                    self._busy_timer = asyncio.get_running_loop().call_later(BUSY_AFTER_S, self._become, "busy", "")
            case events.Done(is_served=is_served):
                self._n_busy -= 1
                self._calm_down(is_served=is_served)
            case events.Failed(message=message):
                self._become("error", message)
            case events.Gone() if self.state != "error":
                self._become("starting", "the engine ended; it is started again when it is needed")

    def _calm_down(self, *, is_served: bool) -> None:
        if self._n_busy:
            return
        if is_served or self.state == "busy":
            self._become("ready", "")
        elif self._busy_timer:
            self._busy_timer.cancel()
            self._busy_timer = None

    def _become(self, state: State, message: str) -> None:
        if self._busy_timer:
            self._busy_timer.cancel()
            self._busy_timer = None
        if state != "loading":
            self._end_bar(message)
        if (state, message) != (self.state, self.message):
            self.state, self.message = state, message
            self.tell()

    def _show_bar(self, stage: str, fraction: float) -> None:
        percentage = round(fraction * 100)
        if self._bar is None and (bar := self._get_bar()):
            self._bar = bar
            self._n_bars += 1
            begin = types.WorkDoneProgressBegin(title="loading the model", message=stage, percentage=percentage)
            self._task = asyncio.get_running_loop().create_task(self._begin(bar, self._token, begin))
        elif self._bar and self._is_bar_shown:
            self._bar.report(self._token, types.WorkDoneProgressReport(message=stage, percentage=percentage))

    async def _begin(self, bar: Bar, token: str, begin: types.WorkDoneProgressBegin) -> None:
        try:
            await bar.create_async(token)
        except Exception as error:  # a client that refuses has its reasons
            logger.info("no progress bar: %s", type(error).__name__)
            return
        if self._bar is bar and token == self._token:  # else it ended while the client thought about it
            bar.begin(token, begin)
            self._is_bar_shown = True

    def _end_bar(self, message: str) -> None:
        if self._bar and self._is_bar_shown:
            self._bar.end(self._token, types.WorkDoneProgressEnd(message=message or None))
        self._bar, self._is_bar_shown = None, False

    @property
    def _token(self) -> str:
        return f"{PROGRESS_TOKEN}/{self._n_bars}"
