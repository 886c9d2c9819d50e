import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from spa_lsp.errors import Unavailable
from trainer.evaluate.sandbox import backend as module
from trainer.evaluate.sandbox import bubblewrap, interpreter, process, run_program
from trainer.evaluate.sandbox.run import run
from trainer.evaluate.sandbox.self_test import LIMITS

ROOT = Path(__file__).parents[4]
FORBIDDEN = """
import sys
from trainer.evaluate.sandbox import allow_no_sandbox, require_backend, run_program
from trainer.evaluate.sandbox.landlock_inside import PR_SET_NO_NEW_PRIVS, _check, _load_filter, libc
from trainer.evaluate.sandbox.seccomp import (
    RETURN,
    SyscallRule,
    _check_architecture,
    _deny,
    _deny_by_argument,
    _instruction,
)

def forbid(*numbers):
    rule = SyscallRule(name="clone", argument=0, test="any_bit", value=0x10000000)
    words = [word for number in numbers for word in _deny(number, 1)]
    program = [*_check_architecture(0xC000003E), *words, *_deny_by_argument(rule, 0), _instruction(RETURN, 0x7FFF0000)]
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _load_filter(b"".join(program))

UNSHARE, CLONE3, LANDLOCK = 272, 435, 444
"""


@pytest.fixture
def untried():
    cached = (module.require_backend, interpreter.find_interpreter)
    [function.cache_clear() for function in cached]
    yield
    [function.cache_clear() for function in cached]


def in_a_process(code):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", FORBIDDEN + code], capture_output=True, text=True, env=environment)


def test_the_description_names_the_kind_and_versions(sandbox):
    assert sandbox.startswith(module.require_backend().kind)
    assert "Python 3." in sandbox


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has root to give up")
def test_root_is_given_up(sandbox):
    assert sandbox.endswith("unprivileged")


def test_bubblewrap_is_found_wherever_path_says(monkeypatch, tmp_path, need, untried):
    (tmp_path / "bwrap").symlink_to(need("bubblewrap").program)
    module.require_backend.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert module.require_backend().kind == "bubblewrap"
    assert run_program("print(1)").kind == "completed"


def test_a_sandbox_that_cannot_start_is_a_sandbox_error(backend):
    broken = replace(backend.interpreter, path="/usr/bin/no-python")
    outcome = run("print(1)", replace(backend, interpreter=broken), LIMITS)
    assert outcome.kind == "sandbox_error"
    assert "no-python" in outcome.error


def test_a_back_end_with_a_hole_is_not_used(monkeypatch, backend, untried):
    real = bubblewrap._mounts
    monkeypatch.setattr(bubblewrap, "_mounts", lambda *args: ["--ro-bind", "/etc", "/etc", *real(*args)])
    monkeypatch.setattr("trainer.evaluate.sandbox.process.READABLE", ("/usr", "/lib", "/lib64", "/etc"))
    with pytest.raises(Unavailable, match=f"{backend.kind}: [^;]*files of the host.*--unsafe"):
        run_program("print(1)")


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of the calls are those of x86_64")
def test_where_user_namespaces_are_forbidden_landlock_is_used(need):
    need("landlock")
    done = in_a_process("forbid(UNSHARE, CLONE3)\nprint(require_backend().kind, run_program('print(1)').kind)")
    assert done.stdout.split() == ["landlock", "completed"], done.stderr


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of the calls are those of x86_64")
def test_where_landlock_is_forbidden_too_nothing_is_run():
    done = in_a_process("forbid(UNSHARE, CLONE3, LANDLOCK)\nprint(run_program('print(1)').kind)")
    assert done.returncode == 1 and done.stdout == ""
    assert "no sandbox confines programs here" in done.stderr and module.hint() in done.stderr


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of the calls are those of x86_64")
def test_only_the_unsafe_option_runs_programs_without_a_sandbox():
    code = "forbid(UNSHARE, CLONE3, LANDLOCK)\nallow_no_sandbox()\n"
    done = in_a_process(code + "print(require_backend().kind, run_program('print(1)').kind)")
    assert done.stdout.split() == ["none", "completed"]
    assert "WITHOUT a sandbox" in done.stderr


def test_a_missing_bubblewrap_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [backend.kind for backend in module.find_backends()] == ["landlock"]
    assert "install the package bubblewrap" in module.hint()


def test_in_a_container_the_hint_is_its_option(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "find_bubblewrap", lambda: "/usr/bin/bwrap")
    monkeypatch.setattr(module, "IN_CONTAINER", (str(tmp_path),))
    assert "--security-opt" in module.hint()


def test_with_apparmor_the_hint_is_its_setting(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "find_bubblewrap", lambda: "/usr/bin/bwrap")
    monkeypatch.setattr(module, "IN_CONTAINER", ())
    monkeypatch.setattr(module, "APPARMOR", str(tmp_path))
    assert "apparmor_restrict_unprivileged_userns" in module.hint()


def test_on_an_unknown_processor_there_is_a_reason_and_no_sandbox(monkeypatch, untried):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    process._filter.cache_clear()
    with pytest.raises(Unavailable, match="no sandbox for the processor riscv64"):
        module.require_backend()


def test_a_limit_of_ours_that_is_lower_is_named():
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\nprint(require_backend().kind)"
    done = in_a_process(code)
    assert done.returncode == 1 and "RLIMIT_FSIZE is 4096 here and must be 16777216; raise it" in done.stderr
