"""Completions that want a verdict which they have not earned; none gets it, on any back end."""

import dataclasses
import zlib

import pytest

from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.judge import process_pool as testers
from trainer.evaluate.sandbox import Limits

SECRET = 918273645  # what the test expects; whoever returns it has seen the test
CHECKSUM = zlib.crc32(str(SECRET).encode())
PROBLEM = Problem(
    task_id="Own/guess",
    entry_point="guess",
    prefix="def guess(numbers):\n",
    suffix="",
    solution=f"    return {SECRET}\n",
    test=f"def check(candidate):\n    assert candidate([1, 2]) == {SECRET}\n    assert candidate([3]) == {SECRET}\n",
)
ALWAYS_EQUAL = """    class {name}({base}):
        def __eq__(self, other): return True
        def __ne__(self, other): return False
        def __hash__(self): return 0
    return {name}()
"""
FAKE_ANSWERS = """    import os
    for fd in range(3, 20):
        try: os.write(fd, {line!r})
        except OSError: pass
    {then}
"""
# the number itself does not stand in these, or they would find themselves
FIND = """    import gc, os, re, sys, zlib
    def find(content):
        for found in re.finditer(rb'(?=(\\d{{9}}))', content):
            if zlib.crc32(found[1]) == {checksum}:
                return int(found[1])
"""
SEARCH = """    def places():
        yield repr(sys.argv) + repr(os.environ)
        frame = sys._getframe()
        while frame:
            yield repr(frame.f_locals) + repr(frame.f_globals)
            frame = frame.f_back
        for item in gc.get_objects():
            if type(item) in (str, bytes, list, dict, tuple):
                yield repr(item)[:9999]
        for fd in range(64):
            try: yield repr(os.pread(fd, 9999, 0))
            except OSError: pass
        for process in filter(str.isdigit, os.listdir('/proc') if os.access('/proc', os.R_OK) else ()):
            for name in ('cmdline', 'environ'):
                try: yield open(f'/proc/{process}/{name}').read()
                except OSError: pass
    return next(filter(None, (find(text.encode('utf-8', 'replace')) for text in places())), 0)
"""
MEMORY = """    maps = [line.split() for line in open('/proc/self/maps') if ' rw' in line or ' r--' in line]
    with open('/proc/self/mem', 'rb', 0) as memory:
        for place in maps:
            first, last = (int(end, 16) for end in place[0].split('-'))
            try:
                memory.seek(first)
                found = find(memory.read(last - first))
            except (OSError, ValueError, OverflowError):
                continue
            if found:
                return found
    return 0
"""
CHEATS = {
    "raise SystemExit": "    raise SystemExit\n",
    "sys.exit": "    import sys; sys.exit(0)\n",
    "os._exit": "    import os; os._exit(0)\n",
    "os._exit in a finalizer": "    import atexit, os; atexit.register(os._exit, 0)\n",
    "always equal": ALWAYS_EQUAL.format(name="E", base="object"),
    "always equal list": ALWAYS_EQUAL.format(name="E", base="list"),
    "always equal int": ALWAYS_EQUAL.format(name="E", base="int"),
    "always equal str": ALWAYS_EQUAL.format(name="E", base="str"),
    "always equal dict": ALWAYS_EQUAL.format(name="E", base="dict"),
    "always equal and named like a built-in": ALWAYS_EQUAL.format(name="E", base="object").replace(
        "        def __hash__",
        "        __module__ = 'builtins'\n        def __iter__(self): return iter(())\n        def __hash__",
    ),
    "open quote": '    return 0\n"""\n',
    "another AssertionError": "    import builtins; builtins.AssertionError = SystemExit\n",
    "no assertions": "    import sys; sys.flags = None; __debug__\n    return 0\n",
    "patched json": "    import json; json.loads = json.dumps = lambda *_: 1\n",
    "patched encoder": (
        "    import sys\n    scope = sys._getframe(1).f_globals\n    scope['encode'] = lambda *_: '{\"any\": 1}'\n"
    ),
    "patched check": "    import sys\n    sys._getframe(1).f_globals['check'] = lambda *_: None\n",
    "answer of another call": FAKE_ANSWERS.format(line=b'0 {"result": 1, "after": null}\n', then="return 0"),
    "answer without an end": FAKE_ANSWERS.format(line=b'{"kind": "completed"}', then="os._exit(0)"),
    "answer of the tester": FAKE_ANSWERS.format(
        line=b'{"kind": "completed", "error": "", "seconds": 1}\n', then="os._exit(0)"
    ),
    "answer that is code": FAKE_ANSWERS.format(line=b"__import__('os')._exit(0)\n", then="os._exit(0)"),
    "line that says loaded": FAKE_ANSWERS.format(line=b"ready\nloaded\n", then="os._exit(0)"),
    "search for the expected value": FIND.format(checksum=CHECKSUM) + SEARCH,
    "search of the memory": FIND.format(checksum=CHECKSUM) + MEMORY,
    "endless iterator": "    import itertools; return itertools.count()\n",
    "endless generator": "    while True: yield 1\n",
    "list in itself": "    a = []; a.append(a); return a\n",
    "deep list": "    a = []\n    for _ in range(100000): a = [a]\n    return a\n",
    "huge text": "    return 'x' * (40 << 20)\n",
    "huge number": "    return 1 << 10 ** 8\n",
    "huge range": "    return range(10 ** 18)\n",
    "huge exception": "    raise ValueError('x' * (50 << 20))\n",
    "exception of ours": "    class Ended(BaseException): pass\n    raise Ended\n",
    "exception like ours": "    raise type('CandidateError', (Exception,), {})('completed')\n",
    "exception without a text": ("    class E(Exception):\n        def __str__(self): raise SystemExit\n    raise E\n"),
    "changed arguments": "    numbers.clear(); numbers.append(0)\n",
    "kill of all": "    import os, signal; os.kill(-1, signal.SIGTERM); os.kill(os.getppid(), signal.SIGKILL)\n",
    "closed streams": (
        "    import os\n    for fd in range(20):\n        try: os.close(fd)\n        except OSError: pass\n"
    ),
    "undecodable": "    return b'\\xff' * 9\n",
    "lone surrogate": "    return '\\ud800'\n",
    "lambda": "    return lambda: 0\n",
    "module": "    import os; return os\n",
}
LIMITS = Limits(wall_s=60.0, cpu_s=1.0, memory_bytes=256 << 20)


