"""The unit by which a document is indented, found from its code, and completions in that unit."""

import math
import re
from collections import Counter
from dataclasses import dataclass

from spa_lsp.text.languages import canonical
from spa_lsp.text.lexer import blanked
from spa_lsp.text.site import Site

_AFTER_CHARS = 2000  # of the text behind the cursor, that are looked at where nothing before it is indented
_STARRED = re.compile(r"\s* \*")  # of a `/** … */` block, in a language that is not known
_BLANKS = re.compile(r"[ \t]*")


@dataclass(frozen=True)
class _Line:
    """One line, and what of it is code, as long."""

    text: str
    code: str

    @property
    def is_code(self) -> bool:
        return bool(self.code.strip()) and not _STARRED.match(self.text)

    @property
    def blanks(self) -> str:
        found = _BLANKS.match(self.text)
        return found[0] if found else ""


def use_unit(text: str, site: Site) -> str:
    """With the document's tabs for spaces at the lines' beginnings, or its spaces for tabs; the first line, too."""
    unit = unit_of(site)
    lines = _lines(text, site)
    first = 1 if site.line.strip() else 0  # what follows code on its line is no indentation
    if unit == "\t":
        width = _width([line for line in lines[first:] if line.is_code])
        moved = [_with_tabs(line, width) for line in lines[first:]] if width else None
    else:
        moved = [_with_spaces(line, unit) for line in lines[first:]] if unit else None
    return "\n".join([*(line.text for line in lines[:first]), *moved]) if moved else text


def unit_of(site: Site) -> str:
    """A tab, or some spaces; empty when neither the cursor's line nor the code around it tells."""
    if site.line.startswith("\t"):
        return "\t"
    if canonical(site.language) == "makefile":
        return ""  # its tabs are no indentation
    unit = _unit(site.before, blanked(site.before, "", site.language))
    if not unit:
        after = site.suffix[:_AFTER_CHARS].partition("\n")[2]
        unit = _unit(after, blanked("", after, site.language))
    is_mixed = unit == "\t" and site.line.startswith(" ")
    return "" if is_mixed else unit


def _unit(text: str, code: str) -> str:
    lines = [_Line(*pair) for pair in zip(text.split("\n"), code.split("\n"), strict=True)]
    indented = [line.blanks for line in lines if line.is_code and line.blanks]
    counts = Counter(blanks[0] for blanks in indented)
    if not counts or counts["\t"] == counts[" "]:
        return ""
    if counts["\t"] > counts[" "]:
        return "\t"
    widths = [len(blanks) for blanks in indented if blanks[0] == " "]
    return " " * (min(max(2, math.gcd(*widths)), 8))


def _lines(text: str, site: Site) -> list[_Line]:
    code = blanked(site.before, text, site.language)[len(site.before) :]
    return [_Line(*pair) for pair in zip(text.split("\n"), code.split("\n"), strict=True)]


def _width(lines: list[_Line]) -> int:
    """How many spaces of a completion are one step; 0: no line begins with any."""
    widths = [len(line.blanks) for line in lines if line.blanks.startswith(" ")]
    return min(max(2, math.gcd(*widths)), 4) if widths else 0


def _with_tabs(line: _Line, width: int) -> str:
    n_spaces = len(line.text) - len(line.text.lstrip(" "))
    return "\t" * (n_spaces // width) + " " * (n_spaces % width) + line.text[n_spaces:]


def _with_spaces(line: _Line, unit: str) -> str:
    return line.blanks.replace("\t", unit) + line.text[len(line.blanks) :]
