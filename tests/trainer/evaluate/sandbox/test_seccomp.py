import errno
import struct

import pytest

from spa_lsp.errors import Unavailable
from trainer.evaluate.sandbox.seccomp import ARCHITECTURES, build_filter
from trainer.evaluate.sandbox.syscalls import DENIED_ALWAYS, DENIED_BESIDE_OTHERS, DENIED_ON_HOST_FILES

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
MACHINES = list(ARCHITECTURES)
READ = {"x86_64": 0, "aarch64": 63}


def answer(instructions, number, *arguments, machine="x86_64", architecture=None):
    """A slow, obvious machine for the four kinds of instructions: what the kernel would do."""
    architecture = ARCHITECTURES[machine][1] if architecture is None else architecture
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, architecture, 0, *padded)
    loaded, at = 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("=HBBI", instructions, at * 8)
        at += 1
        if code == 0x06:
            return value
        if code == 0x20:
            loaded = struct.unpack_from("=I", data, value)[0]
        else:
            is_true = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[code]
            at += if_true if is_true else if_false


def answers(names, machine, *, is_alone):
    instructions = build_filter(is_alone=is_alone, machine=machine)
    numbers = [numbers[ARCHITECTURES[machine][0]] for numbers in names.values()]
    return {answer(instructions, number, machine=machine) for number in numbers if number is not None}


@pytest.mark.parametrize("machine", MACHINES)
def test_every_listed_call_is_refused(machine):
    assert answers(DENIED_ALWAYS, machine, is_alone=True) == {EPERM}
    assert answers(DENIED_BESIDE_OTHERS | DENIED_ON_HOST_FILES, machine, is_alone=False) == {EPERM}


@pytest.mark.parametrize("machine", MACHINES)
def test_a_program_with_own_namespaces_may_fork_and_send_signals(machine):
    assert answers(DENIED_BESIDE_OTHERS | DENIED_ON_HOST_FILES, machine, is_alone=True) == {ALLOW}


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_not_listed_is_allowed(machine):
    assert answer(build_filter(is_alone=False, machine=machine), READ[machine], machine=machine) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_the_calls_of_another_architecture_kill(machine):
    other = ARCHITECTURES[next(name for name in MACHINES if name != machine)][1]
    assert answer(build_filter(is_alone=True, machine=machine), 0, machine=machine, architecture=other) == KILL


def test_the_calls_of_x32_kill():
    assert answer(build_filter(is_alone=True, machine="x86_64"), 0x40000000 | 39) == KILL


@pytest.mark.parametrize(("flags", "alone", "beside"), [(17, ALLOW, EPERM), (0x3D0F00, ALLOW, ALLOW)])
def test_clone_makes_processes_only_apart_and_threads_everywhere(flags, alone, beside):
    assert answer(build_filter(is_alone=True, machine="x86_64"), 56, flags) == alone
    assert answer(build_filter(is_alone=False, machine="x86_64"), 56, flags) == beside


@pytest.mark.parametrize("flag", [1 << bit for bit in (17, 25, 26, 27, 28, 29, 30)])
def test_clone_makes_no_namespaces(flag):
    assert answer(build_filter(is_alone=True, machine="x86_64"), 56, flag | 17) == EPERM


def test_clone3_does_not_exist_so_that_the_c_library_uses_clone():
    assert answer(build_filter(is_alone=True, machine="x86_64"), 435) == ENOSYS


@pytest.mark.parametrize(
    ("number", "arguments", "expected"),
    [
        (16, (0, 0x5412), EPERM),  # ioctl TIOCSTI
        (16, (0, 0x5401), ALLOW),  # TCGETS
        (157, (1, 0), EPERM),  # prctl PR_SET_PDEATHSIG
        (157, (15, 0), ALLOW),  # PR_SET_NAME
        (302, (0, 7), ALLOW),  # prlimit64 of itself
        (302, (99, 7), EPERM),
        (72, (3, 8), EPERM),  # fcntl F_SETOWN
        (72, (3, 1), ALLOW),  # F_GETFD
    ],
)
def test_some_calls_are_refused_by_their_argument(number, arguments, expected):
    assert answer(build_filter(is_alone=False, machine="x86_64"), number, *arguments) == expected


def test_a_machine_whose_numbers_are_not_known_has_no_sandbox():
    with pytest.raises(Unavailable, match="riscv64.*x86_64, aarch64"):
        build_filter(is_alone=True, machine="riscv64")
