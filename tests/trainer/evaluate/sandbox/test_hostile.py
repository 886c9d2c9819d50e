"""Every hostile program on every back end; and the positive control, without a sandbox."""

import os
import platform
import shutil
import socket
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

from tests.fakes import PATIENCE_S
from tests.trainer.evaluate.sandbox import hostile_programs as programs
from trainer.evaluate.sandbox import process as sandbox_process
from trainer.evaluate.sandbox import syscalls
from trainer.evaluate.sandbox.interpreter import find_interpreter
from trainer.evaluate.sandbox.limits import Limits
from trainer.evaluate.sandbox.process import Backend
from trainer.evaluate.sandbox.run import run
from trainer.evaluate.sandbox.seccomp import ARCHITECTURES

pytestmark = pytest.mark.hostile

HOSTILE = {**programs.LIMITS, **programs.STAYING, **programs.FILES, **programs.OTHERS, **programs.KERNEL}
if platform.machine() == "x86_64":
    HOSTILE |= programs.FOREIGN_CALLS
OWN_ENVIRONMENT = ascii(Path("/proc/self/environ").read_bytes()[:40])[2:-1]
LIMITS = Limits(wall_s=60.0, cpu_s=1.0, memory_bytes=200 << 20, output_bytes=32 << 10)
IMPATIENT = replace(LIMITS, wall_s=5.0)  # for those that sleep
NUMBERS = {
    name: numbers[ARCHITECTURES[platform.machine()][0]]
    for table in (
        syscalls.DENIED_ALWAYS,
        syscalls.DENIED_BESIDE_OTHERS,
        syscalls.DENIED_ON_HOST_FILES,
        syscalls.DENIED_BY_ARGUMENT,
    )
    for name, numbers in table.items()
}


@dataclass
class Host:
    """What a program could reach if it got out: a secret in a file, a descriptor and the environment, and listeners."""

    folder: Path
    secret: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self):
        self.folder.chmod(0o777)
        (self.folder / "canary").write_text(self.secret)
        (self.folder / "canary").chmod(0o666)
        self.descriptor = os.open(self.folder / "canary", os.O_RDONLY)
        os.set_inheritable(self.descriptor, True)
        self.abstract = f"\0{self.secret[:8]}"
        self.listeners = [
            socket.create_server(("127.0.0.1", 0)),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            *(socket.socket(socket.AF_UNIX) for _ in range(2)),
        ]
        addresses = [None, ("127.0.0.1", 0), self.abstract, str(self.folder / "socket")]
        for listener, address in zip(self.listeners, addresses, strict=True):
            if address:
                listener.bind(address)
            if address and listener.type == socket.SOCK_STREAM:
                listener.listen()
            listener.setblocking(False)
        (self.folder / "socket").chmod(0o777)

    def close(self):
        os.close(self.descriptor)
        for listener in self.listeners:
            listener.close()
        shutil.rmtree(self.folder)

    def source(self, program):
        facts = {
            "CANARY": str(self.folder / "canary"),
            "FOLDER": str(self.folder),
            "CANARY_FD": self.descriptor,
            "PID": os.getpid(),
            "TCP": self.listeners[0].getsockname()[1],
            "UDP": self.listeners[1].getsockname()[1],
            "ABSTRACT": self.abstract,
            "NUMBERS": NUMBERS,
        }
        return "".join(f"{name} = {value!r}\n" for name, value in facts.items()) + programs.PRELUDE + program

    def visits(self):
        return [listener for listener in self.listeners if _is_visited(listener)]


def _is_visited(listener):
    try:
        if listener.type == socket.SOCK_DGRAM:
            listener.recv(1)
        else:
            listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@dataclass
class Ran:
    """What all programs left behind on one back end."""

    outcomes: dict
    secret: str
    survivors: list
    visits: list
    files: list
    content: str
    mode: int


