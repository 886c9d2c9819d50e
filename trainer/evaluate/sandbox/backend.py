"""Chooses what confines programs here: bubblewrap, otherwise Landlock, otherwise nothing is run."""

import functools
import logging
import os
import subprocess
import threading

from spa_lsp.errors import Unavailable
from trainer.evaluate.sandbox.bubblewrap import find_bubblewrap
from trainer.evaluate.sandbox.interpreter import find_interpreter
from trainer.evaluate.sandbox.memory import can_find_trees
from trainer.evaluate.sandbox.process import Backend
from trainer.evaluate.sandbox.self_test import try_escapes

logger = logging.getLogger(__name__)

INSTALL = "install the package bubblewrap (apt-get, dnf or pacman), version 0.8 or newer"
APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
IN_CONTAINER = ("/.dockerenv", "/run/.containerenv")

_is_allowed_without = threading.Event()


def allow_no_sandbox() -> None:
    """From now on, programs run without a sandbox where none works: what `--unsafe-no-sandbox` asks for."""
    _is_allowed_without.set()
    require_backend.cache_clear()


@functools.cache
def require_backend() -> Backend:
    """What confines programs here, tried by a program that attempts escapes, once per process.

    Raises:
        Unavailable: nothing does; says why, and how to get one on this system.
    """
    backends = find_backends()
    problems = []
    for backend in backends:
        problem = find_problem(backend)
        if not problem:
            return backend
        problems.append(f"{backend.kind}: {problem}")
    reason = "; ".join(problems) or "there is neither bubblewrap nor Landlock"
    if _is_allowed_without.is_set():
        logger.warning("model-written programs run WITHOUT a sandbox, as you asked for (%s)", reason)
        return Backend(kind="none", interpreter=find_interpreter())
    raise Unavailable(
        f"no sandbox confines programs here ({reason}), so none is run; {hint()}, "
        "or pass --unsafe-no-sandbox on a machine that you can lose"
    )


def describe(backend: Backend) -> str:
    """What is written beside each result: kind, versions, and whether root was given up."""
    python = subprocess.run([backend.interpreter.path, "-IS", "-V"], capture_output=True, text=True, check=True)
    versions = [python.stdout.strip()]
    if backend.program:
        bwrap = subprocess.run([backend.program, "--version"], capture_output=True, text=True, check=True)
        versions = [bwrap.stdout.strip(), *versions]
    user = "root" if os.geteuid() == 0 and backend.keeps_user else "unprivileged"
    return ", ".join([backend.kind, *versions, user])


def find_backends() -> list[Backend]:
    """The back ends that could work here, the better one first; not tried yet."""
    interpreter, program = find_interpreter(), find_bubblewrap()
    found = [Backend(kind="bubblewrap", interpreter=interpreter, program=program)] if program else []
    return [*found, Backend(kind="landlock", interpreter=interpreter)]


def find_problem(backend: Backend) -> str:
    """Why a back end is of no use here; empty when it is."""
    if not can_find_trees():
        return "this kernel does not name the children of a process (CONFIG_PROC_CHILDREN)"
    if backend.kind == "landlock" and backend.keeps_user and os.geteuid() == 0:
        return "root has no Python that other users can read"
    try:
        outcome = try_escapes(backend)
    except Unavailable as error:  # a processor that is not known
        return str(error)
    return "" if outcome.kind == "completed" else outcome.error or outcome.output.strip() or outcome.kind


def hint() -> str:
    """How to get a sandbox on this system."""
    if not find_bubblewrap():
        return INSTALL
    if any(os.path.exists(path) for path in IN_CONTAINER):
        return "start the container with --security-opt seccomp=unconfined, which allows user namespaces"
    if os.path.exists(APPARMOR):
        return "allow bwrap user namespaces with sysctl kernel.apparmor_restrict_unprivileged_userns=0 or a profile"
    return f"{INSTALL}, and allow unprivileged user namespaces (sysctl user.max_user_namespaces above 0)"
