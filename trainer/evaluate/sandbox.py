"""Runs untrusted Python inside bubblewrap, and nowhere else: without a working bubblewrap nothing is run.

Inside: no network, no home, no environment, own processes only, an empty 16 MiB /tmp, the rest read-only, and rlimits.
Not yet here: a seccomp filter, and a limit on the memory of all processes together (it is per process; 8 processes).

A program counts as completed when it ran to its end, which a random line shows that the stub hands over only then; an
exit status shows nothing (`os._exit(0)`). That line lies within the reach of the program that runs in the same process,
so a program written to cheat can find it. A judge in two processes, where it cannot, comes with issue 3.
"""

import functools
import json
import logging
import math
import os
import secrets
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from spa_lsp.errors import Unavailable

logger = logging.getLogger(__name__)

OutcomeKind = Literal["completed", "failed", "timeout", "memory", "killed", "sandbox_error"]
EndedBy = Literal["itself", "deadline", "output"]

UNPRIVILEGED_ID = 65534  # nobody
TMP_BYTES = 16 << 20
PROTOCOL_BYTES = 64 << 10
READY = b"ready\n"
SYSTEM_PYTHON = "/usr/bin/python3"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
INSTALL = "install the package bubblewrap (apt-get, dnf or pacman), version 0.8 or newer"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one program; `error` names the exception or the reason, `output` is stdout and stderr together."""

    kind: OutcomeKind
    seconds: float
    error: str = ""
    output: str = ""


def run_program(
    source: str,
    *,
    wall_s: float = 10.0,
    cpu_s: float = 5.0,
    memory_bytes: int = 512 << 20,
    output_bytes: int = 64 << 10,
) -> Outcome:
    """Run `source` as a program of its own, confined; about 30 ms. Limits that it reaches are outcomes, not errors.

    `memory` is a MemoryError that it did not handle, `killed` a signal (a crash) or more output than allowed, and
    `sandbox_error` says that it never started, which is no fault of the program.

    Raises:
        Unavailable: bubblewrap is missing, or a program can get out of it here.
    """
    require_sandbox()
    return _run(source, wall_s=wall_s, cpu_s=cpu_s, memory_bytes=memory_bytes, output_bytes=output_bytes)


@functools.cache
def require_sandbox() -> str:
    """Try the sandbox with a program that attempts escapes, once per process; the answer describes it.

    Raises:
        Unavailable: see `run_program`.
    """
    if not _find("bwrap"):
        raise Unavailable(f"model-written code runs only inside bubblewrap, and 'bwrap' is not on PATH; {INSTALL}")
    outcome = _self_test()
    if outcome.kind != "completed":
        reason = outcome.error or outcome.output.strip() or outcome.kind
        raise Unavailable(
            f"bubblewrap does not confine programs here ({reason}), so none is run; {INSTALL}, "
            "and allow unprivileged user namespaces (kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu)"
        )
    return outcome.output.strip()


# Reads limits and source, gives the program /dev/null as stdin and one stream as stdout and stderr, and keeps two
# descriptors: `inbox` (the random line follows the source) and `protocol` (the real stderr, where bwrap reports too).
STUB = r"""
import json, os, resource, sys

def run():
    protocol, inbox = os.dup(2), os.dup(0)
    limits = json.loads(sys.argv[1])
    source = b""
    while len(source) < limits["source_bytes"]:
        source += os.read(inbox, limits["source_bytes"] - len(source))
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(1, 2)
    for name, (soft, hard) in limits["rlimits"].items():
        resource.setrlimit(getattr(resource, name), (soft, hard))
    os.write(protocol, b"ready\n")
    try:
        exec(compile(source, "<program>", "exec"), {"__name__": "__main__"})
        sys.stdout.flush()
    except BaseException as error:
        os.write(protocol, describe(error))
        os._exit(1)
    os.write(protocol, os.read(inbox, 64))
    os._exit(0)

def describe(error):
    if isinstance(error, MemoryError):
        return b"MemoryError"
    try:
        return (type(error).__name__ + ": " + str(error)).encode("utf-8", "replace")[:500]
    except BaseException:
        return b"an exception without a text"

run()
"""

SELF_TEST = r"""
import ctypes, os, resource, socket, sys

def succeeds(attempt, *arguments):
    try:
        attempt(*arguments)
    except OSError:
        return False
    return True

def variables():
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = open(f"/proc/{process}/environ", "rb").read().decode()
        except OSError:
            continue
        yield from (line.partition("=")[0] for line in text.split("\0") if line)

def connect(port):
    socket.create_connection(("127.0.0.1", port), 1).close()

def fork_often():
    for _ in range(20):
        if os.fork() == 0:
            while True:
                ctypes.CDLL(None).pause()

