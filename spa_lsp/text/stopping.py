"""When a completion is over, seen from its text alone: where a programmer would say that the gap is filled.

The base hardly ever stops an infill by itself, so the text is cut where it reaches what stands behind the cursor.
An answer to an instruction is cut behind its code: half of it would be an explanation.
"""

import re
from collections.abc import Callable, Set
from functools import partial

from spa_lsp.completion import Layout, StopPolicy
from spa_lsp.text.indentation import indentation
from spa_lsp.text.site import Site

# Gives the text up to the cut, or None while the completion may go on.
Cut = Callable[[str], str | None]

# lines that stand twice in honest code and so say nothing about having reached the suffix
_COMMON = re.compile(r"\s*(return|else|break|continue|pass|try|finally)\b")
_TELLING_CHARACTERS = 14
_SUFFIX_LINES = 5
_FENCE = re.compile(r"`{3,}|~{3,}")  # of a code block in Markdown
_DEFINITION = re.compile(r"\s*(async\s+)?(def|class)\s")
_EXAMPLE = re.compile(r"print\(|if __name__|def main\(")  # where EvalPlus ends an answer, too


def make_cut(policy: StopPolicy, layout: Layout, site: Site) -> Cut:
    """The rule for one request; `none` never cuts, and in the instruct layout the others are one.

    There only what is begun of the answer counts: the prefix is the instruction.
    """
    if policy == "none":
        return _never
    if layout == "instruct":
        return partial(_through_code, site.begun)
    return partial(_first_line, site) if policy == "single" else partial(_block, site, _ends(site), _depth(site))


def _never(text: str) -> str | None:
    return None


def _through_code(begun: str, text: str) -> str | None:
    """Through the first code block that defines something, or before its examples; shell commands are no answer."""
    fence, is_telling, position = "", False, -len(begun)
    for line in (begun + text).split("\n"):
        if is_telling and _EXAMPLE.match(line):
            return text[: max(position, 0)]
        position += len(line) + 1
        if position > len(text):  # the line is not whole yet
            break
        if not fence:
            fence, is_telling = line if _FENCE.match(line.strip()) else "", False
        elif not _closes(line, fence):
            is_telling = is_telling or _DEFINITION.match(line) is not None
        elif is_telling:
            return text[: max(position, 0)]
        else:
            fence = ""
    return None


def _closes(line: str, opening: str) -> bool:
    """As CommonMark has it: as long or longer, and hardly farther indented: what is, in a docstring, is code."""
    found, signs = _FENCE.match(opening.strip()), line.strip()
    is_fence = found is not None and signs.startswith(found[0]) and set(signs) == {found[0][0]}
    return is_fence and indentation(line) <= indentation(opening) + 3


def _first_line(site: Site, text: str) -> str | None:
    """Through the first line that is not blank."""
    start = len(text) - len(text.lstrip())
    end = text.find("\n", start)
    return None if end < 0 or not text.strip() else _closed(site, text[:end])


def _block(site: Site, ends: Set[str], depth: int, text: str) -> str | None:
    """Before the first whole line that the suffix already has, or that leaves the cursor's block."""
    position = 0
    for n, line in enumerate(text.split("\n")[:-1]):
        is_continued = n == 0 and bool(site.line)  # the cursor's line holds something, if only its indentation
        is_out = depth > 0 and not is_continued and indentation(line) == 0
        if line.strip() and (line in ends or is_out):
            return _closed(site, text[: max(position - 1, 0)])
        position += len(line) + 1
    return None


def _closed(site: Site, text: str) -> str:
    """With a line end where the suffix begins with a line of its own."""
    return f"{text}\n" if text and not site.line and site.rest else text


def _ends(site: Site) -> Set[str]:
    """Lines of the suffix that end a completion, as they stand there."""
    lines = [line for line in site.suffix.split("\n") if line.strip()][:_SUFFIX_LINES]
    return {line for n, line in enumerate(lines) if n == 0 or _is_telling(line)}


def _is_telling(line: str) -> bool:
    return len(line.strip()) >= _TELLING_CHARACTERS and not _COMMON.match(line)


def _depth(site: Site) -> int:
    """Indentation of the cursor's line, or of the one expected there, in characters; a colon opens a block."""
    if site.line:
        return indentation(site.line)
    line = next((text for text in reversed(site.before.split("\n")) if text.strip()), "")
    return indentation(line) + (1 if line.rstrip().endswith(":") else 0)