@pytest.fixture(scope="module")
def ask(need):
    started = {}

    def run(kind, completion, problem=PROBLEM):
        backend = need(kind)
        if kind not in started or not started[kind].is_alive:
            started[kind] = testers.Tester(backend)
        job = {
            "program": problem.program(completion),
            "helpers": problem.program(problem.solution),
            "test": problem.test,
            "entry_point": problem.entry_point,
        }
        return started[kind].ask(job, LIMITS)

    yield run
    for tester in started.values():
        if tester.is_alive:
            tester.close()


@pytest.mark.parametrize("kind", ["bubblewrap", pytest.param("landlock", marks=pytest.mark.hostile)])
@pytest.mark.parametrize("cheat", CHEATS)
def test_no_cheat_passes_or_is_taken_for_a_fault_of_the_sandbox(ask, kind, cheat):
    assert ask(kind, CHEATS[cheat])["kind"] in ("failed", "memory", "timeout", "killed")


@pytest.mark.parametrize("kind", ["bubblewrap", "landlock"])
def test_the_solution_passes_after_all_cheats(ask, kind):
    answer = ask(kind, PROBLEM.solution)
    assert answer["kind"] == "completed", answer


@pytest.mark.parametrize(
    ("kind", "cheat"),
    [
        ("bubblewrap", "search for the expected value"),
        ("bubblewrap", "search of the memory"),  # under Landlock there is no /proc to search in
        ("landlock", "search for the expected value"),
    ],
)
def test_the_search_finds_what_is_there(ask, kind, cheat):
    """The positive control: with the expected value in the program, both searches find it and pass."""
    told = dataclasses.replace(PROBLEM, prefix=f"told = '{SECRET}'\n" + PROBLEM.prefix)
    assert ask(kind, CHEATS[cheat], told)["kind"] == "completed"
