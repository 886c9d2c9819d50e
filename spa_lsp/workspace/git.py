"""What Git is asked, which files say what is ignored, what has changed; no answer where there is no Git."""

import os
import subprocess
import threading
from functools import lru_cache

from spa_lsp.storage.whole_files import Stamp, file_stamp

TIMEOUT_S = 2.0
MAX_BYTES = 1 << 20  # of what it prints; what is beyond is not read
_OURS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # of a hook that started the editor: not about this folder

Stamps = tuple[Stamp, ...]


def run_git(folder: bytes, *arguments: str, timeout_s: float = TIMEOUT_S, max_bytes: int = MAX_BYTES) -> bytes | None:
    """What a command of Git prints in this folder; None when it fails, is not there or takes long."""
    # no programs that the repository's own configuration names (but its filters of content, as with any `git status`),
    # no waiting for a password, no lock in its index
    safe = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never")
    environment = {name: value for name, value in os.environ.items() if name not in _OURS}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    try:
        process = subprocess.Popen(
            ["git", "-C", os.fsdecode(folder), *safe, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
    except OSError:
        return None
    return _read_all(process, timeout_s, max_bytes)


def _read_all(process: "subprocess.Popen[bytes]", timeout_s: float, max_bytes: int) -> bytes | None:
    assert process.stdout is not None
    timer = threading.Timer(timeout_s, process.kill)
    timer.start()
    with process:
        found = process.stdout.read(max_bytes)
        if len(found) == max_bytes:
            process.kill()
        is_good = process.wait() == 0 or len(found) == max_bytes
    timer.cancel()
    return found if is_good else None


def excludes_files(top: bytes) -> tuple[bytes, bytes]:
    """The files with rules of the user's own, for all repositories and for this one; they need not exist.

    Git is asked again when one of its usual configuration files has changed; some microseconds if none has.
    """
    is_repository = os.path.lexists(os.path.join(top, b".git"))
    folder = top if is_repository else b"/"  # elsewhere it says the same everywhere
    return _excludes_files(folder, is_repository, _default_file(), _stamps(_configuration_files(folder)))


@lru_cache(maxsize=64)
def _excludes_files(folder: bytes, is_repository: bool, default: bytes, stamps: Stamps) -> tuple[bytes, bytes]:
    found = run_git(folder, "config", "-z", "--type=path", "--get", "core.excludesFile")
    of_user = default if found is None else os.path.join(folder, found.rstrip(b"\0"))
    of_repository = os.path.join(folder, b".git", b"info", b"exclude")
    if is_repository and not os.path.isdir(os.path.join(folder, b".git")):  # a further working tree, or a submodule
        path = run_git(folder, "rev-parse", "--git-path", "info/exclude")
        of_repository = of_repository if path is None else os.path.join(folder, path.rstrip(b"\n"))
    return of_user, of_repository


def _home() -> bytes:
    return os.fsencode(os.path.expanduser("~"))


def _configuration_folder() -> bytes:
    found = os.environ.get("XDG_CONFIG_HOME")
    return os.path.join(os.fsencode(found) if found else os.path.join(_home(), b".config"), b"git")


def _default_file() -> bytes:
    return os.path.join(_configuration_folder(), b"ignore")


def _configuration_files(folder: bytes) -> tuple[bytes, ...]:
    named = os.environ.get("GIT_CONFIG_GLOBAL")
    own = os.path.join(folder, b".git", b"config")
    of_user = (os.path.join(_home(), b".gitconfig"), os.path.join(_configuration_folder(), b"config"))
    return (b"/etc/gitconfig", *((os.fsencode(named),) if named else of_user), own)


def _stamps(paths: tuple[bytes, ...]) -> Stamps:
    return tuple(file_stamp(path) for path in paths)
