import threading
import time

import psutil
import pytest

from tests.fakes import PATIENCE_S
from trainer.evaluate.sandbox import Limits
from trainer.evaluate.sandbox.limits import TMP_BYTES
from trainer.evaluate.sandbox.run import run


@pytest.fixture
def run_program(backend):
    """The function of that name, on each back end that works here."""
    return lambda source, **limits: run(source, backend, Limits(**{"wall_s": PATIENCE_S, **limits}))


def test_a_program_that_ends_is_completed_with_its_output(run_program):
    outcome = run_program("import sys\nprint('out')\nprint('err', file=sys.stderr)")
    assert (outcome.kind, sorted(outcome.output.split())) == ("completed", ["err", "out"])


@pytest.mark.parametrize(
    "source",
    [
        "raise SystemExit",
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "import os; os.write(1, b'0' * 32); os.write(2, b'0' * 32); os._exit(0)",
        "import os\nfor fd in range(3, 20):\n    try: os.write(fd, b'0' * 32)\n    except OSError: pass\nos._exit(0)",
        "assert False",
        "syntax error",
        "x = '\0'",
        "import os; os.execv('/usr/bin/true', ['true'])",
    ],
)
def test_ending_early_or_with_an_exception_is_a_failure(source, run_program):
    assert run_program(source).kind == "failed"


def test_the_exception_is_named(run_program):
    assert run_program("1 / 0").error == "ZeroDivisionError: division by zero"


def test_an_exception_whose_text_raises_is_a_failure(run_program):
    source = "class E(Exception):\n    def __str__(self): raise SystemExit\nraise E"
    assert run_program(source).kind == "failed"


@pytest.mark.parametrize(
    "source",
    [
        "while True: pass",
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
    ],
)
def test_an_endless_loop_is_a_timeout_by_processor_time(source, run_program):
    outcome = run_program(source, cpu_s=1.0, wall_s=60.0)
    assert (outcome.kind, outcome.error) == ("timeout", "processor time")


def test_sleeping_is_a_timeout_by_the_wall_clock(run_program):
    outcome = run_program("import time; time.sleep(999)", wall_s=4.0)
    assert (outcome.kind, outcome.error) == ("timeout", "wall clock")


def test_too_much_memory_is_memory(run_program):
    assert run_program("x = 'x' * (4 << 30)").kind == "memory"


def test_endless_output_is_killed_and_capped(run_program):
    outcome = run_program("while True: print('x' * 1000)", output_bytes=4096)
    assert (outcome.kind, len(outcome.output)) == ("killed", 4096)


def test_a_crash_is_killed(run_program):
    assert run_program("import ctypes; ctypes.string_at(0)").error == "signal 11"


def test_stdin_is_empty(run_program):
    assert run_program("input()").error.startswith("EOFError")


def test_little_can_be_written(run_program):
    source = (
        "n = 0\ntry:\n    with open('/tmp/x', 'wb', 0) as file:\n        while True: n += file.write(bytes(1 << 20))\n"
    )
    outcome = run_program(source + "except OSError:\n    print(n)")
    assert outcome.kind == "completed"
    assert int(outcome.output) <= TMP_BYTES  # under Landlock nothing


def test_children_do_not_outlive_their_program(run_program, backend):
    marker = str(time.time_ns())
    source = f"import os\nif os.fork() == 0:\n    os.setsid()\n    os.execv('/usr/bin/sleep', ['sleep', '6{marker}'])"
    assert run_program(source).kind == ("completed" if backend.is_alone else "failed")  # under Landlock none can start
    alive = [process for process in psutil.process_iter(["cmdline"]) if f"6{marker}" in (process.info["cmdline"] or [])]
    assert alive == []


def test_a_fork_bomb_is_stopped(run_program):
    assert run_program("import os\nwhile True: os.fork()", cpu_s=1.0, wall_s=60.0).kind in ("failed", "timeout")


def test_programs_run_at_the_same_time_do_not_disturb_each_other(run_program):
    kinds = []
    threads = [threading.Thread(target=lambda: kinds.append(run_program("print(1)").kind)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kinds == ["completed"] * 4


def test_an_import_from_the_future_of_ours_is_not_the_programs(run_program):
    assert run_program("def f(x: no_such_name): pass").error.startswith("NameError")


def test_a_program_that_closes_all_its_streams_is_still_watched(run_program):
    source = "import os, time\nfor fd in range(8):\n    try: os.close(fd)\n    except OSError: pass\ntime.sleep(999)"
    outcome = run_program(source, wall_s=2.0)
    assert (outcome.kind, outcome.error) == ("timeout", "wall clock")


def test_hashes_and_so_the_order_of_sets_are_the_same_each_time(run_program):
    assert run_program("print(hash('a'))").output == run_program("print(hash('a'))").output


def test_nothing_is_imported_from_the_working_folder(run_program):
    assert run_program("import sys\nassert '' not in sys.path and not any('tmp' in p for p in sys.path)").error == ""
