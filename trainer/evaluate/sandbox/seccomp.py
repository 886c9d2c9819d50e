"""A seccomp filter as BPF bytes: calls that no program needs are refused with EPERM, all others are allowed.

Built here, because it is 80 lines without a branch that matters, and the libraries need libseccomp on the system.
"""

import errno
import platform
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from spa_lsp.errors import Unavailable
from trainer.evaluate.sandbox.syscalls import (
    DENIED_ALWAYS,
    DENIED_BESIDE_OTHERS,
    DENIED_BY_ARGUMENT,
    DENIED_ON_HOST_FILES,
    Numbers,
)

# linux/audit.h; the place is the column in `syscalls`
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
X32_BIT = 0x40000000  # the second set of numbers of x86_64, all refused

LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # linux/bpf_common.h
ALLOW, ERROR, KILL = 0x7FFF0000, 0x00050000, 0x80000000  # linux/seccomp.h
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16  # struct seccomp_data

NEW_NAMESPACES = 0x7E020000  # all CLONE_NEW* that clone takes
CLONE_THREAD = 0x00010000
TIOCSTI, TIOCLINUX = 0x5412, 0x541C  # put characters into the terminal of the person
F_SETOWN, F_SETOWN_EX = 8, 15  # who gets SIGIO, any process of the user
PR_SET_PDEATHSIG = 1  # what makes the program die with us


@dataclass(frozen=True, kw_only=True)
class SyscallRule:
    """Deny a call if an argument's low word equals, differs from, has some of or has none of the bits of `value`."""

    name: str
    argument: int
    test: Literal["equal", "differs", "any_bit", "no_bit"]
    value: int


EVERYWHERE = (
    SyscallRule(name="clone", argument=0, test="any_bit", value=NEW_NAMESPACES),
    SyscallRule(name="ioctl", argument=1, test="equal", value=TIOCSTI),
    SyscallRule(name="ioctl", argument=1, test="equal", value=TIOCLINUX),
)
BESIDE_OTHERS = (
    SyscallRule(name="clone", argument=0, test="no_bit", value=CLONE_THREAD),
    SyscallRule(name="prctl", argument=0, test="equal", value=PR_SET_PDEATHSIG),
    SyscallRule(name="prlimit64", argument=0, test="differs", value=0),
    SyscallRule(name="fcntl", argument=1, test="equal", value=F_SETOWN),
    SyscallRule(name="fcntl", argument=1, test="equal", value=F_SETOWN_EX),
)


def build_filter(*, is_alone: bool, machine: str | None = None) -> bytes:
    """The filter for this machine, an array of `struct sock_filter`.

    Args:
        is_alone: the program has own namespaces and may start processes. Otherwise it may not, nor send signals or
            change files' attributes, because it lives among the user's processes and files.
        machine: as `platform.machine` names it; by default this one.

    Raises:
        Unavailable: the numbers of this machine's system calls are not known.
    """
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        raise Unavailable(f"no sandbox for the processor {machine}; use one of {', '.join(ARCHITECTURES)}")
    column, architecture = ARCHITECTURES[machine]
    tables = (DENIED_ALWAYS,) if is_alone else (DENIED_ALWAYS, DENIED_BESIDE_OTHERS, DENIED_ON_HOST_FILES)
    rules = EVERYWHERE if is_alone else (*EVERYWHERE, *BESIDE_OTHERS)
    instructions = [
        *_check_architecture(architecture),
        *(word for table in tables for word in _deny_all(table, column)),
        # glibc falls back to clone, whose flags can be read; those of clone3 lie in memory
        *_deny(_number(DENIED_BY_ARGUMENT["clone3"][column]), errno.ENOSYS),
        *(word for rule in rules for word in _deny_by_argument(rule, column)),
        _instruction(RETURN, ALLOW),
    ]
    return b"".join(instructions)


def _check_architecture(architecture: int) -> list[bytes]:
    return [
        _instruction(LOAD, ARCHITECTURE_AT),
        _instruction(JUMP_EQUAL, architecture, if_true=1),
        _instruction(RETURN, KILL),
        _instruction(LOAD, NUMBER_AT),
        _instruction(JUMP_AT_LEAST, X32_BIT, if_false=1),
        _instruction(RETURN, KILL),
    ]


def _deny_all(table: Numbers, column: int) -> Iterator[bytes]:
    for numbers in table.values():
        number = numbers[column]
        if number is not None:
            yield from _deny(number, errno.EPERM)


def _deny(number: int, error: int) -> Sequence[bytes]:
    return _instruction(JUMP_EQUAL, number, if_false=1), _instruction(RETURN, ERROR | error)


def _deny_by_argument(rule: SyscallRule, column: int) -> Sequence[bytes]:
    number = _number(DENIED_BY_ARGUMENT[rule.name][column])
    jump = JUMP_EQUAL if rule.test in ("equal", "differs") else JUMP_ANY_BIT
    skips = {"if_false": 1} if rule.test in ("equal", "any_bit") else {"if_true": 1}
    return (
        _instruction(JUMP_EQUAL, number, if_false=4),
        _instruction(LOAD, ARGUMENTS_AT + 8 * rule.argument),  # both machines are little-endian
        _instruction(jump, rule.value, **skips),
        _instruction(RETURN, ERROR | errno.EPERM),
        _instruction(LOAD, NUMBER_AT),
    )


def _number(number: int | None) -> int:
    assert number is not None
    return number


def _instruction(code: int, value: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