escapes = {
    "files of the host are visible": any(map(os.path.exists, HIDDEN)),
    "the root folder is writable": succeeds(open, "/canary", "w"),
    "/usr is writable": succeeds(open, "/usr/canary", "w"),
    "/dev is writable": succeeds(open, "/dev/canary", "w"),
    "the environment is visible": not set(variables()) <= VARIABLES,
    "the network is reachable": succeeds(connect, PORT),
    "other processes are visible": sum(map(str.isdigit, os.listdir("/proc"))) > 2,
    "user namespaces can be nested": ctypes.CDLL(None).unshare(0x10000000) == 0,
    "memory is not limited": resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY,
    "the number of processes is not limited": IS_UNPRIVILEGED and succeeds(fork_often),
}
found = [name for name, is_open in escapes.items() if is_open]
assert not found, "; ".join(found)
print("CPython %d.%d.%d" % sys.version_info[:3])
"""


def _self_test() -> Outcome:
    """Run SELF_TEST against a canary file and a listening port; the output of a good one describes the sandbox."""
    with tempfile.NamedTemporaryFile() as canary, socket.create_server(("127.0.0.1", 0)) as listener:
        os.chmod(canary.name, 0o644)
        facts = {
            "HIDDEN": [canary.name, "/etc/passwd", str(Path.home() / ".ssh"), str(Path.home() / ".cache")],
            "VARIABLES": {*ENVIRONMENT, "PWD"},
            "PORT": listener.getsockname()[1],
            "IS_UNPRIVILEGED": not _interpreter().keeps_root,
        }
        head = "".join(f"{name} = {value!r}\n" for name, value in facts.items())
        outcome = _run(head + SELF_TEST, wall_s=30.0, cpu_s=5.0, memory_bytes=512 << 20, output_bytes=4096)
    if outcome.kind != "completed":
        return outcome
    version = subprocess.run([_find("bwrap"), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    user = "root of a user namespace" if _interpreter().keeps_root else "unprivileged"
    return replace(outcome, output=f"{version}, {outcome.output.strip()}, {user}")


def _run(source: str, *, wall_s: float, cpu_s: float, memory_bytes: int, output_bytes: int) -> Outcome:
    nonce = secrets.token_hex(16).encode()
    text = source.encode("utf-8", "surrogatepass")
    limits = {"source_bytes": len(text), "rlimits": _rlimits(cpu_s=cpu_s, memory_bytes=memory_bytes)}
    started = time.monotonic()
    with tempfile.TemporaryFile() as inbox:  # a file and not a pipe: a sandbox that never reads cannot block us
        inbox.write(text + nonce)
        inbox.seek(0)
        process = subprocess.Popen(
            [*_command(_interpreter()), json.dumps(limits)],
            stdin=inbox,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=ENVIRONMENT,  # --clearenv is not enough: /proc/1/environ inside is bwrap's own
            start_new_session=True,
        )
    captured = _capture(process, deadline=started + wall_s, output_bytes=output_bytes)
    seconds = time.monotonic() - started
    kind, error = _classify(captured, nonce=nonce, is_cpu_spent=seconds >= cpu_s)
    return Outcome(kind=kind, seconds=seconds, error=error, output=captured.output.decode("utf-8", "replace"))


def _rlimits(*, cpu_s: float, memory_bytes: int) -> dict[str, tuple[int, int]]:
    """Soft and hard limits that the stub sets; RLIMIT_NPROC set before bwrap would count the user's other processes."""
    cpu = math.ceil(cpu_s)
    fixed = {"NPROC": 8, "FSIZE": TMP_BYTES, "NOFILE": 64, "CORE": 0, "AS": memory_bytes}
    limits = {f"RLIMIT_{name}": (value, value) for name, value in fixed.items()}
    return {**limits, "RLIMIT_CPU": (cpu, cpu + 1)}  # SIGXCPU first, SIGKILL a second later


@dataclass(frozen=True, kw_only=True)
class _Interpreter:
    """Which Python runs inside. As root we give up root for it, if there is one that others can read."""

    path: str
    prefix: str
    keeps_root: bool


@functools.cache
def _interpreter() -> _Interpreter:
    own = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    is_root = os.geteuid() == 0
    can_drop = is_root and _find("setpriv") != ""
    if not is_root or (can_drop and _is_readable_by_others(Path(sys.base_prefix))):
        return _Interpreter(path=own, prefix=sys.base_prefix, keeps_root=False)
    if can_drop and os.path.exists(SYSTEM_PYTHON):
        logger.info("%s is closed to other users, the sandbox runs %s", sys.base_prefix, SYSTEM_PYTHON)
        return _Interpreter(path=SYSTEM_PYTHON, prefix="/usr", keeps_root=False)
    logger.warning("the sandbox keeps root of its own user namespace: the number of its processes is not limited")
    return _Interpreter(path=own, prefix=sys.base_prefix, keeps_root=True)


def _find(program: str) -> str:
    """Where a program lies, searched on our PATH, not on the one inside; empty when it is missing."""
    found = shutil.which(program)
    return os.path.abspath(found) if found else ""


def _is_readable_by_others(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))


