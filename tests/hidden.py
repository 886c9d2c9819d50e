"""Takes sandboxes away from a whole run of the tests, as on a machine without them.

SPA_TEST_HIDE=bubblewrap pytest tests/trainer/evaluate
SPA_TEST_HIDE="bubblewrap landlock" pytest tests/trainer/evaluate
"""

import errno
import os
import platform
from pathlib import Path

PROGRAM = "bwrap"
HIDEABLE = {"bubblewrap", "landlock"}


def hide(names, folder: Path):
    """Hide them from this process and all that it starts; `folder` is an empty one to keep."""
    unknown = set(names) - HIDEABLE
    assert not unknown, f"SPA_TEST_HIDE knows {sorted(HIDEABLE)}, not {sorted(unknown)}"
    if "bubblewrap" in names:
        os.environ["PATH"] = path_without(PROGRAM, os.environ["PATH"], folder)
    if "landlock" in names:
        refuse_landlock()


def path_without(program: str, path: str, folder: Path) -> str:
    """The same search path, in which each folder that has the program is one of links to all its other files."""
    return os.pathsep.join(
        str(links_to_others(program, Path(entry), folder / str(place))) if (Path(entry) / program).exists() else entry
        for place, entry in enumerate(path.split(os.pathsep))
    )


def links_to_others(program: str, entry: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for other in entry.iterdir():
        if other.name != program:
            (folder / other.name).symlink_to(other)
    return folder


def refuse_landlock():
    """As a kernel without it answers: the call does not exist."""
    from trainer.evaluate.sandbox.landlock_inside import CREATE_RULESET, PR_SET_NO_NEW_PRIVS, _check, _load_filter, libc
    from trainer.evaluate.sandbox.seccomp import ALLOW, ARCHITECTURES, RETURN, _check_architecture, _deny, _instruction

    architecture = ARCHITECTURES[platform.machine()][1]
    program = [*_check_architecture(architecture), *_deny(CREATE_RULESET, errno.ENOSYS), _instruction(RETURN, ALLOW)]
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _load_filter(b"".join(program))
