"""The clock and the watch over `tester` processes, and a pool of them, because starting one takes 0.1 s."""

import atexit
import json
import os
import selectors
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spa_lsp.child import own_python
from trainer.evaluate.sandbox.capture import TICK_S
from trainer.evaluate.sandbox.limits import Limits
from trainer.evaluate.sandbox.memory import resident_bytes
from trainer.evaluate.sandbox.process import ENVIRONMENT, Backend, kill_tree

ROOT = Path(__file__).parents[3]
MAX_ANSWER_BYTES = 64 << 10

TesterReply = dict[str, Any]  # kind (an OutcomeKind), error, seconds


class Tester:
    """One `tester` process. It is gone after a job that was ended from here; `is_alive` says so."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        life, self._life = os.pipe()
        command = own_python("-m", "trainer.evaluate.judge.trusted_process", json.dumps(asdict(backend)), str(life))
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
                pass_fds=[life],
                start_new_session=True,  # Ctrl-C is ours
            )
        finally:
            os.close(life)

    @property
    def is_alive(self) -> bool:
        """Whether it can take another job."""
        return self._process.poll() is None

    def ask(self, job: dict[str, Any], limits: Limits) -> TesterReply:
        """Do one job; over a limit, the process and the sandbox are killed."""
        started = time.monotonic()
        try:
            self._send({**job, "limits": asdict(limits)})
            answer = self._receive(deadline=started + limits.wall_s, memory_bytes=limits.memory_bytes)
        except BrokenPipeError:
            answer = _gone(is_ready=False)
        if "seconds" not in answer:
            self.close()
        return {"seconds": time.monotonic() - started, **answer}

    def stop(self) -> None:
        """Kill it and what it has started, from another thread than the one that waits for its answer."""
        kill_tree(self._process)

    def close(self) -> None:
        """Kill it and what it has started, and forget it."""
        self.stop()
        os.close(self._life)
        self._process.communicate()

    def _send(self, job: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self._process.stdin.flush()

    def _receive(self, *, deadline: float, memory_bytes: int) -> TesterReply:
        """The answer, without `seconds` when there is none."""
        assert self._process.stdout is not None
        is_ready, buffer = False, b""
        next_check = time.monotonic() + TICK_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while (now := time.monotonic()) < deadline:
                if now >= next_check:
                    # before, it may be a fork of the tester, whose own memory is no fault of the program
                    if is_ready and resident_bytes(self._process.pid, is_counted=False) > memory_bytes:
                        return {"kind": "memory", "error": "all processes together"}
                    next_check = now + TICK_S
                if not selector.select(min(deadline, next_check) - now):
                    continue
                piece = os.read(self._process.stdout.fileno(), MAX_ANSWER_BYTES)
                if not piece:
                    return _gone(is_ready=is_ready)
                *lines, buffer = (buffer + piece).split(b"\n")
                for line in lines:
                    answer: TesterReply = json.loads(line)
                    if "kind" in answer:
                        return answer
                    is_ready = True
        return {"kind": "timeout", "error": "wall clock"}


def _gone(*, is_ready: bool) -> TesterReply:
    """The tester has died. Once the sandbox stood, it is what the candidate answered that it died of."""
    if is_ready:
        return {"kind": "failed", "error": "the test could not take the result"}
    return {"kind": "sandbox_error", "error": "the tester ended before the sandbox stood"}


_idle: list[Tester] = []
_busy: list[Tester] = []
_lock = threading.Lock()


@contextmanager
def borrow(backend: Backend) -> Iterator[Tester]:
    """A tester of the pool, or a new one; it goes back when it is still alive."""
    tester = _take(backend) or Tester(backend)
    with _lock:
        _busy.append(tester)
    try:
        yield tester
    finally:
        with _lock:
            _busy.remove(tester)
    if tester.is_alive:
        with _lock:
            _idle.append(tester)


@contextmanager
def stopped_on_interrupt() -> Iterator[None]:
    """Ctrl-C inside does not wait for the programs that run in other threads: they and their testers are killed."""
    try:
        yield
    except KeyboardInterrupt:
        with _lock:
            busy = list(_busy)
        for tester in busy:
            tester.stop()
        raise


@atexit.register
def close_all() -> None:
    """End all idle testers."""
    with _lock:
        while _idle:
            _idle.pop().close()


def _take(backend: Backend) -> Tester | None:
    with _lock:
        for tester in _idle:
            if tester.backend == backend and tester.is_alive:
                _idle.remove(tester)
                return tester
    return None
