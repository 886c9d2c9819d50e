"""Where things lie on this machine. Only names are made here; folders are created by whoever writes.

`SPA_HOME`, `SPA_CACHE` and `SPA_CONFIG` move data, cache and settings; otherwise the XDG base directories apply. Who
has no home gets a folder in /tmp, which is made at once, as others could make it first.
"""

import logging
import os
import re
import tempfile
from functools import cache
from pathlib import Path

from spa_lsp.own_folder import make_own_folder

STORE_NAME = "spa.db"

_SNAP_REVISION = re.compile(r"x?\d+|common|current")

logger = logging.getLogger(__name__)


def data_dir() -> Path:
    """Folder of what must not be lost: the store, outcomes, imported sets."""
    return _folder("SPA_HOME", "XDG_DATA_HOME", ".local/share")


def cache_dir() -> Path:
    """Folder of what can be fetched or computed again: bases, checkpoints."""
    return _folder("SPA_CACHE", "XDG_CACHE_HOME", ".cache")


def config_dir() -> Path:
    """Folder of the user's own settings file."""
    return _folder("SPA_CONFIG", "XDG_CONFIG_HOME", ".config")


def runtime_dir() -> Path:
    """Folder of the engine's socket and locks; short, because a socket's path may have only 107 bytes."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not runtime:
        return _temporary_dir()
    if not _can_be_made(Path(runtime)) or _is_anothers(Path(runtime)):
        _say_once(f"XDG_RUNTIME_DIR={runtime} cannot be used: the engine's socket lies in {_temporary_dir()}")
        return _temporary_dir()
    return Path(runtime) / "spa-lsp"


def store_path() -> Path:
    """The SQLite store of the trainer."""
    return data_dir() / STORE_NAME


def snap_of(folder: Path) -> str:
    """The snap in whose own folder this lies, as `~/snap/code/123/.local/share`, where nobody else looks; else ""."""
    parts = folder.parts
    own = (parts[n + 1] for n in range(len(parts) - 2) if parts[n] == "snap" and _SNAP_REVISION.fullmatch(parts[n + 2]))
    return next(own, "")


def bases_dir() -> Path:
    """Folder of the fetched and converted bases, one sub-folder per base id."""
    return cache_dir() / "bases"


def user_sets_dir() -> Path:
    """Folder of imported adapter sets, `<base>/<set>/`."""
    return data_dir() / "sets"


def shipped_models_dir() -> Path:
    """Folder `models/`: the catalog and the shipped sets; inside the package when installed from a wheel."""
    packaged = Path(__file__).parent / "_models"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "models"


def _folder(own: str, xdg: str, default: str) -> Path:
    if os.environ.get(own):
        return Path(os.path.expanduser(os.environ[own]))
    parent = os.environ.get(xdg)
    return (Path(parent) if parent else _home(default) / default) / "spa-lsp"


def _home(default: str) -> Path:
    """The user's home if this folder can be made there; else a private one in /tmp."""
    home = Path(os.path.expanduser("~"))  # left as it is for a user with neither HOME nor an entry in the passwd file
    if home.is_absolute() and _can_be_made(home / default):
        return home
    way_out = "set HOME, or SPA_HOME, SPA_CACHE and SPA_CONFIG, to folders of your own"
    make_own_folder(_temporary_dir(), way_out=way_out)
    home = _temporary_dir() / "home"
    _say_once(f"there is no home folder to write in: {home} is used, which others cannot read; {way_out}")
    return home


def _temporary_dir() -> Path:
    return Path(tempfile.gettempdir()) / f"spa-lsp-{os.getuid()}"


def _is_anothers(folder: Path) -> bool:
    """Whether another user's, as after `su`, which keeps the environment."""
    return os.path.exists(folder) and os.stat(folder).st_uid != os.getuid()


def _can_be_made(folder: Path) -> bool:
    """Whether it is there, or this user may make it."""
    if os.path.isdir(folder):  # not `Path`, which raises where it may not look
        return True
    existing = next(parent for parent in folder.absolute().parents if os.path.exists(parent))
    return os.path.isdir(existing) and os.access(existing, os.W_OK | os.X_OK)


@cache
def _say_once(message: str) -> None:
    logger.warning("%s", message)