def survivors_of(marker):
    """Processes that were started with this marker in their environment, and are still there."""
    found = []
    for process in psutil.process_iter():
        try:
            if marker in Path(f"/proc/{process.pid}/environ").read_text(errors="replace"):
                found.append(process)
        except (OSError, psutil.Error):
            continue
    return found


def run_all(backend, sources, *, patience_s=PATIENCE_S):
    """Run them; what is left of them may take some time to go."""
    host = Host(Path(tempfile.mkdtemp(dir="/var/tmp")))
    marker = uuid.uuid4().hex
    with closing(host), pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(8) as pool:
        patch.setenv("HOSTILE_SECRET", host.secret)
        patch.setitem(sandbox_process.ENVIRONMENT, "LC_ALL", f"C.UTF-8@{marker}")
        ran = pool.map(lambda name: run(host.source(sources[name]), backend, limits_of(name, backend.kind)), sources)
        outcomes = dict(zip(sources, ran, strict=True))
        end = time.monotonic() + patience_s
        while (survivors := survivors_of(marker)) and time.monotonic() < end:
            time.sleep(0.1)
        return Ran(
            outcomes=outcomes,
            secret=host.secret,
            survivors=survivors,
            visits=host.visits(),
            files=sorted(path.name for path in host.folder.iterdir()),
            content=(host.folder / "canary").read_text(),
            mode=(host.folder / "canary").stat().st_mode & 0o777,
        )


@pytest.fixture(scope="module", params=["bubblewrap", "landlock"])
def ran(request, need):
    return request.param, run_all(need(request.param), {name: source for name, (source, _) in HOSTILE.items()})


def limits_of(name, kind):
    return IMPATIENT if expected_kinds(name, kind) == ["timeout"] else LIMITS


def expected_kinds(name, kind):
    """One or, where speed decides, several."""
    expected = HOSTILE[name][1]
    if isinstance(expected, tuple):
        expected = expected[kind == "landlock"]
    return expected.split(" or ")


@pytest.mark.parametrize("name", HOSTILE)
def test_the_program_ends_as_expected_and_has_not_escaped(ran, name):
    kind, all_of_it = ran
    outcome = all_of_it.outcomes[name]
    assert outcome.kind in expected_kinds(name, kind), outcome
    assert "ESCAPED" not in outcome.output
    assert all_of_it.secret not in outcome.output + outcome.error
    assert OWN_ENVIRONMENT not in outcome.output


def test_nothing_is_left(ran):
    assert ran[1].survivors == []


def test_nobody_has_called_the_listeners(ran):
    assert ran[1].visits == []


def test_the_files_of_the_host_are_as_they_were(ran):
    assert (ran[1].files, ran[1].content, ran[1].mode) == (["canary", "socket"], ran[1].secret, 0o666)
    assert not [path for path in ("/pwned", "/usr/pwned", "/usr/bin/pwned", "/dev/pwned") if os.path.exists(path)]


CONTROL = {
    name: HOSTILE[name][0]
    for name in (
        "read a file",
        "environment of all processes",
        "TCP",
        "UDP",
        "abstract socket",
        "write a folder of the host",
        "signal to the supervisor",
        "program in the background",
    )
}


def test_without_a_sandbox_the_same_programs_escape():
    """The positive control: each of the checks above sees what it is there for."""
    ran = run_all(Backend(kind="none", interpreter=find_interpreter()), CONTROL, patience_s=1.0)
    escaped = {name for name, outcome in ran.outcomes.items() if "ESCAPED" in outcome.output}
    assert escaped == set(CONTROL) - {"environment of all processes", "program in the background"}
    assert ran.secret in ran.outcomes["read a file"].output
    assert OWN_ENVIRONMENT in ran.outcomes["environment of all processes"].output
    assert len(ran.visits) == 3
    assert "pwned" in ran.files
    assert len(ran.survivors) == 1
    ran.survivors[0].kill()
