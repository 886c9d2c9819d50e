"""Confines the process itself by Landlock and seccomp; its text runs inside, before the stub's, nothing imports it.

Only reading is allowed, only below some folders. What Landlock does not know on an older kernel the filter refuses.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on all machines
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
# how many kinds of access to files each version of the interface knows; linux/landlock.h
N_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
N_FILE_RIGHTS_NEWEST = 16
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SIGKILL = 1, 38, 22, 9
SECCOMP_MODE_FILTER, RULE_PATH_BENEATH, VERSION_ONLY = 2, 1, 1

libc = ctypes.CDLL(None, use_errno=True)


class Ruleset(ctypes.Structure):
    """struct landlock_ruleset_attr; what an older kernel does not know must not be passed to it."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("files", "network", "scoped")]


class PathBeneath(ctypes.Structure):
    """struct landlock_path_beneath_attr."""

    _pack_ = 1
    _fields_ = [("rights", ctypes.c_uint64), ("folder", ctypes.c_int32)]


class Filter(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def confine(*, folders: Sequence[str], devices: Sequence[str], parent: int, seccomp: str) -> None:
    """Give up all but reading below `folders` and the use of `devices`; ends the process when `parent` is gone."""
    _check(libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
    if os.getppid() != parent:
        os._exit(1)
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    ruleset = _create_ruleset()
    for path in folders:
        _allow(ruleset, path, EXECUTE | READ_FILE | READ_DIR if os.path.isdir(path) else READ_FILE)
    for path in devices:
        _allow(ruleset, path, READ_FILE | WRITE_FILE)
    _check(libc.syscall(RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)
    _load_filter(bytes.fromhex(seccomp))


def _create_ruleset() -> int:
    version = _check(libc.syscall(CREATE_RULESET, None, 0, VERSION_ONLY))
    rights = (1 << N_FILE_RIGHTS.get(version, N_FILE_RIGHTS_NEWEST)) - 1
    ruleset = Ruleset(files=rights, network=3 if version >= 4 else 0, scoped=3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    return _check(libc.syscall(CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), 0))


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rule = PathBeneath(rights=rights, folder=folder)
    _check(libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, ctypes.byref(rule), 0))
    os.close(folder)


def _load_filter(instructions: bytes) -> None:
    program = Filter(length=len(instructions) // 8, instructions=instructions)
    _check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0))


def _check(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
