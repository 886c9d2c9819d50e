"""The server elsewhere seen from a front: what `engine.link` offers, so that a front need not know which it has."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from spa_lsp.completion import CompletionRequest, CompletionResult, OnAlternative
from spa_lsp.engine.events import Busy, Done, Failed, LinkEvent, Names, Ready, Starting
from spa_lsp.errors import SpaError
from spa_lsp.offline import let_nothing_through

if TYPE_CHECKING:
    from spa_lsp.remote.engine import RemoteEngine

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)  # after so many failures in a row; a server is never given up
MAX_S = 60.0  # of a request without a deadline

_T = TypeVar("_T")

logger = logging.getLogger(__name__)


class Local(Protocol):
    """The engine of this machine, where it is to answer meanwhile."""

    def close(self) -> None:
        """Leave it."""

    async def complete(
        self, request: CompletionRequest, on_alternative: OnAlternative | None = None
    ) -> CompletionResult | None:
        """As `EngineLink.complete`."""


class RemoteLink:
    """Asks a server elsewhere; while that cannot answer, nobody waits for it.

    `on_problem` is told what the user should know, `on_event` how the server is. `open_local` makes a link to the
    engine here, which answers while the server does not; None: nobody does.
    """

    def __init__(
        self,
        make_engine: Callable[[], "RemoteEngine"],
        on_problem: Callable[[SpaError], None],
        on_event: Callable[[LinkEvent], None],
        *,
        open_local: Callable[[], Local] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_engine = make_engine
        self._on_problem = on_problem
        self._on_event = on_event
        self._open_local = open_local
        self._clock = clock
        self._engine: RemoteEngine | None = None
        self._local: Local | None = None
        self._n_asking_local = 0
        self._n_failures = 0
        self._asked_again_at = 0.0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False
        self.is_connected = False  # the last that was asked of it was answered

    def start(self) -> None:
        """See in the background whether it is there and has what is wanted."""
        self._spawn(self._check())

    def ask_names(self) -> None:
        """See again what it has."""
        if self._engine:
            self._engine.forget()
        self._asked_again_at = 0.0
        self.start()

    def close(self) -> None:
        """End all connections, and with them the work at the server; who waits for an answer gets none."""
        if self._is_closed:
            return  # else it would cut off the end of its connections
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        let_nothing_through()
        if self._engine:
            self._spawn(self._engine.close())
        if self._local:
            self._local.close()

    async def complete(
        self, request: CompletionRequest, on_alternative: OnAlternative | None = None
    ) -> CompletionResult | None:
        """The result; None while the server cannot answer, unless the engine here is to."""
        result = None
        if self._clock() >= self._asked_again_at and not self._is_closed:
            result = await self._until_closed(self._spawn(self._ask(request, on_alternative)))
        if result is not None or self._open_local is None or self._is_closed:
            return result
        self._local = self._local or self._open_local()
        self._n_asking_local += 1
        try:
            return await self._local.complete(request, on_alternative)
        finally:
            self._n_asking_local -= 1
            self._leave_local()

    async def _until_closed(self, asking: "asyncio.Task[CompletionResult | None]") -> CompletionResult | None:
        """What it gives; None if it was cancelled by `close`, and not by who waits."""
        try:
            return await asking
        except asyncio.CancelledError:
            waiting = asyncio.current_task()
            if not self._is_closed or waiting is None or waiting.cancelling():
                raise
            return None

    async def _ask(self, request: CompletionRequest, on_alternative: OnAlternative | None) -> CompletionResult | None:
        result = None
        self._on_event(Busy())
        try:
            if request.deadline_s is None:
                request = replace(request, deadline_s=MAX_S)
            result = await self._opened().complete(request, on_alternative, self._on_problem)
            self._succeed(Names(base=result.base, adapter_set=result.adapter_set))
        except SpaError as error:
            self._fail(error)
        finally:
            self._on_event(Done(is_served=result is not None))
        return result

    async def _check(self) -> None:
        self._on_event(Starting())
        try:
            model = await self._opened().check()
        except SpaError as error:
            self._fail(error)
            return
        self._on_event(Ready(id=0))
        self._succeed(Names(base=model.base_id, adapter_set=model.adapter_set.name if model.adapter_set else ""))

    def _opened(self) -> "RemoteEngine":
        """Raises BadInput: it may not be asked."""
        self._engine = self._engine or self._make_engine()
        return self._engine

    def _succeed(self, names: Names) -> None:
        self._n_failures, self.is_connected = 0, True
        self._leave_local()
        self._on_event(names)

    def _leave_local(self) -> None:
        """Let the engine here end when the server answers again: it has a base in memory."""
        if self._local and self.is_connected and not self._n_asking_local:
            self._local.close()
            self._local = None

    def _fail(self, error: SpaError) -> None:
        pause_s = PAUSES_S[min(self._n_failures, len(PAUSES_S) - 1)]
        self._n_failures, self.is_connected = self._n_failures + 1, False
        self._asked_again_at = self._clock() + pause_s
        if self._engine:
            self._engine.forget()
        meanwhile = "; meanwhile the engine here answers" if self._open_local else ""
        self._on_event(Failed.of(error, None))
        self._on_problem(type(error)(f"{error}{meanwhile}"))

    def _spawn(self, work: Coroutine[Any, Any, _T]) -> "asyncio.Task[_T]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
