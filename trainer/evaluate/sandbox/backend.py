"""Chooses what confines programs here: bubblewrap, otherwise Landlock, otherwise nothing is run."""

import functools
import logging
import os
import subprocess
import threading
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import packages_distributions, version

from spa_lsp.errors import Unavailable
from trainer.evaluate.sandbox.bubblewrap import find_bubblewrap
from trainer.evaluate.sandbox.interpreter import find_interpreter
from trainer.evaluate.sandbox.memory import can_find_trees
from trainer.evaluate.sandbox.packages import Package, find_package
from trainer.evaluate.sandbox.process import Backend
from trainer.evaluate.sandbox.run import run
from trainer.evaluate.sandbox.self_test import LIMITS, try_escapes

logger = logging.getLogger(__name__)

INSTALL = "install the package bubblewrap (apt-get, dnf or pacman), version 0.8 or newer"
APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
IN_CONTAINER = ("/.dockerenv", "/run/.containerenv")

_is_allowed_without = threading.Event()
_packages: dict[str, Package] = {}


def allow_no_sandbox() -> None:
    """From now on, programs run without a sandbox where none works: what `--unsafe-no-sandbox` asks for."""
    _is_allowed_without.set()
    require_backend.cache_clear()


def allow_packages(names: Iterable[str]) -> None:
    """From now on, programs may import these packages of ours: what `--allow-package` asks for.

    Raises:
        BadInput: one is not installed.
    """
    for name in names:
        _packages[name] = find_package(name)
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
            return _with_packages(backend)
        problems.append(f"{backend.kind}: {problem}")
    reason = "; ".join(problems) or "there is neither bubblewrap nor Landlock"
    if _is_allowed_without.is_set():
        logger.warning("model-written programs run WITHOUT a sandbox, as you asked for (%s)", reason)
        return _with_packages(Backend(kind="none", interpreter=find_interpreter()))
    raise Unavailable(
        f"no sandbox confines programs here ({reason}), so none is run; {hint()}, "
        "or pass --unsafe-no-sandbox on a machine that you can lose"
    )


def _with_packages(backend: Backend) -> Backend:
    """The back end that has the allowed packages, tried too: each is imported, then the escapes are attempted again."""
    allowed = replace(backend, packages=tuple(_packages.values()))
    for name in _packages:
        outcome = run(f"import {name}", allowed, LIMITS)
        if outcome.kind != "completed":
            said = outcome.error or outcome.kind
            raise Unavailable(f"{name} cannot be imported in the sandbox ({said}); allow what it needs, too, or none")
    problem = find_problem(allowed) if _packages and backend.kind != "none" else ""
    if problem:
        raise Unavailable(f"with {', '.join(_packages)} the sandbox does not confine programs ({problem})")
    return allowed


def describe(backend: Backend) -> str:
    """What is written beside each result: kind, versions, and whether root was given up."""
    python = subprocess.run([backend.interpreter.path, "-IS", "-V"], capture_output=True, text=True, check=True)
    versions = [python.stdout.strip()]
    if backend.program:
        bwrap = subprocess.run([backend.program, "--version"], capture_output=True, text=True, check=True)
        versions = [bwrap.stdout.strip(), *versions]
    versions += [f"{package.name} {_version(package.name)}" for package in backend.packages]
    user = "root" if os.geteuid() == 0 and backend.keeps_user else "unprivileged"
    return ", ".join([backend.kind, *versions, user])


def _version(package: str) -> str:
    return version(packages_distributions()[package][0])


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
