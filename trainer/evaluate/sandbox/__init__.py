"""Runs untrusted Python where it can do no harm: inside bubblewrap, or under Landlock, or not at all.

Inside: no network, no home, no environment, no other processes, nothing that can be written but an empty 16 MiB /tmp
(under Landlock nothing), a seccomp filter, limits for each process and for the memory of all of them together.
"""

import functools
from collections.abc import Sequence

from trainer.evaluate.sandbox.backend import allow_no_sandbox, allow_packages, describe, require_backend
from trainer.evaluate.sandbox.limits import Limits
from trainer.evaluate.sandbox.outcome import Outcome, OutcomeKind
from trainer.evaluate.sandbox.process import Backend, BackendKind
from trainer.evaluate.sandbox.run import run

__all__ = [
    "Backend",
    "BackendKind",
    "Limits",
    "Outcome",
    "OutcomeKind",
    "allow_no_sandbox",
    "allow_packages",
    "require_backend",
    "require_sandbox",
    "run_program",
]

_LIMITS = Limits()


def require_sandbox(*, may_be_none: bool = False, packages: Sequence[str] = ()) -> str:
    """Try the sandbox with a program that attempts escapes, once per process; the answer describes it.

    With `may_be_none` (`--unsafe-no-sandbox`) programs run from now on without one, where none works. They may import
    these `packages` (`--allow-package`) of our own Python.

    Raises:
        Unavailable: see `backend.require_backend`; or a package does not work inside. BadInput: it is not installed.
    """
    allow_packages(packages)
    if may_be_none:
        allow_no_sandbox()
    return _describe(require_backend())


def run_program(source: str, limits: Limits = _LIMITS, *, hash_seed: int = 0) -> Outcome:
    """Run `source` as a program of its own, confined; about 30 ms. Limits that it reaches are outcomes, not errors.

    `memory` is a MemoryError that it did not handle or more than `limits` allow in all its processes together, `killed`
    a signal (a crash) or more output than allowed, and `sandbox_error` says that it never started, which is no fault of
    the program. `hash_seed` decides the order of sets of strings.

    Raises:
        Unavailable: see `backend.require_backend`.
    """
    return run(source, require_backend(), limits, hash_seed=hash_seed)


_describe = functools.cache(describe)
