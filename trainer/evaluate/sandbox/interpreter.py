"""Which Python runs inside. As root we give up root for it, if there is one that others can read."""

import functools
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

SYSTEM_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """Its program, the folder that it needs besides the system's, and whether it must stay root to be read."""

    path: str
    prefix: str
    keeps_root: bool


@functools.cache
def find_interpreter() -> Interpreter:
    """Our own Python, or the system's when we are root and ours is closed to others."""
    own = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    if os.geteuid() != 0 or _is_readable_by_others(Path(sys.base_prefix)):
        return Interpreter(path=own, prefix=sys.base_prefix, keeps_root=False)
    if os.path.exists(SYSTEM_PYTHON):
        logger.info("%s is closed to other users, the sandbox runs %s", sys.base_prefix, SYSTEM_PYTHON)
        return Interpreter(path=SYSTEM_PYTHON, prefix="/usr", keeps_root=False)
    logger.warning(
        "%s is closed to other users and there is no %s: the sandbox keeps root of its own user namespace",
        sys.base_prefix,
        SYSTEM_PYTHON,
    )
    return Interpreter(path=own, prefix=sys.base_prefix, keeps_root=True)


def _is_readable_by_others(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))
