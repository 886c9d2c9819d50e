"""The engine seen from a command or the trainer: a `Completer` that blocks; and what a front needs, see `link.py`.

Nothing here imports torch; the engine is a process of its own, started when it is not there.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from spa_lsp import paths
from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.completion import (
    CompletionRequest,
    CompletionResult,
    IsCancelled,
    OnAlternative,
    alternative_from_json,
    result_from_json,
)
from spa_lsp.engine import supervisor, wire
from spa_lsp.engine.connection import Connection, ConnectionLost, open_connection
from spa_lsp.engine.link import EngineLink, OnEvent
from spa_lsp.engine.private_socket import kill_peer, try_connect
from spa_lsp.errors import SpaError, Unavailable

IDLE_S = 1800.0
POLL_S = 0.02  # how soon a cancel is noticed

_STATUS_TIMEOUT_S = 5.0
_STOP_TIMEOUT_S = 30.0

__all__ = ["EngineClient", "EngineLink", "engine_status", "open_link", "running_engines", "stop_engine"]

OnLoading = Callable[[str, float], None]  # stage, fraction of the whole load

logger = logging.getLogger(__name__)


class EngineClient:
    """A `Completer` that asks the engine; when the engine dies it is started again and asked once more."""

    def __init__(
        self,
        path: Path,
        *,
        command: Sequence[str] | None = None,
        adapter_set: str | None = None,
        on_loading: OnLoading | None = None,
    ) -> None:
        self._path = path
        self._command = command
        self._adapter_set = adapter_set
        self._on_loading = on_loading
        self._backoff = supervisor.Backoff()
        self._lock = threading.Lock()
        self._n_calls = 0
        self._connection = open_connection(path, command=command, adapter_set=adapter_set)

    @classmethod
    def connect(
        cls,
        base_id: str | None = None,
        adapter_set: str | None = None,
        quantization: str = "auto",
        *,
        start: bool = True,
        idle_s: float = IDLE_S,
        max_memory_mb: int | None = None,
        on_loading: OnLoading | None = None,
    ) -> "EngineClient":
        """A client of this user's engine for a base (None: the default one), which is started when there is none.

        Args:
            base_id: of the catalog.
            adapter_set: a set's name; None: the selected one.
            quantization: as in `LocalCompleter.load`.
            start: False: only an engine that is there already.
            idle_s: a started engine ends after so many seconds without a client.
            max_memory_mb: and when it has more memory than this.
            on_loading: told the stage and the fraction while a call waits for the base.

        Raises:
            Unavailable: no engine, and none may or can be started.
        """
        base_id = base_id or DEFAULT_BASE
        command = None
        if start:
            command = supervisor.engine_command(base_id, adapter_set, quantization, idle_s, max_memory_mb)
        path = supervisor.socket_path(base_id, quantization)
        return cls(path, command=command, adapter_set=adapter_set, on_loading=on_loading)

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
        return result_from_json(answer["result"])

    def wait_until_loaded(self) -> None:
        """Return when the engine has its base; an engine whose load failed tries again.

        Raises:
            SpaError: why it cannot load.
        """
        self._call({"type": "wait"})

    def status(self) -> dict[str, Any]:
        """What `spa-lsp engine status --json` prints; answered while loading and computing too."""
        return _without_head(self._call({"type": "status"}))

    def stop(self) -> None:
        """End the engine, whoever else uses it."""
        stop_engine(self._path)

    def close(self) -> None:
        """End this client; the engine goes on."""
        self._connection.close()

    def _call(
        self,
        message: wire.Message,
        on_alternative: OnAlternative | None = None,
        is_cancelled: IsCancelled | None = None,
    ) -> wire.Message:
        with self._lock:
            try:
                return self._ask(message, on_alternative, is_cancelled)
            except ConnectionLost as loss:
                self._reconnect(loss)
            try:
                return self._ask(message, on_alternative, is_cancelled)
            except ConnectionLost as loss:
                raise Unavailable(f"{loss} twice over one request; {self._see_log()}") from loss

    def _reconnect(self, loss: ConnectionLost) -> None:
        self._connection.close()
        if self._command is None:
            raise Unavailable(f"{loss}; start it again with: spa-lsp engine start") from loss
        if not loss.is_intended:
            self._backoff.record_death()
        if self._backoff.is_off:
            raise Unavailable(f"the engine died {supervisor.MAX_DEATHS} times in a short while; {self._see_log()}")
        logger.warning("%s; starting it again in %.0f s", loss, self._backoff.delay_s())
        time.sleep(self._backoff.delay_s())
        self._connection = open_connection(self._path, command=self._command, adapter_set=self._adapter_set)

    def _ask(
        self, message: wire.Message, on_alternative: OnAlternative | None, is_cancelled: IsCancelled | None
    ) -> wire.Message:
        self._n_calls += 1
        call = {"id": self._n_calls}
        self._connection.send({**message, **call})
        try:
            return self._await_answer(call, on_alternative, is_cancelled)
        except (SpaError, ConnectionLost):
            raise
        except BaseException:
            self._connection.send({"type": "cancel", **call})  # the caller gave up: free the engine
            raise

    def _await_answer(
        self, call: wire.Message, on_alternative: OnAlternative | None, is_cancelled: IsCancelled | None
    ) -> wire.Message:
        is_told = False
        while True:
            message = self._connection.receive(POLL_S if is_cancelled else None)
            if is_cancelled and not is_told and is_cancelled():
                self._connection.send({"type": "cancel", **call})
                is_told = True
            if message is None:
                continue
            if message["type"] == "error" and message.get("id") is None:
                raise wire.to_error(message)  # it ends, and says why
            if message.get("id") != call["id"]:
                continue  # what is left of a call given up has another id
            match message["type"]:
                case "alternative":
                    if on_alternative:
                        on_alternative(alternative_from_json(message["alternative"]))
                case "loading":
                    if self._on_loading:
                        self._on_loading(message["stage"], message["fraction"])
                case "error":
                    raise wire.to_error(message)
                case _:
                    return message

    def _see_log(self) -> str:
        return f"see its log, {supervisor.log_path(self._path)}"


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

    Args:
        base_id: of the catalog.
        adapter_set: a set's name; None: the selected one.
        quantization: as in `LocalCompleter.load`.
        idle_s: a started engine ends after so many seconds without a client.
        max_memory_mb: and when it has more memory than this.
        are_limits_new: these two are to be those of one that runs already, too.
        on_problem: told, in the event loop, what only the user can mend.
        on_event: told there how the engine is, see `link.OnEvent`.
        command: starts another engine than the usual one.
    """
    command = command or supervisor.engine_command(base_id, adapter_set, quantization, idle_s, max_memory_mb)
    path = supervisor.socket_path(base_id, quantization)
    limits = {"idle_s": idle_s, "max_memory_mb": max_memory_mb or 0} if are_limits_new else None
    connect = partial(open_connection, path, command=command, adapter_set=adapter_set, limits=limits)
    return EngineLink(connect, on_problem, on_event=on_event)


