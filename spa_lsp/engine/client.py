"""The engine seen from a command or the trainer: a `Completer` that blocks; and what a front needs, see `link.py`.

Nothing here imports torch; the engine is a process of its own, started when it is not there.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from spa_lsp import paths
from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.completion import CompletionRequest, CompletionResult, IsCancelled, OnAlternative
from spa_lsp.engine import supervisor, wire
from spa_lsp.engine.channel import POLL_S, Channel, ConnectionLost, open_channel
from spa_lsp.engine.events import Event, Failed, Found, Loading, Result, Status
from spa_lsp.engine.link import EngineLink, OnEvent
from spa_lsp.engine.private_socket import peer_pid, try_connect
from spa_lsp.errors import SpaError, Unavailable

IDLE_S = 1800.0

_STATUS_TIMEOUT_S = 5.0
_STOP_TIMEOUT_S = 30.0
_SILENT_STOP_TIMEOUT_S = 1.0

__all__ = ["EngineClient", "EngineLink", "open_link", "running_engines", "stop_engine"]

_GIVEN_UP = CompletionResult(base="", adapter_set="", quantization="", device="", is_cancelled=True)

OnLoading = Callable[[str, float], None]  # stage, fraction of the whole load
T = TypeVar("T")

logger = logging.getLogger(__name__)


class EngineClient:
    """A `Completer` that asks the engine; when the engine dies it is started again and asked once more."""

    def __init__(
        self,
        path: Path,
        *,
        command: Sequence[str] | None = None,
        adapter_set: str | None = None,
        limits: Mapping[str, float] | None = None,
        on_loading: OnLoading | None = None,
    ) -> None:
        self._path = path
        self._may_start = command is not None
        self._on_loading = on_loading
        self._backoff = supervisor.Backoff()
        self._lock = threading.Lock()
        self._open = partial(open_channel, path, command=command, adapter_set=adapter_set, limits=limits)
        self._runner = _new_runner()  # its event loop runs during calls only
        try:
            self._channel = self._runner.run(self._open())
        except BaseException:
            self._runner.close()
            raise
        self._mourned: Channel | None = None  # the last one of which the death was counted

    @classmethod
    def connect(
        cls,
        base_id: str | None = None,
        adapter_set: str | None = None,
        quantization: str = "auto",
        *,
        idle_s: float = IDLE_S,
        max_memory_mb: int | None = None,
        are_limits_new: bool = False,
        on_loading: OnLoading | None = None,
    ) -> "EngineClient":
        """A client of this user's engine for a base (None: the default one), which is started when there is none.

        Args:
            base_id: of the catalog.
            adapter_set: a set's name; None: the selected one.
            quantization: as in `LocalCompleter.load`.
            idle_s: a started engine ends after so many seconds without a client.
            max_memory_mb: and when it has more memory than this.
            are_limits_new: these two are to be those of an engine that runs already, too.
            on_loading: told the stage and the fraction while a call waits for the base.

        Raises:
            Unavailable: no engine, and none can be started.
        """
        base_id = base_id or DEFAULT_BASE
        command = supervisor.engine_command(base_id, adapter_set, quantization, idle_s, max_memory_mb)
        path = supervisor.socket_path(base_id, quantization)
        limits = _limits(idle_s, max_memory_mb) if are_limits_new else None
        return cls(path, command=command, adapter_set=adapter_set, limits=limits, on_loading=on_loading)

    def complete(
        self,
        request: CompletionRequest,
        *,
        on_alternative: OnAlternative | None = None,
        is_cancelled: IsCancelled | None = None,
    ) -> CompletionResult:
        """Ask the engine, waiting while it loads. After its death alternatives may be announced a second time."""
        message = {"type": "complete", "request": asdict(request), "wait": True}
        answer = self._call(message, on_alternative, is_cancelled)
        assert isinstance(answer, Result)
        return answer.result

    def wait_until_loaded(self) -> None:
        """Return when the engine has its base; an engine whose load failed tries again.

        Raises:
            SpaError: why it cannot load.
        """
        self._call({"type": "wait"})

    def status(self) -> dict[str, Any]:
        """What `spa-lsp engine status --json` prints; answered while loading and computing too."""
        answer = self._call({"type": "status"})
        assert isinstance(answer, Status)
        return answer.status

    def stop(self) -> None:
        """End the engine, whoever else uses it."""
        stop_engine(self._path)

    def close(self) -> None:
        """End this client; the engine goes on."""
        with self._lock:
            self._channel.close()
            self._runner.close()

    def _call(
        self,
        message: wire.Message,
        on_alternative: OnAlternative | None = None,
        is_cancelled: IsCancelled | None = None,
    ) -> Event:
        def on_event(event: Event) -> None:
            match event:
                case Found(alternative=alternative) if on_alternative:
                    on_alternative(alternative)
                case Loading(stage=stage, fraction=fraction) if self._on_loading:
                    self._on_loading(stage, fraction)

        with self._lock:
            answer = self._runner.run(self._ask(message, on_event, is_cancelled))
        if isinstance(answer, Failed):
            raise answer.error
        return answer

    async def _ask(
        self, message: wire.Message, on_event: Callable[[Event], None], is_cancelled: IsCancelled | None
    ) -> Event:
        """The answer; of another engine when the first one dies over it."""
        try:
            return await self._channel.ask(message, on_event, is_cancelled=is_cancelled)
        except ConnectionLost as loss:
            if not await _finishes(self._reconnect(loss), is_cancelled):
                return Result(id=0, result=_GIVEN_UP)
        try:
            return await self._channel.ask(message, on_event, is_cancelled=is_cancelled)
        except ConnectionLost as loss:
            raise loss.last_word or Unavailable(f"{loss} twice over one request; {self._see_log()}") from loss

    async def _reconnect(self, loss: ConnectionLost) -> None:
        if loss.last_word:
            raise loss.last_word from loss
        if not self._may_start:
            raise Unavailable(f"{loss}; start it again with: spa-lsp engine start") from loss
        if not loss.is_intended and self._channel is not self._mourned:
            self._backoff.record_death()
        self._mourned = self._channel  # who gives up now and asks again tells of the same death
        if self._backoff.is_off:
            raise Unavailable(f"the engine died {supervisor.MAX_DEATHS} times in a short while; {self._see_log()}")
        delay_s = self._backoff.delay_s()
        logger.warning("%s; starting it again in %.0f s", loss, delay_s)
        await asyncio.sleep(delay_s)
        self._channel = await self._open()

    def _see_log(self) -> str:
        return f"see its log, {supervisor.log_path(self._path)}"


async def _finishes(work: Coroutine[Any, Any, None], is_cancelled: IsCancelled | None) -> bool:
    """Whether it came to its end before the caller gave up."""
    task = asyncio.create_task(work)
    try:
        while is_cancelled is not None and not task.done():
            if is_cancelled():
                task.cancel()
                await asyncio.wait({task})
                return False
            await asyncio.wait({task}, timeout=POLL_S)
        await task
    finally:
        task.cancel()  # the caller may be cancelled, too
    return True


def open_link(
    base_id: str,
    adapter_set: str | None,
    quantization: str,
    *,
    idle_s: float,
    max_memory_mb: int | None = None,
    are_limits_new: bool = False,
    on_problem: Callable[[SpaError], None],
    on_event: OnEvent = lambda event: None,
    command: Sequence[str] | None = None,
) -> EngineLink:
    """A front's link to the engine of a base; nothing is connected or started until it is asked or told to `start`.

    Args, beside those of `EngineClient.connect`:
        on_problem: told, in the event loop, what only the user can fix.
        on_event: told there how the engine is, see `link.OnEvent`.
        command: starts another engine than the usual one.
    """
    command = command or supervisor.engine_command(base_id, adapter_set, quantization, idle_s, max_memory_mb)
    path = supervisor.socket_path(base_id, quantization)
    limits = _limits(idle_s, max_memory_mb) if are_limits_new else None
    connect = partial(open_channel, path, command=command, adapter_set=adapter_set, limits=limits)
    return EngineLink(lambda on_notice: connect(on_notice=on_notice), on_problem, on_event=on_event)


def _limits(idle_s: float, max_memory_mb: int | None) -> dict[str, float]:
    return {"idle_s": idle_s, "max_memory_mb": max_memory_mb or 0}


def stop_engine_of(base_id: str, quantization: str) -> None:
    """End the engine of a base, whoever uses it; does nothing when there is none.

    Raises:
        Unavailable: it did not end.
    """
    stop_engine(supervisor.socket_path(base_id, quantization))


def running_engines() -> list[dict[str, Any]]:
    """The status of every engine of this user, whatever store it has; `silent` is one that does not answer."""
    found = [_run(_ask_status(path)) for path in sorted(paths.runtime_dir().glob("*.sock"))]
    return [status for status in found if status is not None]


def has_own_store(status: dict[str, Any]) -> bool:
    """Whether the engine of this status serves who has our store and cache."""
    return (status.get("store"), status.get("cache")) == supervisor.own_folders()


def stop_engine(path: Path, *, is_silent: bool = False) -> None:
    """End the engine at this socket, whoever uses it; does nothing when there is none.

    One that is known to be silent is not waited for.

    Raises:
        Unavailable: it did not end, and cannot be killed.
    """
    _run(_stop(path, _SILENT_STOP_TIMEOUT_S if is_silent else _STOP_TIMEOUT_S))


async def _stop(path: Path, timeout_s: float) -> None:
    if sock := try_connect(path):
        channel = await Channel.over(sock)
        try:
            await channel.demand({"type": "stop"}, timeout_s)
        except ConnectionLost:
            pass  # which is what is wanted
        finally:
            channel.close()


async def _ask_status(path: Path) -> dict[str, Any] | None:
    if (sock := try_connect(path)) is None:
        return None
    channel = await Channel.over(sock)
    try:
        async with asyncio.timeout(_STATUS_TIMEOUT_S):
            answer = await channel.ask({"type": "status"})
    except TimeoutError:
        return {"state": "silent", "base": "", "pid": peer_pid(sock), "socket": str(path)}
    except ConnectionLost:
        return None
    finally:
        channel.close()
    return answer.status if isinstance(answer, Status) else None


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    with _new_runner() as runner:
        return runner.run(coroutine)


def _new_runner() -> asyncio.Runner:
    """One that leaves the thread's own event loop as it is."""
    return asyncio.Runner(loop_factory=asyncio.new_event_loop)
