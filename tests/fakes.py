"""The one fake: a completer that needs no model, and engines in a thread or a process that serve it."""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spa_lsp import errors
from spa_lsp.completion import Alternative, CompletionResult

NAMES = {"base": "fake-base", "quantization": "fp32", "device": "cpu"}
SOME_TEXTS = ("return a + b", "return sum([a, b])", "return add_all(a, b)")


@dataclass
class FakeCompleter:
    """Says `texts`, one per adapter `a1` …, after `n_steps` steps of `step_s` that each read the cancel."""

    texts: tuple[str, ...] = SOME_TEXTS
    n_steps: int = 1
    step_s: float = 0.0
    adapter_set: str = "fake-set"
    error: Exception | None = None  # raised by `complete`
    dies: bool = False  # the process is killed by `complete`
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
        self.is_busy.set()
        for _ in range(self.n_steps):
            if is_cancelled and is_cancelled():
                return CompletionResult(**self.describe(), is_cancelled=True)
            time.sleep(self.step_s)
        alternatives = tuple(make_alternative(text, index) for index, text in enumerate(self.texts))
        for alternative in alternatives:
            if on_alternative:
                on_alternative(alternative)
        return CompletionResult(**self.describe(), alternatives=alternatives)


def make_alternative(text, index=0):
    name = f"a{index + 1}"
    return Alternative(
        text=text, adapter=name, label=f"label of {name}", index=index, mean_logprob=-0.5, n_tokens=4, finish="stop"
    )


def fake_engine_command(socket_path, **options) -> list[str]:
    """The command line of an engine process with a FakeCompleter; options as in `main`."""
    return [sys.executable, "-P", __file__, str(socket_path), json.dumps(options)]


def main(socket_path, *, load_s=0.0, idle_s=60.0, load_error=None, log=None, **fields):
    """An engine process: loads for `load_s` seconds, fails as `load_error` says, appends its pid to `log`."""
    from spa_lsp.engine.service import serve

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

    serve(Path(socket_path), load, idle_s, about=NAMES)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], **json.loads(sys.argv[2]))