def stop_engine_of(base_id: str, quantization: str) -> None:
    """End the engine of a base, whoever uses it; does nothing when there is none.

    Raises:
        Unavailable: it did not end.
    """
    stop_engine(supervisor.socket_path(base_id, quantization))


def running_engines() -> list[dict[str, Any]]:
    """The status of every engine of this user."""
    found = [_ask_status(path) for path in sorted(paths.runtime_dir().glob("*.sock"))]
    return [status for status in found if status is not None]


def engine_status(base_id: str | None = None) -> dict[str, Any] | None:
    """The status of the engine of a base (None: of any base); None when there is none. Starts nothing."""
    return next((status for status in running_engines() if base_id in (None, status["base"])), None)


def stop_engine(path: Path) -> None:
    """End the engine at this socket, whoever uses it; does nothing when there is none.

    Raises:
        Unavailable: it did not end; the message names its process.
    """
    if sock := try_connect(path):
        connection = Connection(sock)
        try:
            _stop(connection)
        finally:
            connection.close()


def _stop(connection: Connection) -> None:
    """Ask and wait for the end of the connection, which is the engine's end; kill it when it does not listen."""
    try:
        connection.send({"type": "stop"})
        while connection.receive(_STOP_TIMEOUT_S):
            pass
    except ConnectionLost:
        return
    if not kill_peer(connection.sock):
        raise Unavailable(f"the engine did not end within {_STOP_TIMEOUT_S:.0f} s; end its process")


def _ask_status(path: Path) -> dict[str, Any] | None:
    sock = try_connect(path)
    if sock is None:
        return None
    connection = Connection(sock)
    try:
        connection.send({"type": "status", "id": 0})
        while message := connection.receive(_STATUS_TIMEOUT_S):
            if message["type"] == "status":
                return _without_head(message)
    except ConnectionLost:
        return None
    finally:
        connection.close()
    return None


def _without_head(message: wire.Message) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in ("type", "id")}
