import threading
import time

import psutil
import pytest

from trainer.evaluate.sandbox import run_program

needs_sandbox = pytest.mark.usefixtures("sandbox")


@needs_sandbox
def test_a_program_that_ends_is_completed_with_its_output():
    outcome = run_program("import sys\nprint('out')\nprint('err', file=sys.stderr)")
    assert (outcome.kind, sorted(outcome.output.split())) == ("completed", ["err", "out"])


@needs_sandbox
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
def test_ending_early_or_with_an_exception_is_a_failure(source):
    assert run_program(source).kind == "failed"


@needs_sandbox
def test_the_exception_is_named():
    assert run_program("1 / 0").error == "ZeroDivisionError: division by zero"


@needs_sandbox
def test_an_exception_whose_text_raises_is_a_failure():
    source = "class E(Exception):\n    def __str__(self): raise SystemExit\nraise E"
    assert run_program(source).kind == "failed"


@needs_sandbox
@pytest.mark.parametrize(
    "source",
    [
        "while True: pass",
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
    ],
)
def test_an_endless_loop_is_a_timeout_by_processor_time(source):
    outcome = run_program(source, cpu_s=1.0, wall_s=60.0)
    assert (outcome.kind, outcome.error) == ("timeout", "processor time")


@needs_sandbox
def test_sleeping_is_a_timeout_by_the_wall_clock():
    outcome = run_program("import time; time.sleep(60)", wall_s=4.0)
    assert (outcome.kind, outcome.error) == ("timeout", "wall clock")
    assert outcome.seconds < 20


@needs_sandbox
def test_too_much_memory_is_memory():
    assert run_program("x = 'x' * (4 << 30)").kind == "memory"


@needs_sandbox
def test_endless_output_is_killed_and_capped():
    outcome = run_program("while True: print('x' * 1000)", output_bytes=4096)
    assert (outcome.kind, len(outcome.output)) == ("killed", 4096)


@needs_sandbox
def test_a_crash_is_killed():
    assert run_program("import ctypes; ctypes.string_at(0)").error == "signal 11"


@needs_sandbox
def test_stdin_is_empty():
    assert run_program("input()").error.startswith("EOFError")


@needs_sandbox
def test_the_disk_is_small():
    source = "with open('/tmp/x', 'wb') as file:\n    while True: file.write(bytes(1 << 20))"
    assert run_program(source).error.startswith("OSError")


@needs_sandbox
def test_children_do_not_outlive_their_program():
    marker = str(time.time_ns())
    source = f"import os\nif os.fork() == 0:\n    os.setsid()\n    os.execv('/usr/bin/sleep', ['sleep', '6{marker}'])"
    assert run_program(source).kind == "completed"
    alive = [process for process in psutil.process_iter(["cmdline"]) if f"6{marker}" in (process.info["cmdline"] or [])]
    assert alive == []


@needs_sandbox
def test_a_fork_bomb_is_stopped():
    assert run_program("import os\nwhile True: os.fork()", cpu_s=1.0, wall_s=60.0).kind in ("failed", "timeout")


@needs_sandbox
def test_programs_run_at_the_same_time_do_not_disturb_each_other():
    kinds = []
    threads = [threading.Thread(target=lambda: kinds.append(run_program("print(1)").kind)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kinds == ["completed"] * 4


@needs_sandbox
def test_an_import_from_the_future_of_ours_is_not_the_programs():
    assert run_program("def f(x: no_such_name): pass").error.startswith("NameError")


@needs_sandbox
def test_a_program_that_closes_all_its_streams_is_still_watched():
    source = "import os, time\nfor fd in range(8):\n    try: os.close(fd)\n    except OSError: pass\ntime.sleep(60)"
    outcome = run_program(source, wall_s=2.0)
    assert (outcome.kind, outcome.error) == ("timeout", "wall clock")


@needs_sandbox
def test_hashes_and_so_the_order_of_sets_are_the_same_each_time():
    assert run_program("print(hash('a'))").output == run_program("print(hash('a'))").output


@needs_sandbox
def test_nothing_is_imported_from_the_working_folder():
    assert run_program("import sys\nassert '' not in sys.path and not any('tmp' in p for p in sys.path)").error == ""
