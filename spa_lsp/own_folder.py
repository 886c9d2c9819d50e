"""A folder of our own where anybody may make one, as in /tmp: somebody else may have been there first."""

import os
import stat
from pathlib import Path

from spa_lsp.errors import BadInput


def make_own_folder(folder: Path, *, way_out: str) -> None:
    """Make the folder, or check that the one there is ours alone; others cannot enter it then.

    Raises:
        BadInput: as `check_own_folder`.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_own_folder(folder, way_out=way_out)
    if stat.S_IMODE(folder.lstat().st_mode) & 0o077:
        folder.chmod(0o700)


def check_own_folder(folder: Path, *, way_out: str) -> None:
    """Refuse a folder in which somebody else could put a file or a socket; it must be there.

    Raises:
        BadInput: it is a link, belongs to another user, or others can write there.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise BadInput(f"{folder} belongs to someone else, who could read or change what is yours; {way_out}")
    if stat.S_IMODE(found.st_mode) & 0o022:
        raise BadInput(f"others can write in {folder}, and so could read or change what is yours; {way_out}")
