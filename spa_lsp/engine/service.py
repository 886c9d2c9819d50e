"""The engine from its clients' side: one event loop that owns all state; the worker thread does the work.

What is loaded and how is the caller's business (`load`); torch is not imported here.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import psutil

from spa_lsp import __version__
from spa_lsp.completion import Alternative, CompletionRequest, CompletionResult, request_from_json
from spa_lsp.engine import private_socket, supervisor, wire
from spa_lsp.engine.events import Failed, Found, Hello, Loading, Ready, Result, Status, Stopping
from spa_lsp.engine.jobs import EngineJob, JobQueue
from spa_lsp.engine.session import Session
from spa_lsp.engine.watchdog import Watchdog, log_threads
from spa_lsp.engine.worker import MORE_MEMORY, About, Load, Worker
from spa_lsp.errors import BadInput, Hung, NoMemory, SpaError, TooNew, Unavailable

_UNKNOWN = CompletionResult(base="", adapter_set="", quantization="", device="")
FAILED_IDLE_S = 60.0  # an engine without a base is worth nothing, but its last client may ask why
MEMORY_POLL_S = 1.0
WORKER_POLL_S = 0.5
RELOAD_AFTER_S = 30.0  # a front asks at every keystroke; the cause of a failed load is fixed by hand

logger = logging.getLogger(__name__)


def serve(
    socket_path: Path,
    load: Load,
    idle_s: float,
    *,
    about: About | None = None,
    max_memory_mb: int | None = None,
    hang_s: float | None = None,
) -> None:
    """Answer clients until one says `stop` or there was none for `idle_s`; at once when another engine is there.

    Args:
        socket_path: where to listen; readable by this user only.
        load: gets the completer, in the worker thread, while clients are greeted already.
        idle_s: seconds without a client until the end.
        about: what `status` says of base and quantization until they are loaded.
        max_memory_mb: more resident memory than this ends the engine.
        hang_s: a request without a step in so many seconds, or a load in ten times as many, ends this process.

    Raises:
        NoMemory: it had too little memory; the clients were told so. Hung: it got nowhere; so were they.
    """
    lock = supervisor.take_place(socket_path)
    if lock is None:
        logger.info("another engine listens at %s", socket_path)
        return
    try:
        watchdog = Watchdog(hang_s)
        service = Service(load, idle_s, about or {}, socket_path, max_memory_mb=max_memory_mb, watchdog=watchdog)
        asyncio.run(service.run())
    finally:
        socket_path.unlink(missing_ok=True)
        lock.release()


class Service:
    """The state of one engine. Every method runs in the event loop."""

    def __init__(
        self, load: Load, idle_s: float, about: About, path: Path, *, max_memory_mb: int | None, watchdog: Watchdog
    ) -> None:
        self._load = load
        self._idle_s = idle_s
        self._about = about
        self._path = path
        self._store, self._cache = supervisor.own_folders()  # for `engine status`
        self._max_memory_mb = max_memory_mb
        self._watchdog = watchdog
        self._state: Literal["loading", "ready", "failed"] = "loading"
        self._progress = ("starting", 0.0)
        self._failure: SpaError | None = None
        self._failed_at = 0.0
        self._started_at = time.monotonic()
        self._n_requests = 0
        self._n_cancelled = 0
        self._worked_s = 0.0  # spent on requests, whatever became of them
        self._cancelled_s = 0.0  # spent on requests that were given up while they ran
        self._job_began_at = 0.0
        self._sessions: set[Session] = set()
        self._waiters: list[tuple[Session, int]] = []  # who asked to be told when the completer is loaded
        self._jobs = JobQueue()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._trouble: SpaError | None = None  # why it ends against its will

    async def run(self) -> None:
        """Listen, load and serve until the end."""
        self._loop = asyncio.get_running_loop()
        self._is_ended = asyncio.Event()
        self._worker = Worker(self._load, self._post, self._watchdog)
        server = await asyncio.start_unix_server(self._serve_client, sock=private_socket.listen(self._path))
        self._begin_load()
        self._watch_idle()
        self._loop.call_later(MEMORY_POLL_S, self._watch_memory)  # not at once: the first client has to hear why
        self._watch_worker()
        await self._is_ended.wait()
        self._path.unlink(missing_ok=True)  # first, so that the next client starts an engine of its own
        server.close()
        await asyncio.gather(*(session.close() for session in self._sessions))
        if self._trouble:
            raise self._trouble

    def _post(self, function: Callable[..., None], *args: Any) -> None:
        """For the worker thread: run this in the event loop, unless the engine has just ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)

    # clients

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(writer)
        self._sessions.add(session)
        decoder = wire.FrameDecoder()
        try:
            while data := await reader.read(1 << 16):
                for message in decoder.feed(data):
                    self._receive(session, message)
        except (wire.FrameError, OSError) as error:
            logger.warning("dropped a client: %s", error)
        finally:
            self._forget(session)

    def _forget(self, session: Session) -> None:
        self._sessions.discard(session)
        self._jobs.cancel_all_of(session)
        self._waiters = [waiter for waiter in self._waiters if waiter[0] is not session]
        session.abort()
        if session.is_greeted:
            self._watch_idle()

    def _watch_idle(self) -> None:
        if self._idle_timer:
            self._idle_timer.cancel()
            self._idle_timer = None
        if not self._clients():
            idle_s = min(self._idle_s, FAILED_IDLE_S) if self._state == "failed" else self._idle_s
            self._idle_timer = self._loop.call_later(idle_s, self._end, f"no client for {idle_s:.0f} s")

    def _watch_memory(self) -> None:
        """End with a reason, before the machine ends us, or another program, without one."""
        if self._is_ended.is_set():
            return
        if self._max_memory_mb is None or (resident_mb := _resident_bytes() / 1e6) <= self._max_memory_mb:
            self._loop.call_later(MEMORY_POLL_S, self._watch_memory)
            return
        limit = f"over the {self._max_memory_mb} MB of the setting maxMemoryMb"
        had = f"the engine had {resident_mb:.0f} MB of memory"
        self._end_in_trouble(NoMemory(f"{had}, {limit}; raise that, or {MORE_MEMORY}"))

    def _watch_worker(self) -> None:
        """End when a request or the load gets nowhere: nothing else can be done about a thread that hangs."""
        if self._is_ended.is_set():
            return
        if not self._watchdog.is_late:
            self._loop.call_later(WORKER_POLL_S, self._watch_worker)
            return
        log_threads()
        what = "loading the model" if self._state == "loading" else "a request"
        where = f"see its log, {supervisor.log_path(self._path)}"
        how_long = f"the engine got nowhere with {what} for {self._watchdog.limit_s:.0f} s and was ended"
        self._end_in_trouble(Hung(f"{how_long}; it is started again when it is needed: {MORE_MEMORY}, or {where}"))

    def _end_in_trouble(self, trouble: SpaError) -> None:
        self._trouble = trouble
        logger.error("ending: %s", trouble)
        for session in self._sessions:
            session.send(Failed.of(trouble, None))  # not `stopping`: it counts as a death
        self._is_ended.set()

    def _clients(self) -> list[Session]:
        return [session for session in self._sessions if session.is_greeted]

    def _end(self, reason: str) -> None:
        logger.info("ending: %s", reason)
        for session in self._sessions:
            session.send(Stopping())
        self._is_ended.set()

    def _receive(self, session: Session, message: wire.Message) -> None:
        try:
            self._handle(session, message)
        except SpaError as error:
            call_id = message.get("id")
            session.send(Failed.of(error, call_id if isinstance(call_id, int) else None))

    def _handle(self, session: Session, message: wire.Message) -> None:
        match message:
            case {"type": "hello"}:
                self._greet(session, message)
            case {"type": "complete", "id": int(call_id), "request": dict(request)}:
                job = EngineJob(owner=session, id=call_id, request=_read_request(request))
                self._take(job, is_patient=bool(message.get("wait")))
            case {"type": "cancel", "id": int(call_id)}:
                self._answer_cancelled(self._jobs.cancel(session, call_id))
            case {"type": "wait", "id": int(call_id)}:
                self._wait(session, call_id)
            case {"type": "status", "id": int(call_id)}:
                session.send(Status(id=call_id, status=self._status()))
            case {"type": "stop"}:
                self._end("asked to")
            case _:
                raise BadInput(f"the engine does not know the message {message.get('type')!r} in this form")

    def _greet(self, session: Session, message: wire.Message) -> None:
        if message.get("protocol") != wire.PROTOCOL:
            theirs = message.get("protocol")
            raise TooNew(f"the engine speaks protocol {wire.PROTOCOL}, the client {theirs}; run: spa-lsp engine stop")
        session.is_greeted = True
        session.adapter_set = message.get("adapter_set")
        match message:
            case {"idle_s": int() | float() as idle_s, "max_memory_mb": int(max_memory_mb)}:  # the newest settings
                self._idle_s, self._max_memory_mb = idle_s, max_memory_mb or None
        self._watch_idle()
        hello = Hello(id=message.get("id"), protocol=wire.PROTOCOL, version=__version__, pid=os.getpid())
        session.send(hello)

    def _status(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "version": __version__,
            **_names(self._about),
            "kernel": str(self._about.get("kernel", "")),
            "prompt_tokens_per_s": self._about.get("prompt_tokens_per_s", 0.0),
            "state": self._state,
            "load_stage": self._progress[0],
            "load_fraction": self._progress[1],
            "error": str(self._failure) if self._state == "failed" else "",
            "resident_bytes": _resident_bytes(),
            "n_clients": len(self._clients()),
            "n_requests": self._n_requests,
            "n_cancelled": self._n_cancelled,
            "worked_s": round(self._worked_s, 3),
            "cancelled_s": round(self._cancelled_s, 3),
            "uptime_s": round(time.monotonic() - self._started_at, 1),
            "socket": str(self._path),
            "store": self._store,
            "cache": self._cache,
        }

    # requests

    def _take(self, job: EngineJob, *, is_patient: bool) -> None:
        self._n_requests += 1
        if is_patient or time.monotonic() - self._failed_at > RELOAD_AFTER_S:
            self._reload_if_failed()
        if self._state == "failed" and self._failure:
            raise self._failure
        if self._state == "loading" and not is_patient:
            stage, fraction = self._progress
            error = Unavailable(f"the engine is loading ({stage}, {fraction:.0%}); try again in a while")
            job.owner.send(Failed.of(error, job.id, is_loading=True))
            return
        if self._jobs.is_full_for(job.owner):
            raise Unavailable("too many requests wait for the engine; try again in a while")
        self._answer_cancelled(self._jobs.add(job))
        self._start_next_job()

    def _start_next_job(self) -> None:
        if self._state == "ready" and (job := self._jobs.start_next()):
            self._job_began_at = time.monotonic()
            self._worker.compute(
                job.request,
                adapter_set=job.owner.adapter_set,
                on_alternative=partial(_send_alternative, job),
                is_cancelled=job.cancelled.is_set,
                on_done=partial(self._finish_job, job),
            )

    def _finish_job(self, job: EngineJob, answer: CompletionResult | SpaError, about: About) -> None:
        self._about = about
        self._jobs.finish()
        took_s = time.monotonic() - self._job_began_at
        self._worked_s += took_s
        if isinstance(answer, SpaError):
            job.owner.send(Failed.of(answer, job.id))
        else:
            if answer.is_cancelled:
                self._n_cancelled += 1
                self._cancelled_s += took_s
            _send_result(job, answer)
        self._start_next_job()

    def _answer_cancelled(self, jobs: list[EngineJob]) -> None:
        self._n_cancelled += len(jobs)
        for job in jobs:
            _send_result(job, replace(_UNKNOWN, **_names(self._about), is_cancelled=True))

    # loading

    def _begin_load(self) -> None:
        self._state = "loading"
        self._progress = ("starting", 0.0)
        self._worker.load(self._on_progress, self._on_load_done)

    def _reload_if_failed(self) -> None:
        if self._state == "failed":
            self._begin_load()

    def _wait(self, session: Session, call_id: int) -> None:
        self._reload_if_failed()
        if self._state == "ready":
            session.send(Ready(id=call_id))
        else:
            self._waiters.append((session, call_id))

    def _on_progress(self, stage: str, fraction: float) -> None:
        self._progress = (stage, fraction)
        for session, call_id in self._all_who_wait():
            session.send(Loading(id=call_id, stage=stage, fraction=fraction))

    def _on_load_done(self, outcome: About | SpaError) -> None:
        if isinstance(outcome, SpaError):
            self._on_load_failed(outcome)
            return
        logger.info("ready: %s", outcome)
        self._state, self._about, self._progress = "ready", outcome, ("ready", 1.0)
        for session, call_id in self._waiters:
            session.send(Ready(id=call_id))
        self._waiters.clear()
        self._start_next_job()

    def _on_load_failed(self, error: SpaError) -> None:
        logger.error("could not load: %s", error)
        self._state, self._failure, self._failed_at = "failed", error, time.monotonic()
        for session, call_id in self._all_who_wait():
            session.send(Failed.of(error, call_id))
        self._waiters.clear()
        self._jobs.waiting.clear()
        self._watch_idle()

    def _all_who_wait(self) -> list[tuple[Session, int]]:
        return [*self._waiters, *((job.owner, job.id) for job in self._jobs.waiting)]


def _resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def _read_request(data: dict[str, Any]) -> CompletionRequest:
    try:
        return request_from_json(data)
    except (TypeError, ValueError, KeyError) as error:
        raise BadInput(f"the engine cannot read this request: {error}") from error


def _send_alternative(job: EngineJob, adapter_set: str, alternative: Alternative) -> None:
    job.owner.send(Found(id=job.id, alternative=alternative, adapter_set=adapter_set))


def _send_result(job: EngineJob, result: CompletionResult) -> None:
    job.owner.send(Result(id=job.id, result=result))


def _names(about: About) -> dict[str, Any]:
    return {name: str(about.get(name, "")) for name in ("base", "adapter_set", "quantization", "device")}
