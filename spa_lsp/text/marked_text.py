"""Texts with a cursor drawn in them as `‸`: the demo's own files, and any file that a person has marked so."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from spa_lsp.errors import BadInput, NotFound
from spa_lsp.text.site import Site
from spa_lsp.text.source_text import language_of, read_text

MARK = "‸"
BUNDLED = ("cart.py", "settings.py", "moving_average.py", "word_counts.py")  # in the order of the demo


@dataclass(frozen=True, kw_only=True)
class MarkedText(Site):
    """A site in a file that has a name."""

    name: str


def bundled_texts() -> list[MarkedText]:
    """The demo's files."""
    return [_bundled_text(name) for name in BUNDLED]


def is_bundled(name: str) -> bool:
    """Whether this names a file of the demo, with or without its ending; any other is the path of a file."""
    return name in BUNDLED or f"{name}.py" in BUNDLED


def find_text(name: str) -> MarkedText:
    """A bundled file by its name, else the file at this path.

    Raises:
        NotFound: neither. BadInput: it cannot be read, or does not hold exactly one mark.
    """
    if is_bundled(name):
        return _bundled_text(name if name in BUNDLED else f"{name}.py")
    path = Path(name)
    if not path.exists():
        raise NotFound(f"there is no file {name}; the demo has {', '.join(BUNDLED)}, or give the path of your own")
    return cut_at_mark(path.name, read_text(path))


def cut_at_mark(name: str, text: str) -> MarkedText:
    """The two sides of the one mark in a text.

    Raises:
        BadInput: no mark, or several.
    """
    n_marks = text.count(MARK)
    if n_marks != 1:
        found = "has no" if n_marks == 0 else f"has {n_marks} times the mark"
        raise BadInput(f"{name} {found} {MARK}; put one where the cursor is, or use: spa-lsp complete FILE:LINE:COL")
    prefix, _, suffix = text.partition(MARK)
    return MarkedText(name=name, prefix=prefix, suffix=suffix, language=language_of(Path(name)))


def _bundled_text(name: str) -> MarkedText:
    # .txt: with the mark in it this is no Python, and tools that look for Python must not find it
    text = resources.files(__package__).joinpath("demo_files", f"{name}.txt").read_text(encoding="utf-8")
    return cut_at_mark(name, text)
