"""The command of the first back end: own namespaces for everything, an empty 16 MiB /tmp, the rest read-only."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from trainer.evaluate.sandbox.limits import TMP_BYTES

UNPRIVILEGED_ID = 65534  # nobody


def find_bubblewrap() -> str:
    """Where bwrap lies, searched on our PATH, not on the one inside; empty when it is missing."""
    found = shutil.which("bwrap")
    return os.path.realpath(found) if found else ""


def bubblewrap_command(
    program: str, prefix: str, *, packages: Sequence[str], seccomp_fd: int, environment: dict[str, str]
) -> list[str]:
    """Everything before the interpreter's command line; `program` is bwrap, `prefix` the interpreter's folder."""
    identity = ["--uid", str(UNPRIVILEGED_ID), "--gid", str(UNPRIVILEGED_ID)]
    confine = ["--unshare-all", "--unshare-user", "--disable-userns", *identity, "--cap-drop", "ALL"]
    lifetime = ["--die-with-parent", "--new-session", "--hostname", "sandbox"]
    variables = [word for item in environment.items() for word in ("--setenv", *item)]
    start = ["--clearenv", *variables, "--chdir", "/tmp", "--seccomp", str(seccomp_fd)]
    return [program, *confine, *lifetime, *_mounts(prefix, packages), *start]


def _mounts(prefix: str, packages: Sequence[str]) -> list[str]:
    """Read-only system, interpreter, packages; a small /tmp; /dev and /dev/shm would otherwise take half the memory."""
    system = ["--ro-bind", "/usr", "/usr", "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    links = [word for name in ("bin", "lib", "lib64") for word in ("--symlink", f"usr/{name}", f"/{name}")]
    own = [] if Path(prefix).is_relative_to("/usr") else ["--ro-bind", prefix, prefix]
    devices = ["--proc", "/proc", "--dev", "/dev", "--size", str(1 << 20), "--tmpfs", "/dev/shm"]
    scratch = ["--size", str(TMP_BYTES), "--tmpfs", "/tmp"]
    bound = [word for path in packages for word in ("--ro-bind", path, path)]  # last, one may lie below /tmp
    return [*system, *links, *own, *devices, *scratch, *bound, "--remount-ro", "/dev", "--remount-ro", "/"]
