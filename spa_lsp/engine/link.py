"""The engine seen from a front: one channel, opened in the background and never waited for."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from spa_lsp.completion import CompletionRequest, CompletionResult, OnAlternative
from spa_lsp.engine import events
from spa_lsp.engine.channel import Channel, ConnectionLost
from spa_lsp.engine.channel import OnEvent as OnNotice
from spa_lsp.engine.events import Failed, Found, LinkEvent, Loading, Ready, Result, Status
from spa_lsp.engine.private_socket import kill_peer
from spa_lsp.engine.supervisor import MAX_DEATHS, Backoff
from spa_lsp.engine.watchdog import HANG_S
from spa_lsp.errors import Damaged, Hung, SpaError, Unavailable

LATE_S = 15.0  # beyond a request's own deadline: an answer would be of no use any more
WATCH_ID = 0  # of the messages about the engine itself; calls count from 1
PING_ID = -1  # of those that only have to be answered
MAX_SILENT = 4  # pings in a row, within HANG_S

OnEvent = Callable[[LinkEvent], None]

logger = logging.getLogger(__name__)


class EngineLink:
    """Asks the engine and never waits for one to come up.

    `on_problem` is told what only the user can fix, `on_event` how the engine is.
    """

    def __init__(
        self,
        open_channel: Callable[[OnNotice], Awaitable[Channel]],
        on_problem: Callable[[SpaError], None],
        backoff: Backoff | None = None,
        on_event: OnEvent = lambda event: None,
    ) -> None:
        self._open = open_channel
        self._on_problem = on_problem
        self._on_event = on_event
        self._backoff = backoff or Backoff()
        self._channel: Channel | None = None
        self._task: asyncio.Task[None] | None = None
        self._disabled: set[str] = set()  # adapters whose numbers were told not to be finite
        self._is_closed = False
        self._is_wanted = False  # a request came to nothing; clients may wait for `ready` and not ask again

    def start(self) -> None:
        """Connect in the background, starting an engine if there is none, as soon as its last death allows it."""
        if self._task is None and not self._backoff.is_off and not self._is_closed:
            self._task = asyncio.create_task(self._live())

    @property
    def is_connected(self) -> bool:
        """Whether requests reach an engine now; it may still be loading."""
        return self._channel is not None

    def ask_names(self) -> None:
        """Ask which base and set the engine holds; `on_event` is told."""
        if self._channel:
            self._channel.send({"type": "status", "id": WATCH_ID})

    def close(self) -> None:
        """End the connection without a further word of it; the engine cancels what it still does for it."""
        self._is_closed = True
        if self._channel:
            self._channel.close()
        elif self._task:
            self._task.cancel()

    async def complete(
        self, request: CompletionRequest, on_alternative: OnAlternative | None = None
    ) -> CompletionResult | None:
        """The engine's result; None while it starts or loads, when it is gone or late or cannot serve the request.

        `on_alternative` gets each alternative as soon as it has finished.
        """
        if self._channel is None:
            self._want()
            return None
        result = None
        self._on_event(events.Busy())
        try:
            async with asyncio.timeout(request.deadline_s + LATE_S if request.deadline_s is not None else None):
                result = await self._ask(self._channel, request, on_alternative)
        except TimeoutError:
            logger.warning("the engine did not answer in time")
        finally:
            self._on_event(events.Done(is_served=result is not None))
        return result

    async def _ask(
        self, channel: Channel, request: CompletionRequest, on_alternative: OnAlternative | None
    ) -> CompletionResult | None:
        def on_event(event: events.Event) -> None:
            if on_alternative and isinstance(event, Found):
                self._on_event(events.Using(adapter_set=event.adapter_set))
                on_alternative(event.alternative)

        try:
            answer = await channel.ask({"type": "complete", "request": asdict(request)}, on_event)
        except ConnectionLost as loss:
            if loss.last_word is None:
                self._want()
            return None
        match answer:
            case Result(result=result):
                self._learn(result)
                return result
            case Failed(is_loading=True):
                self._is_wanted = True
            case Failed():
                self._tell(answer.error)
        return None

    def _want(self) -> None:
        self._is_wanted = True
        self.start()

    def _learn(self, result: CompletionResult) -> None:
        self._tell_of_disabled(result)
        if result.alternatives:
            self._on_event(events.Names(base=result.base, adapter_set=result.adapter_set))

    def _tell_of_disabled(self, result: CompletionResult) -> None:
        names = {alternative.adapter for alternative in result.alternatives if alternative.finish == "disabled"}
        if names <= self._disabled:
            return
        self._disabled |= names
        what = f"{', '.join(sorted(names))} of {result.adapter_set or result.base} gave numbers that are not finite"
        self._on_problem(Damaged(f"{what}; choose another set: spa-lsp adapters use NAME"))

    def _tell(self, error: SpaError) -> None:
        """What passes by itself, or what the user cannot change, stays in the log."""
        if isinstance(error, Unavailable):
            logger.warning("%s", error)
        else:
            self._is_wanted = False
            self._on_event(Failed.of(error, None))
            self._on_problem(error)

    async def _live(self) -> None:
        """One channel from its beginning to its end."""
        is_death = True
        try:
            await asyncio.sleep(self._backoff.delay_s())
            self._on_event(events.Starting())
            is_death = not await self._serve(await self._open(self._watch))
        except (SpaError, OSError) as error:
            self._tell(error if isinstance(error, SpaError) else Unavailable(f"lost the engine: {error}"))
        except asyncio.CancelledError:
            self._is_closed = True  # by `close`, or the event loop ends: another task would never run
            raise
        finally:
            self._end(is_death=is_death)

    async def _serve(self, channel: Channel) -> bool:
        """Be connected until the engine is gone; whether it meant to go."""
        self._channel = channel
        channel.send({"type": "wait", "id": WATCH_ID})
        watching = asyncio.create_task(self._watch_silence(channel))
        try:
            loss = await channel.ended
        finally:
            watching.cancel()
            channel.close()
        if loss.last_word:
            self._tell(loss.last_word)
        elif not loss.is_intended and not self._is_closed:
            logger.warning("lost the engine: it ended without a word")
        return loss.is_intended

    def _watch(self, event: events.Event) -> None:
        """Hand on what the engine says of itself; once it has loaded, ask for the names of what it holds."""
        match event:
            case Ready():
                self._is_wanted = False
                self._backoff.record_ready()
                self._on_event(event)
                self.ask_names()
            case Status(id=0, status=status):
                names = ("base", "adapter_set", "prompt_tokens_per_s")
                self._on_event(events.Names(**{name: status[name] for name in names}))
            case Loading():
                self._on_event(event)
            case Failed(id=0):
                self._is_wanted = False
                self._on_event(event)

    async def _watch_silence(self, channel: Channel) -> None:
        """Kill an engine that was stopped or hangs with all its threads: its own watchdog cannot.

        Pings are counted, not seconds: who was stopped may have been this process.
        """
        n_silent = 0
        while n_silent < MAX_SILENT:
            await asyncio.sleep(HANG_S / MAX_SILENT)
            n_silent = 0 if channel.is_heard else n_silent + 1
            channel.is_heard = False
            channel.send({"type": "status", "id": PING_ID})
        if kill_peer(channel.sock):
            what = f"the engine did not answer for {HANG_S:.0f} s and was ended"
            way_out = "it is started again when it is needed; if that happens again: spa-lsp doctor"
            channel.close(Hung(f"{what}; {way_out}"))

    def _end(self, *, is_death: bool) -> None:
        self._task = self._channel = None
        if self._is_closed:
            return
        if is_death:
            self._backoff.record_death()
            self._report_if_off()
        self._on_event(events.Gone())
        if self._is_wanted:
            self.start()

    def _report_if_off(self) -> None:
        if self._backoff.is_off:
            error = Unavailable(f"the engine died {MAX_DEATHS} times in a short while and is left off")
            self._on_event(Failed.of(error, None))
            way_out = "see `spa-lsp doctor`, then run the command spa-lsp.restartEngine"
            self._on_problem(Unavailable(f"{error}; {way_out}"))
