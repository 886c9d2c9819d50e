"""Which files no command sends to a model: those that get no completions in an editor either."""

import os
from pathlib import Path


def refuse_ignored(path: Path) -> None:
    """Do nothing for a file that may be completed.

    Raises:
        BadInput: a rule names it.
    """
    from spa_lsp.errors import BadInput
    from spa_lsp.settings.files import read_settings
    from spa_lsp.text.source_text import language_of
    from spa_lsp.workspace.ignores import why_ignored

    whole = Path(os.path.abspath(path))  # links are followed where it is judged, and its own name counts, too
    root = _workspace_of(whole)
    patterns = read_settings(root).settings.ignore
    if rule := why_ignored(whole, root, patterns=patterns, language=language_of(path)):
        raise BadInput(f"{path} is left alone ({rule}); choose another file, or change that rule")


def _workspace_of(path: Path) -> Path:
    """The folder that an editor would have open: the repository or the one with our settings, else the current one."""
    from spa_lsp.settings.files import WORKSPACE_NAME

    marked = (folder for folder in path.parents if any((folder / name).exists() for name in (".git", WORKSPACE_NAME)))
    current = Path.cwd() if path.is_relative_to(Path.cwd()) else path.parent
    return next(marked, current)
