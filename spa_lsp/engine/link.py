"""The engine seen from a front, on asyncio: one connection, opened in the background and never waited for."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict

from spa_lsp.completion import (
    CompletionRequest,
    CompletionResult,
    OnAlternative,
    alternative_from_json,
    result_from_json,
)
from spa_lsp.engine import wire
from spa_lsp.engine.connection import Connection, ConnectionLost
from spa_lsp.engine.private_socket import kill_peer
from spa_lsp.engine.supervisor import MAX_DEATHS, Backoff
from spa_lsp.engine.watchdog import HANG_S
from spa_lsp.errors import Damaged, Hung, SpaError, Unavailable

LATE_S = 15.0  # beyond a request's own deadline: an answer would be of no use any more
MAX_UNSENT_BYTES = 4 << 20  # an engine that reads nothing hangs
WATCH_ID = 0  # of the messages about the engine itself; requests count from 1
PING_ID = -1  # of those that only have to be answered
MAX_SILENT = 4  # pings in a row, within HANG_S

# type `starting`, `loading` (stage, fraction), `ready`, `names` (base, adapter_set, store,
# prompt_tokens_per_s), `busy`, `done` (is_served), `error` (message), `gone`
OnEvent = Callable[[wire.Message], None]

logger = logging.getLogger(__name__)


class EngineLink:
    """Asks the engine and never waits for one to come up.

    `on_problem` is told what only the user can mend, `on_event` how the engine is.
    """

    def __init__(
        self,
        open_connection: Callable[[], Connection],
        on_problem: Callable[[SpaError], None],
        backoff: Backoff | None = None,
        on_event: OnEvent = lambda event: None,
    ) -> None:
        self._open = open_connection
        self._on_problem = on_problem
        self._on_event = on_event
        self._backoff = backoff or Backoff()
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._calls: dict[int, asyncio.Future[wire.Message | None]] = {}
        self._listeners: dict[int, OnAlternative] = {}
        self._ids = itertools.count(1)
        self._disabled: set[str] = set()  # adapters whose numbers were told not to be finite
        self._is_stopping = False  # the engine said that it is about to end
        self._is_closed = False
        self._is_heard = False  # since the last ping
        self._is_wanted = False  # a request came to nothing; clients may wait for `ready` and not ask again

    def start(self) -> None:
        """Connect in the background, starting an engine if there is none, as soon as its last death allows it."""
        if self._task is None and not self._backoff.is_off and not self._is_closed:
            self._task = asyncio.create_task(self._live())

    @property
    def is_connected(self) -> bool:
        """Whether requests reach an engine now; it may still be loading."""
        return self._writer is not None

    def ask_names(self) -> None:
        """Ask which base and set the engine holds; `on_event` is told."""
        self._send({"type": "status", "id": WATCH_ID})

    def close(self) -> None:
        """End the connection without a further word of it; the engine cancels what it still does for it."""
        self._is_closed = True
        if self._writer:
            self._writer.close()
        elif self._task:
            self._task.cancel()

    async def complete(
        self, request: CompletionRequest, on_alternative: OnAlternative | None = None
    ) -> CompletionResult | None:
        """The engine's result; None while it starts or loads, when it is gone or late or cannot serve the request.

        `on_alternative` gets each alternative as soon as it has finished.
        """
        if not self.is_connected:
            self._is_wanted = True
            self.start()
            return None
        call_id = next(self._ids)
        answer = self._calls[call_id] = asyncio.get_running_loop().create_future()
        if on_alternative:
            self._listeners[call_id] = on_alternative
        self._send({"type": "complete", "id": call_id, "request": asdict(request)})
        self._on_event({"type": "busy"})
        result = None
        try:
            async with asyncio.timeout(request.deadline_s + LATE_S if request.deadline_s is not None else None):
                result = self._read_answer(await answer)
                return result
        except TimeoutError:
            logger.warning("the engine did not answer in time")
            self._send({"type": "cancel", "id": call_id})
            return None
        except asyncio.CancelledError:
            self._send({"type": "cancel", "id": call_id})
            raise
        finally:
            del self._calls[call_id]
            self._listeners.pop(call_id, None)
            self._on_event({"type": "done", "is_served": result is not None})

    def _read_answer(self, message: wire.Message | None) -> CompletionResult | None:
        if message is None:
            return None
        if message["type"] == "result":
            result = result_from_json(message["result"])
            self._tell_of_disabled(result)
            if result.alternatives:
                names = {"base": result.base, "adapter_set": result.adapter_set, "k": len(result.alternatives)}
                self._on_event({"type": "names", **names})
            return result
        if not message["is_loading"]:
            self._tell(wire.to_error(message))
        return None

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
            self._on_event({"type": "error", "message": str(error)})
            self._on_problem(error)

    def _send(self, message: wire.Message) -> None:
        if self._writer is None:
            return
        self._writer.write(wire.encode(message))
        if self._writer.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            logger.warning("the engine does not read; leaving it")
            self._writer.transport.abort()

    async def _live(self) -> None:
        """One connection from its beginning to its end."""
        self._is_stopping = False
        try:
            await asyncio.sleep(self._backoff.delay_s())
            self._on_event({"type": "starting"})
            connection = await asyncio.to_thread(self._open)
            reader, self._writer = await asyncio.open_unix_connection(sock=connection.sock)
            self._send({"type": "wait", "id": WATCH_ID})
            watching = asyncio.create_task(self._watch_silence(self._writer))
            try:
                await self._receive(reader, connection.decoder)
            finally:
                watching.cancel()
            if not self._is_stopping and not self._writer.is_closing():
                logger.warning("lost the engine: it ended without a word")
        except SpaError as error:
            self._tell(error)
        except (OSError, ConnectionLost, wire.FrameError) as error:
            logger.warning("lost the engine: %s", error)
        except asyncio.CancelledError:
            self._is_closed = True  # by `close`, or the event loop ends: another task would never run
            raise
        finally:
            self._end()

    async def _receive(self, reader: asyncio.StreamReader, decoder: wire.FrameDecoder) -> None:
        """Hand out answers until the engine is gone."""
        while data := await reader.read(1 << 16):
            self._is_heard = True
            for message in decoder.feed(data):
                self._hand_out(message)

    async def _watch_silence(self, writer: asyncio.StreamWriter) -> None:
        """Kill an engine that was stopped or hangs with all its threads: its own watchdog cannot.

        Pings are counted, not seconds: who was stopped may have been this process.
        """
        n_silent = 0
        while n_silent < MAX_SILENT:
            await asyncio.sleep(HANG_S / MAX_SILENT)
            n_silent = 0 if self._is_heard else n_silent + 1
            self._is_heard = False
            self._send({"type": "status", "id": PING_ID})
        if kill_peer(writer.get_extra_info("socket")):
            self._answer_all()
            what = f"the engine did not answer for {HANG_S:.0f} s and was ended"
            self._tell(Hung(f"{what}; it is started again when it is needed; if that happens again: spa-lsp doctor"))

    def _hand_out(self, message: wire.Message) -> None:
        self._is_stopping = self._is_stopping or message["type"] == "stopping"
        if message["type"] == "error" and message.get("id") is None:  # its last word
            self._answer_all()
            self._tell(wire.to_error(message))
        if message.get("id") == WATCH_ID:
            self._watch(message)
            return
        call_id = message.get("id") or 0
        answer, listener = self._calls.get(call_id), self._listeners.get(call_id)
        if listener and message["type"] == "alternative":
            listener(alternative_from_json(message["alternative"]))
        if answer and not answer.done() and message["type"] in ("result", "error"):
            self._is_wanted = self._is_wanted or bool(message.get("is_loading"))
            answer.set_result(message)

    def _watch(self, message: wire.Message) -> None:
        """Hand on what the engine says of itself; once it has loaded, ask for the names of what it holds."""
        match message:
            case {"type": "ready"}:
                self._is_wanted = False
                self._backoff.record_ready()
                self._on_event({"type": "ready"})
                self._send({"type": "status", "id": WATCH_ID})
            case {"type": "status"}:
                names = {name: message.get(name, "") for name in ("base", "adapter_set", "store")}
                speed = message.get("prompt_tokens_per_s", 0.0)
                self._on_event({"type": "names", **names, "prompt_tokens_per_s": speed})
            case {"type": "loading"}:
                self._on_event(message)
            case {"type": "error"}:
                self._is_wanted = False
                self._on_event(message)

    def _end(self) -> None:
        self._task = None
        if self._writer:
            with suppress(OSError):
                self._writer.close()
            self._writer = None
        self._is_wanted = self._answer_all() > 0 or self._is_wanted
        if self._is_closed:
            return
        if not self._is_stopping:
            self._backoff.record_death()
            self._report_if_off()
        self._on_event({"type": "gone"})
        if self._is_wanted:
            self.start()

    def _answer_all(self) -> int:
        """Answer with nothing who waits for the engine; how many those were."""
        waiting = [answer for answer in self._calls.values() if not answer.done()]
        for answer in waiting:
            answer.set_result(None)
        return len(waiting)

    def _report_if_off(self) -> None:
        if self._backoff.is_off:
            message = f"the engine died {MAX_DEATHS} times in a short while and is left off"
            self._on_event({"type": "error", "message": message})
            self._on_problem(
                Unavailable(f"{message}; see `spa-lsp doctor`, then run the command spa-lsp.restartEngine")
            )
