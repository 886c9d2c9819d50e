"""One engine per base, precision, store and cache: where its socket lies, how and when it is started.

Who may be at the socket is `private_socket.py`; no messages are exchanged here, that is `channel.py`.
"""

import hashlib
import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from spa_lsp import __version__, paths
from spa_lsp.child import own_python
from spa_lsp.engine.private_socket import make_runtime_dir, try_connect
from spa_lsp.errors import BadInput, Unavailable

TAKEOVER_S = 30.0  # for a predecessor to end
START_TIMEOUT_S = 60.0  # half a second usually: the socket is there before anything heavy is imported
DELAYS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
MAX_DEATHS = 5  # in DEATHS_WINDOW_S; the rule by which editors give up a server, so we never use up theirs
DEATHS_WINDOW_S = 180.0

_MAX_PATH_BYTES = 100  # of a socket's path: 107 on Linux, 103 on macOS
_MAX_LOG_BYTES = 2_000_000

logger = logging.getLogger(__name__)


def socket_path(base_id: str, quantization: str) -> Path:
    """Where the engine of this base, quantization and version of spa-lsp listens, for who has this store and cache.

    Another store may have another set in use, or none: its programs have an engine of their own.
    """
    folders = "\0".join(own_folders())
    name = f"{base_id}-{quantization}-{__version__}-{hashlib.sha256(folders.encode()).hexdigest()[:8]}"
    path = paths.runtime_dir() / f"{name}.sock"
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES:
        return path
    return path.with_name(hashlib.sha256(name.encode()).hexdigest()[:16] + ".sock")


def own_folders() -> tuple[str, str]:
    """The store and the cache by which an engine is told from those of others."""
    return str(paths.store_path().resolve()), str(paths.cache_dir().resolve())


def log_path(socket_path: Path) -> Path:
    """Where the engine at this socket writes its log."""
    return paths.cache_dir() / "logs" / f"engine-{socket_path.stem}.log"


def engine_command(
    base_id: str, adapter_set: str | None, quantization: str, idle_s: float, max_memory_mb: int | None = None
) -> list[str]:
    """The command line of an engine process."""
    command = own_python("-m", "spa_lsp.engine", "--base", base_id, "--quantization", quantization)
    chosen = ["--set", adapter_set] if adapter_set is not None else []
    limit = ["--max-memory-mb", str(max_memory_mb)] if max_memory_mb is not None else []
    return [*command, *chosen, "--idle-s", str(idle_s), *limit]


def connect_or_start(path: Path, command: Sequence[str], *, timeout_s: float = START_TIMEOUT_S) -> socket.socket:
    """A connection to the engine at this socket, which is started when there is none; one start at a time.

    Raises:
        Unavailable: it could not be started; the message names its log.
        BadInput: a folder that it needs cannot be written, or is not ours alone.
    """
    if connection := try_connect(path):
        return connection
    try:
        make_runtime_dir(path.parent)
        with FileLock(path.with_suffix(".start"), timeout=timeout_s, mode=0o600):
            return try_connect(path) or _start(path, command, timeout_s)
    except Timeout:
        message = f"another process has been starting the engine for {timeout_s:.0f} s; {_see_log(path)}"
        raise Unavailable(message) from None
    except OSError as error:
        way_out = "make it yours, or set SPA_CACHE and XDG_RUNTIME_DIR to folders that are"
        raise BadInput(f"{error.filename} cannot be used ({error.strerror}); {way_out}") from error


def take_place(path: Path) -> FileLock | None:
    """The lock that makes this process the one engine for this socket, for as long as it is held.

    None when a living engine listens there. What a killed one left is removed.
    """
    make_runtime_dir(path.parent)
    lock = FileLock(path.with_suffix(".lock"), mode=0o600)
    end = time.monotonic() + TAKEOVER_S
    while time.monotonic() < end:
        try:
            lock.acquire(timeout=0.05)
        except Timeout:
            if connection := try_connect(path):
                connection.close()
                return None
        else:
            path.unlink(missing_ok=True)
            return lock
    return None


class Backoff:
    """When a dead engine may be started again: after 1, 2, 4, 8, 16 s.

    Never after five deaths in three minutes, nor after five in a row that came before the engine was ready.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deaths: list[float] = []  # those in a row, with less than DEATHS_WINDOW_S between any two
        self._n_vain = 0  # deaths since an engine was last ready
        self.is_off = False

    def record_ready(self) -> None:
        """The engine has loaded."""
        self._n_vain = 0

    def record_death(self) -> None:
        """The engine died, or did not come up."""
        now = self._clock()
        self._n_vain += 1
        if self._deaths and now - self._deaths[-1] > DEATHS_WINDOW_S:
            self._deaths.clear()
        self._deaths.append(now)
        recent = [death for death in self._deaths if now - death <= DEATHS_WINDOW_S]
        self.is_off = self.is_off or max(len(recent), self._n_vain) >= MAX_DEATHS

    def delay_s(self) -> float:
        """Seconds until the next start is allowed; 0 when it is allowed now."""
        if not self._deaths:
            return 0.0
        delay_s = DELAYS_S[min(len(self._deaths), len(DELAYS_S)) - 1]
        return max(0.0, self._deaths[-1] + delay_s - self._clock())


def _start(path: Path, command: Sequence[str], timeout_s: float) -> socket.socket:
    process = _spawn(command, log_path(path))
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        # status 0 without a socket: it met a predecessor that was just ending; the caller may try again
        status = process.poll()
        if connection := try_connect(path):
            return connection
        if status is not None:
            raise Unavailable(f"the engine ended at its start with status {status}; {_see_log(path)}")
        time.sleep(0.02)
    raise Unavailable(f"the engine did not listen within {timeout_s:.0f} s; {_see_log(path)}")


def _spawn(command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _MAX_LOG_BYTES:
        log.replace(log.with_suffix(".log.old"))
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",  # a daemon must not keep the user's folder busy
            env=_environment(),
            start_new_session=True,  # Ctrl-C and the editor's end are not the engine's
        )
    logger.info("started the engine, process %d", process.pid)
    threading.Thread(target=process.wait, name="engine-reaper", daemon=True).start()  # no zombie in a long-lived front
    return process


def _environment() -> dict[str, str]:
    """This process's environment with our folders made absolute, as the engine works in another folder."""
    ours = {name: os.environ[name] for name in ("SPA_HOME", "SPA_CACHE", "SPA_MODELS") if os.environ.get(name)}
    return {**os.environ, **{name: os.path.abspath(os.path.expanduser(value)) for name, value in ours.items()}}


def _see_log(path: Path) -> str:
    return f"see its log, {log_path(path)}"
