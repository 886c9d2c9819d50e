"""From what the model wrote to what is shown: one pure rule per function, applied in the order of `RULES`."""

from collections.abc import Callable

from spa_lsp.text.postprocess.brackets import cut_surplus_brackets, n_replaced
from spa_lsp.text.postprocess.indent import use_unit
from spa_lsp.text.postprocess.lines import (
    drop_open_line,
    drop_tiny,
    fix_indentation,
    keep_line,
    keep_statement,
    strip_blanks,
)
from spa_lsp.text.postprocess.loops import cut_loops
from spa_lsp.text.postprocess.secret_text import drop_secrets, has_secret
from spa_lsp.text.postprocess.suffix import cut_at_next_line, drop_line_rest, drop_repeated_lines
from spa_lsp.text.postprocess.word import beyond_word, fit_word
from spa_lsp.text.site import Site

__all__ = ["RULES", "TextRule", "drop_line_rest", "n_replaced", "polish"]

TextRule = Callable[[str, Site], str]  # gives "" when nothing is left

RULES: tuple[TextRule, ...] = (
    drop_secrets,  # first: another rule may leave half a key
    keep_line,
    keep_statement,
    cut_loops,
    cut_at_next_line,
    cut_surplus_brackets,
    drop_line_rest,
    drop_repeated_lines,
    fix_indentation,
    use_unit,
    strip_blanks,
    drop_tiny,
)


def polish(text: str, site: Site, *, is_open: bool = False) -> str:
    """The completion as it is shown at this place; "" when nothing is left of it.

    `is_open`: the length or the deadline ended it, so that its last line may be half a one.
    """
    text, site = fit_word(text, site), beyond_word(site)
    if is_open and not has_secret(text):  # a key in the last line spoils all of it
        text = drop_open_line(text)
    for rule in RULES:
        text = rule(text, site)
    return text
