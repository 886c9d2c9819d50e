"""A process of ours that runs a benchmark's trusted test; the candidate that the test calls lives in a sandbox.

Neither the test nor an expected value gets there. Reads jobs as lines of JSON from stdin and answers each with lines on
stdout. It has no clock and may be killed at any moment: see `testers`.
"""

import fcntl
import functools
import json
import os
import resource
import subprocess
import sys
import time
from types import CodeType
from typing import IO, Any

from trainer.evaluate.judge.candidate import Candidate, Ended
from trainer.evaluate.sandbox.interpreter import Interpreter
from trainer.evaluate.sandbox.limits import Limits
from trainer.evaluate.sandbox.packages import Package
from trainer.evaluate.sandbox.process import Backend, end, start

MEMORY_BYTES = 4 << 30  # ours: the largest result that may cross takes a quarter of it


def main() -> None:
    """Answer jobs until stdin ends; `argv` is the back end as JSON, and a descriptor that closes when we are to die."""
    fields, life = json.loads(sys.argv[1]), int(sys.argv[2])
    packages = tuple(Package(**package) for package in fields["packages"])
    backend = Backend(**{**fields, "interpreter": Interpreter(**fields["interpreter"]), "packages": packages})
    _die_with(life)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    jobs, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    for line in jobs:
        _answer(answers, _judge(json.loads(line), backend, answers))


def _die_with(life: int) -> None:
    """Let the kernel end us when the other end closes, also while a test keeps the interpreter busy.

    A process that is asked to die with its parent dies with the thread that started it, which is too early.
    """
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)  # SIGIO, which kills by default
    if os.getppid() == 1:
        os._exit(1)


def _answer(answers: IO[str], data: dict[str, Any]) -> None:
    answers.write(json.dumps(data) + "\n")
    answers.flush()


def _judge(job: dict[str, Any], backend: Backend, answers: IO[str]) -> dict[str, Any]:
    started = time.monotonic()
    limits = Limits(**job["limits"])
    source = job["program"].encode("utf-8", "surrogatepass")
    try:
        process = start(
            backend,
            n_source_bytes=len(source),
            limits=limits,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            entry_point=job["entry_point"],
        )
    except OSError as failure:
        return {"kind": "sandbox_error", "error": str(failure), "seconds": time.monotonic() - started}
    candidate = Candidate(process, limits.cpu_s)
    try:
        candidate.load(source, on_ready=lambda: _answer(answers, {"ready": True}))
        kind, error = _test(job, candidate)
    except Ended:
        assert candidate.ended is not None
        kind, error = candidate.ended
    finally:
        end(process, is_running=True)
        candidate.protocol.close()
        _close_quietly(candidate.inbox)
    return {"kind": kind, "error": error, "seconds": time.monotonic() - started}


def _test(job: dict[str, Any], candidate: Candidate) -> tuple[str, str]:
    """Run the test against the candidate. Its own functions are those of the known solution, which is trusted too."""
    scope: dict[str, Any] = {"__name__": "test"}
    try:
        exec(_compiled(job["helpers"]), scope)
        scope[job["entry_point"]] = candidate
        exec(_compiled(job["test"]), scope)
        check = scope["check"]
        scope[job["entry_point"]] = candidate  # again, for the one that is called `check` itself
    except Exception as error:
        return "sandbox_error", f"the test itself is broken: {_describe(error)}"
    try:
        check(candidate)
    except Ended:
        pass
    except BaseException as error:  # a border: whatever the test does with a result, it has not passed
        return candidate.ended or ("failed", _describe(error))
    return candidate.ended or ("completed", "")


@functools.lru_cache(maxsize=16)
def _compiled(source: str) -> CodeType:
    return compile(source, "<test>", "exec", dont_inherit=True)


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _close_quietly(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except OSError:
        pass  # what was not written yet has no reader any more


if __name__ == "__main__":
    main()
