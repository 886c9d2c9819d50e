"""How far a completion goes when nobody says: one line inside a line of code, a block where one begins. Pure."""

from spa_lsp.completion import StopPolicy

# What a line ends with when the lines behind it belong to it, in the languages that are served.
_OPENERS = (":", "{", "(", "[", "=>", "->", "\\")
_OPENING_WORDS = frozenset(("do", "then", "else", "begin", "try", "of"))


def stop_policy(prefix: str, suffix: str, *, is_asked: bool) -> StopPolicy:
    """`single` where one line is what is missing, else `multi`.

    Most keys are typed inside a line: a dozen tokens end it, where a block takes all that may be asked for.

    Args:
        prefix: the text before the cursor.
        suffix: the text behind it.
        is_asked: the user asked for alternatives, which is worth waiting for a block.
    """
    line, rest = prefix.rpartition("\n")[2], suffix.partition("\n")[0]
    if is_asked or not line.strip() or _opens_block(line, rest):
        return "multi"
    return "single"


def _opens_block(line: str, rest: str) -> bool:
    """Whether the lines behind this one are its own, and the cursor stands at its end."""
    before = line.rstrip()
    words = before.split()
    return not rest.strip() and (before.endswith(_OPENERS) or words[-1] in _OPENING_WORDS)
