"""What an alternative is at its place: the text that is inserted, and which program that makes. Pure."""

import re
from dataclasses import dataclass, replace

from spa_lsp.text.normal_form import normal_form, parses
from spa_lsp.text.postprocess import n_replaced, polish
from spa_lsp.text.site import Site

# Of the text around the cursor: the engine compares rows between two steps, and this takes some ms a row, 30 at worst.
_CHARS_BEFORE, _CHARS_BEHIND = 2000, 1000
_STATEMENT = re.compile(r"^\S", re.MULTILINE)  # on a module's level, as a rule


@dataclass(frozen=True, kw_only=True)
class Program:
    """A text, polished for its place."""

    text: str = ""  # that an editor inserts; empty: there is nothing to insert
    n_replaced: int = 0  # characters behind the cursor whose place it takes: closing brackets, the rest of a word
    form: str = ""  # equal for the same programs


def program_at(text: str, site: Site, *, is_open: bool = False) -> Program:
    """What a model wrote, at this place; `is_open`: the length or a deadline ended it."""
    polished = polish(text, site, is_open=is_open)
    if not polished:
        return Program()
    n = n_replaced(polished, site)
    return Program(text=polished, n_replaced=n, form=normal_form(*site.filled(polished, n)))


class Programs:
    """The programs that are there at one place, the first of which tells whether right syntax can be had.

    Of a long text only what is near the cursor is looked at.
    """

    def __init__(self, site: Site, first: str, *, is_open: bool = False) -> None:
        self._site = _near(site)
        program = program_at(first, self._site, is_open=is_open)
        self._forms = {"", program.form}  # nothing to insert is no news either
        self._must_parse = bool(program.text) and self._parses(program)

    def add(self, text: str, *, is_open: bool = False) -> bool:
        """Whether it makes another program than those that are there; then it is there, too.

        What does not parse where the first one does is none.
        """
        program = program_at(text, self._site, is_open=is_open)
        if program.form in self._forms or (self._must_parse and not self._parses(program)):
            return False
        self._forms.add(program.form)
        return True

    def _parses(self, program: Program) -> bool:
        return parses(*self._site.filled(program.text, program.n_replaced))


def _near(site: Site) -> Site:
    """The site without what is far from the cursor, from and to a line that is not indented where there is one."""
    before, behind = site.before, site.suffix
    if len(before) > _CHARS_BEFORE:
        cut = before[-_CHARS_BEFORE:]
        start = _STATEMENT.search(cut, cut.find("\n") + 1)
        before = cut[start.start() if start else cut.find("\n") + 1 :]
    if len(behind) > _CHARS_BEHIND:
        cut = behind[:_CHARS_BEHIND]
        starts = [match.start() for match in _STATEMENT.finditer(cut) if match.start()]
        behind = cut[: starts[-1] if starts else cut.rfind("\n") + 1]
    return replace(site, prefix=before, begun="", suffix=behind)
