"""What an alternative is at its place: the text that is inserted, and which program that makes. Pure."""

from dataclasses import dataclass

from spa_lsp.text.normal_form import normal_form, parses
from spa_lsp.text.postprocess import n_replaced, polish
from spa_lsp.text.site import Site


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
    form = normal_form(site.before, polished, site.suffix[n:], site.language)
    return Program(text=polished, n_replaced=n, form=form)


class Programs:
    """The programs that are there at one place, the first of which tells whether right syntax can be had."""

    def __init__(self, site: Site, first: str, *, is_open: bool = False) -> None:
        self._site = site
        program = program_at(first, site, is_open=is_open)
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
        site = self._site
        return parses(site.before, program.text, site.suffix[program.n_replaced :], site.language)
