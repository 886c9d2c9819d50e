"""Starts one confined process, and ends one with all that belongs to it. Knows nothing of what it is to do."""

import functools
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from trainer.evaluate.sandbox.bubblewrap import UNPRIVILEGED_ID, bubblewrap_command
from trainer.evaluate.sandbox.interpreter import Interpreter
from trainer.evaluate.sandbox.limits import Limits, rlimits
from trainer.evaluate.sandbox.memory import find_tree
from trainer.evaluate.sandbox.packages import Package
from trainer.evaluate.sandbox.seccomp import build_filter

BackendKind = Literal["bubblewrap", "landlock", "none"]

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",  # of numpy: each thread would take of the few processes and of the memory
}
READABLE = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/urandom", "/dev/zero")
DEVICES = ("/dev/null",)
READY = b"ready\n"
FOLDER = Path(__file__).parent
# imports that only the checkers of types need, or whose text stands above
NOT_INSIDE = ("from __future__ ", "from typing ", "from collections.abc ", "from trainer.")


@dataclass(frozen=True, kw_only=True)
class Backend:
    """What confines a process here; `program` is bwrap, where it is used. `none` confines nothing."""

    kind: BackendKind
    interpreter: Interpreter
    program: str = ""
    packages: tuple[Package, ...] = ()

    @property
    def is_alone(self) -> bool:
        """Whether processes inside are apart from all others; then their number is limited, and they end together."""
        return self.kind == "bubblewrap"

    @property
    def keeps_user(self) -> bool:
        """Whether the process runs as our user."""
        return os.geteuid() != 0 or self.kind == "none" or self.interpreter.keeps_root


def start(
    backend: Backend,
    *,
    n_source_bytes: int,
    limits: Limits,
    stdin: "int | IO[bytes]",
    stdout: int,
    entry_point: str = "",
    hash_seed: int = 0,
) -> "subprocess.Popen[bytes]":
    """A process that reads a program of so many bytes from its stdin and runs it; what it has to say is its stderr.

    Args:
        backend: see `backend.require_backend`.
        n_source_bytes: of the program.
        limits: of which those of a single process are set inside.
        stdin: begins with the program.
        stdout: what the program prints, on stdout and stderr.
        entry_point: a function that is to answer calls; without one the program is run once, as `__main__`.
        hash_seed: decides the order of sets of strings.
    """
    environment = ENVIRONMENT | {"PYTHONHASHSEED": str(hash_seed)}
    settings = {
        "n_source_bytes": n_source_bytes,
        "rlimits": rlimits(limits, is_alone=backend.is_alone),
        "entry_point": entry_point,
        "packages": {package.name: package.module for package in backend.packages},
        "landlock": _landlock(backend) if backend.kind == "landlock" else None,
    }
    # not -I, with which the seed of hashes in ENVIRONMENT would be ignored; there is no other variable
    python = [backend.interpreter.path, "-s", "-S", "-c", inside(backend.kind, is_served=bool(entry_point))]
    user = None if backend.keeps_user else UNPRIVILEGED_ID
    with _prefix(backend, environment) as (prefix, descriptors):
        return subprocess.Popen(
            [*prefix, *python, repr(settings)],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            cwd="/",
            env=environment,  # --clearenv is not enough: /proc/1/environ inside is bwrap's own
            start_new_session=True,
            pass_fds=descriptors,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )


def end(process: "subprocess.Popen[bytes]", *, is_running: bool) -> None:
    """Wait for it; when it is still running, kill it and all processes that it has started."""
    if is_running or process.poll() is None:
        kill_tree(process)
    process.wait()


def kill_tree(process: "subprocess.Popen[bytes]") -> None:
    """Kill a child of ours, its process group and all of its descendants that can be found."""
    if process.poll() is not None:
        return
    tree = find_tree(process.pid)
    for pid in tree:
        _kill(os.kill, pid)
    _kill(os.killpg, process.pid)


@functools.cache
def inside(kind: BackendKind, *, is_served: bool) -> str:
    """The text that the interpreter runs: those of the modules that are needed, the stub's last."""
    names = [*(["landlock_inside"] if kind == "landlock" else []), *(["literals"] if is_served else []), "stub"]
    texts = [(FOLDER / f"{name}.py").read_text(encoding="utf-8") for name in names]
    lines = [line for text in texts for line in text.splitlines() if not line.startswith(NOT_INSIDE)]
    only_ours = ["import sys", "sys.path[:] = filter(None, sys.path)"]  # nothing is imported from the working folder
    return "\n".join(["from __future__ import annotations", *only_ours, *lines])


@contextmanager
def _prefix(backend: Backend, environment: dict[str, str]) -> Iterator[tuple[list[str], list[int]]]:
    """What stands before the interpreter, and the descriptors that it needs, which are ours to close."""
    if backend.kind != "bubblewrap":
        yield [], []
        return
    descriptor = os.memfd_create("seccomp")
    try:
        os.write(descriptor, _filter(is_alone=True))
        os.lseek(descriptor, 0, os.SEEK_SET)
        command = bubblewrap_command(
            backend.program,
            backend.interpreter.prefix,
            packages=_package_paths(backend),
            seccomp_fd=descriptor,
            environment=environment,
        )
        yield command, [descriptor]
    finally:
        os.close(descriptor)


def _landlock(backend: Backend) -> dict[str, Any]:
    """The arguments of `landlock_inside.confine`."""
    wanted = (*READABLE, backend.interpreter.prefix, *_package_paths(backend))
    folders = [path for path in wanted if os.path.exists(path)]
    seccomp = _filter(is_alone=False).hex()
    return {"folders": folders, "devices": DEVICES, "parent": os.getpid(), "seccomp": seccomp}


def _package_paths(backend: Backend) -> list[str]:
    return [path for package in backend.packages for path in package.paths]


_filter = functools.cache(build_filter)


def _kill(function: Any, pid: int) -> None:
    try:
        function(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # gone already
