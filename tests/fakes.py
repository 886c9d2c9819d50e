"""The one fake: a completer that needs no model, and engines in a thread or a process that serve it."""

import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spa_lsp import errors
from spa_lsp.completion import Alternative, CompletionResult
from spa_lsp.engine.client import has_own_store, running_engines, stop_engine
from spa_lsp.engine.private_socket import try_connect
from spa_lsp.engine.service import serve

PATIENCE_S = 60.0  # a wait that fails; the machine may be busy with something else
SLOW = {"n_steps": 9000, "step_s": 0.01}  # longer than any wait: a test that passes has seen it cancelled
NAMES = {"base": "fake-base", "quantization": "fp32", "device": "cpu"}
SOME_TEXTS = ("return a + b", "return sum([a, b])", "return add_all(a, b)")


@dataclass
class FakeCompleter:
    """Says `texts`, one per adapter `a1` …, after `n_steps` steps of `step_s` that each read the cancel."""

    texts: tuple[str, ...] = SOME_TEXTS
    n_steps: int = 1
    step_s: float = 0.0
    finish: str = "stop"
    slow_in: str = ""  # only a request with this in its prefix takes steps
    adapter_set: str = "fake-set"
    set_sha256: str = ""
    error: Exception | None = None  # raised by `complete`
    dies: bool = False  # the process is killed by `complete`
    grabs: bool = False  # `complete` hangs and lets no other thread run, as a kernel may
    pause_s: float = 0.0  # after each alternative
    echoes: bool = False  # the only text is the end of the prefix and a bar
    before: Callable[[], Any] = lambda: None  # called at the beginning of `complete`
    asked: list[Any] = field(default_factory=list)
    is_busy: threading.Event = field(default_factory=threading.Event)

    def describe(self):
        return {**NAMES, "adapter_set": self.adapter_set}

    def use_set(self, name):
        if name == "missing":
            raise errors.NotFound("no adapter set 'missing'; choose another")
        self.adapter_set = name or "fake-set"

    def complete(self, request, *, on_alternative=None, is_cancelled=None):
        self.asked.append(request)
        if self.error:
            raise self.error
        if self.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.grabs:
            ctypes.PyDLL(None).sleep(999)
        self.is_busy.set()
        self.before()
        for _ in range(self.n_steps if self.slow_in in request.prefix else 0):
            if is_cancelled and is_cancelled():
                return CompletionResult(**self.describe(), is_cancelled=True)
            time.sleep(self.step_s)
        texts = [request.prefix.split("\n")[-1] + "|"] if self.echoes else self.texts
        alternatives = tuple(make_alternative(text, index, finish=self.finish) for index, text in enumerate(texts))
        alternatives = tuple(replace(each, set_sha256=self.set_sha256) for each in alternatives)
        for alternative in alternatives:
            if on_alternative:
                on_alternative(alternative)
            if self.pause_s and is_cancelled:
                end = time.monotonic() + self.pause_s
                while time.monotonic() < end and not is_cancelled():
                    time.sleep(0.01)
        return CompletionResult(**self.describe(), alternatives=alternatives)

    def complete_many(self, requests, *, on_result=lambda number, result: None):
        results = []
        for number, request in enumerate(requests):
            results.append(self.complete(request))
            on_result(number, results[-1])
        return results


def make_alternative(text, index=0, *, label=None, finish="stop"):
    name = f"a{index + 1}"
    label = label or f"label of {name}"
    return Alternative(text=text, adapter=name, label=label, index=index, mean_logprob=-0.5, n_tokens=4, finish=finish)


@contextmanager
def engine_in_thread(socket_path, load, *, idle_s=60.0):
    """An engine in a thread of this process that serves what `load` gives; it is stopped at the end."""
    thread = threading.Thread(target=serve, args=(socket_path, load, idle_s), kwargs={"about": NAMES})
    thread.start()
    wait_until(lambda: is_listening(socket_path))
    try:
        yield
    finally:
        beside(stop_engine, socket_path)
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def beside(function, *args):
    """What a function gives that has an event loop of its own, where one may be running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result()


def engine_status(base_id=None):
    """The status of the engine of a base (None: of any) for our store and cache, if there is one."""
    return next((each for each in running_engines() if has_own_store(each) and base_id in (None, each["base"])), None)


def is_listening(socket_path):
    connection = try_connect(socket_path)
    if connection:
        connection.close()
    return connection is not None


def wait_until(is_true, timeout_s=PATIENCE_S):
    end = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < end, "this did not become true in time"
        time.sleep(0.01)


def fake_engine_command(socket_path, **options) -> list[str]:
    """The command line of an engine process with a FakeCompleter; options as in `main`."""
    return [sys.executable, "-P", __file__, str(socket_path), json.dumps(options)]


def main(socket_path, *, load_s=0.0, idle_s=60.0, load_error=None, log=None, limits=None, **fields):
    """An engine process: loads for `load_s` seconds, fails as `load_error` says, appends its pid to `log`.

    `limits` are those of `serve`; the fields those of the FakeCompleter.
    """

    def load(on_progress):
        for step in range(10):
            on_progress("weights", step / 10)
            time.sleep(load_s / 10)
        if load_error:
            raise errors.NotFound(load_error)
        if log:
            with open(log, "a") as file:
                file.write(f"{os.getpid()}\n")
        return FakeCompleter(**fields)

    serve(Path(socket_path), load, idle_s, about=NAMES, **(limits or {}))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], **json.loads(sys.argv[2]))
