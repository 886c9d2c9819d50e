"""How far a completion goes when nobody says: one line inside a line of code, a block where one begins. Pure."""

from spa_lsp.completion import StopPolicy
from spa_lsp.text.site import Site

# What a line ends with when the lines behind it belong to it, in the languages that are served.
_OPENERS = (":", "{", "(", "[", "=>", "->", "\\")
_OPENING_WORDS = frozenset(("do", "then", "else", "begin", "try", "of"))


def stop_policy(site: Site, *, is_asked: bool) -> StopPolicy:
    """`single` where one line is what is missing, else `multi`.

    Most keys are typed inside a line: a dozen tokens end it, where a block takes all that may be asked for.

    `is_asked`: the user asked for alternatives, which is worth waiting for a block.
    """
    if is_asked or not site.line.strip() or _opens_block(site):
        return "multi"
    return "single"


def _opens_block(site: Site) -> bool:
    """Whether the lines behind this one are its own, and the cursor stands at its end."""
    before = site.line.rstrip()
    return not site.rest and (before.endswith(_OPENERS) or before.split()[-1] in _OPENING_WORDS)