def _command(interpreter: _Interpreter) -> list[str]:
    """Everything up to the stub's one argument, its limits."""
    identity = ["--uid", str(UNPRIVILEGED_ID), "--gid", str(UNPRIVILEGED_ID)]
    confine = ["--unshare-all", "--unshare-user", "--disable-userns", *identity, "--cap-drop", "ALL"]
    lifetime = ["--die-with-parent", "--new-session", "--hostname", "sandbox"]
    environment = [word for item in ENVIRONMENT.items() for word in ("--setenv", *item)]
    python = [interpreter.path, "-I", "-S", "-c", STUB]
    start = ["--clearenv", *environment, "--chdir", "/tmp", *python]
    return [*_drop_root(interpreter), _find("bwrap"), *confine, *lifetime, *_mounts(interpreter.prefix), *start]


def _drop_root(interpreter: _Interpreter) -> list[str]:
    if interpreter.keeps_root or os.geteuid() != 0:
        return []
    user, group = f"--reuid={UNPRIVILEGED_ID}", f"--regid={UNPRIVILEGED_ID}"
    return [_find("setpriv"), user, group, "--clear-groups", "--no-new-privs"]


def _mounts(prefix: str) -> list[str]:
    """Read-only system and interpreter, a small /tmp; /dev and /dev/shm would otherwise take half of the memory."""
    system = ["--ro-bind", "/usr", "/usr", "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    links = [word for name in ("bin", "lib", "lib64") for word in ("--symlink", f"usr/{name}", f"/{name}")]
    own = [] if Path(prefix).is_relative_to("/usr") else ["--ro-bind", prefix, prefix]
    devices = ["--proc", "/proc", "--dev", "/dev", "--size", str(1 << 20), "--tmpfs", "/dev/shm"]
    scratch = ["--size", str(TMP_BYTES), "--tmpfs", "/tmp"]
    return [*system, *links, *own, *devices, *scratch, "--remount-ro", "/dev", "--remount-ro", "/"]


@dataclass(frozen=True, kw_only=True)
class _Captured:
    """What came out of one sandbox: both streams, the exit status, and whether we ended it ourselves."""

    output: bytes
    protocol: bytes
    status: int
    ended_by: EndedBy


def _capture(process: subprocess.Popen[bytes], *, deadline: float, output_bytes: int) -> _Captured:
    """Read until both streams close, the deadline passes or a stream is over its limit; then nothing of it is left."""
    assert process.stdout is not None and process.stderr is not None
    streams = {process.stdout: (bytearray(), output_bytes), process.stderr: (bytearray(), PROTOCOL_BYTES)}
    ended_by: EndedBy = "deadline"
    with process.stdout, process.stderr, selectors.DefaultSelector() as selector:
        for stream, buffer in streams.items():
            selector.register(stream, selectors.EVENT_READ, buffer)
        try:
            ended_by = _drain(selector, deadline=deadline)
        finally:
            _end(process, is_running=ended_by != "itself")
    output, protocol = (bytes(buffer) for buffer, _ in streams.values())
    return _Captured(output=output, protocol=protocol, status=process.returncode, ended_by=ended_by)


def _drain(selector: selectors.BaseSelector, *, deadline: float) -> EndedBy:
    while selector.get_map():
        ready = selector.select(max(0.0, deadline - time.monotonic()))
        if not ready:
            return "deadline"
        if not all([_read_some(selector, key) for key, _ in ready]):
            return "output"
    return "itself"


def _read_some(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> bool:
    """Read once; False when the stream is over its limit."""
    buffer, limit = key.data
    piece = os.read(key.fd, 65536)
    if not piece:
        selector.unregister(key.fileobj)
    buffer += piece[: limit - len(buffer)]
    return len(piece) == 0 or len(buffer) < limit


def _end(process: subprocess.Popen[bytes], *, is_running: bool) -> None:
    """Wait for bwrap; killing it ends all processes inside, because its first one inside dies with it."""
    if is_running:
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(timeout=5.0)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _classify(captured: _Captured, *, nonce: bytes, is_cpu_spent: bool) -> tuple[OutcomeKind, str]:
    started, _, message = captured.protocol.partition(READY)
    error = message.decode("utf-8", "replace")
    if started or READY not in captured.protocol:
        return "sandbox_error", captured.protocol.decode("utf-8", "replace").strip()[
            :500
        ] or "the sandbox did not start"
    if captured.ended_by == "deadline":
        return "timeout", "wall clock"
    if captured.ended_by == "output":
        return "killed", "too much output"
    if message == nonce and captured.status == 0:
        return "completed", ""
    if error == "MemoryError":
        return "memory", error
    if captured.status > 128:  # bwrap answers 128 + the signal
        return _signalled(captured.status - 128, is_cpu_spent=is_cpu_spent)
    return "failed", error if captured.status == 1 else "ended before its end"


def _signalled(number: int, *, is_cpu_spent: bool) -> tuple[OutcomeKind, str]:
    if number == signal.SIGXCPU or (number == signal.SIGKILL and is_cpu_spent):
        return "timeout", "processor time"
    return "killed", f"signal {number}"
