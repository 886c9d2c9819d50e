"""In which of the workspace's folders a document lies. Pure."""

from collections.abc import Sequence
from pathlib import Path

from spa_lsp.workspace.ignores import is_local, path_of


def folder_of(uri: str, folders: Sequence[Path]) -> Path | None:
    """The innermost folder that the document lies in; None: it lies in none, as all of another machine."""
    path = path_of(uri) if is_local(uri) else None
    found = [folder for folder in folders if path and Path(path).is_relative_to(folder)]
    return max(found, key=lambda each: len(each.parts), default=None)
