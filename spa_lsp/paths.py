"""Where things lie on this machine. Only names are made here; folders are created by whoever writes.

`SPA_HOME`, `SPA_CACHE` and `SPA_CONFIG` move data, cache and settings; otherwise the XDG base directories apply.
"""

import os
import tempfile
from pathlib import Path

STORE_NAME = "spa.db"


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
    if runtime:
        return Path(runtime) / "spa-lsp"
    return Path(tempfile.gettempdir()) / f"spa-lsp-{os.getuid()}"


def store_path() -> Path:
    """The SQLite store of the trainer."""
    return data_dir() / STORE_NAME


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
        return Path(os.environ[own]).expanduser()
    parent = os.environ.get(xdg)
    return (Path(parent) if parent else Path.home() / default) / "spa-lsp"
