"""The set that a person chose for each base: one small file."""

import json
from pathlib import Path

from spa_lsp import paths
from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.errors import Damaged
from spa_lsp.storage import store
from spa_lsp.storage.private_files import locked, write_private_file
from spa_lsp.storage.whole_files import written_whole

SELECTION_NAME = "selected-sets.json"


def read_selection() -> dict[str, str]:
    """The set chosen by hand for each base id.

    Raises:
        Damaged: the file cannot be read as such.
    """
    path = _path()
    try:
        selection = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        selection = None
    if not isinstance(selection, dict) or not all(isinstance(name, str) for name in selection.values()):
        raise Damaged(f"{path} does not hold a choice of sets; run: spa-lsp adapters use --default")
    return selection


def select_set(adapter_set: AdapterSet) -> None:
    """Choose a set for its base, until another is chosen.

    Raises:
        Busy: another process did not finish its choice in time.
    """
    with locked(_path()):
        _write_selection({**read_selection(), adapter_set.base_id: adapter_set.name})


def clear_selection(base_id: str | None = None) -> None:
    """Go back to the default set of one base, or of all; also fixes a damaged choice.

    Raises:
        Busy: another process did not finish its choice in time.
    """
    with locked(_path()):
        _write_selection({} if base_id is None else {k: v for k, v in read_selection().items() if k != base_id})


def _write_selection(selection: dict[str, str]) -> None:
    with written_whole(_path()) as unfinished:
        write_private_file(unfinished, f"{store.canonical_json(selection)}\n".encode())


def _path() -> Path:
    return paths.data_dir() / SELECTION_NAME
