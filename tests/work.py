"""Measures of work that do not depend on how fast or how busy the machine is."""

import signal
import sys
from contextlib import contextmanager

FOR_EVER_S = 60.0  # of processor time: what should take milliseconds has then no end in sight


@contextmanager
def not_for_ever():
    """Fail when this takes a minute of processor time; for inputs on which the wrong way would take hours."""

    def stop(*_):
        raise AssertionError(f"this has no end: {FOR_EVER_S:.0f} s of processor time are spent")

    former = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, FOR_EVER_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)


def count_calls(function, *arguments):
    """How many functions, Python's own included, are called meanwhile."""
    n_calls = 0

    def see(frame, event, argument):
        nonlocal n_calls
        n_calls += event in ("call", "c_call")

    former = sys.getprofile()
    sys.setprofile(see)
    try:
        function(*arguments)
    finally:
        sys.setprofile(former)
    return n_calls
