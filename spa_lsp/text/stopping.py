"""When a completion is over, seen from its text alone: where a programmer would say that the gap is filled.

The base hardly ever stops an infill by itself, so the text is cut where it reaches what stands behind the cursor.
An answer to an instruction is cut behind its code: half of it would be an explanation.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from spa_lsp.completion import Layout, StopPolicy
from spa_lsp.text.indentation import indentation

# Gives the text up to the cut, or None while the completion may go on.
Cut = Callable[[str], str | None]

# lines that stand twice in honest code and so say nothing about having reached the suffix
_COMMON = re.compile(r"\s*(return|else|break|continue|pass|try|finally)\b")
_TELLING_CHARACTERS = 14
_SUFFIX_LINES = 5
_FENCE = re.compile(r"`{3,}|~{3,}")  # of a code block in Markdown
_DEFINITION = re.compile(r"\s*(async\s+)?(def|class)\s")
_EXAMPLE = re.compile(r"print\(|if __name__|def main\(")  # where EvalPlus ends an answer, too


@dataclass(frozen=True, kw_only=True)
class Gap:
    """The place to fill: its indentation, and the lines behind it that end it."""

    indentation: int  # of the cursor's line, or of the line expected there, in characters
    is_line_begun: bool  # the cursor's line holds something already, if only its indentation
    takes_whole_lines: bool  # the suffix begins with a line of its own: the last line inserted before it must be ended
    ends: frozenset[str]  # lines of the suffix, as they stand there


def make_cut(policy: StopPolicy, layout: Layout, *, prefix: str, suffix: str) -> Cut:
    """The rule for one request; `none` never cuts, and in the instruct layout the others are one.

    The prefix is the text that the completion follows: in the instruct layout what is given of the answer.
    """
    if policy == "none":
        return _never
    if layout == "instruct":
        return partial(_through_code, prefix)
    gap = find_gap(prefix, suffix)
    return partial(_first_line, gap) if policy == "single" else partial(_block, gap)


def find_gap(prefix: str, suffix: str) -> Gap:
    """What the text around the cursor says about where a completion must end."""
    line = prefix.rpartition("\n")[2]
    rest, _, behind = suffix.partition("\n")
    lines = [text for text in (rest, *behind.split("\n")) if text.strip()]
    ends = {text for n, text in enumerate(lines[:_SUFFIX_LINES]) if n == 0 or _is_telling(text)}
    return Gap(
        indentation=indentation(line) if line else _expected_indentation(prefix),
        is_line_begun=bool(line),
        takes_whole_lines=not line and bool(rest.strip()),
        ends=frozenset(ends),
    )


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


def _first_line(gap: Gap, text: str) -> str | None:
    """Through the first line that is not blank."""
    start = len(text) - len(text.lstrip())
    end = text.find("\n", start)
    return None if end < 0 or not text.strip() else _closed(gap, text[:end])


def _block(gap: Gap, text: str) -> str | None:
    """Before the first whole line that the suffix already has, or that leaves the cursor's block."""
    position = 0
    for n, line in enumerate(text.split("\n")[:-1]):
        if _ends_gap(gap, line, is_continued=n == 0 and gap.is_line_begun):
            return _closed(gap, text[: max(position - 1, 0)])
        position += len(line) + 1
    return None


def _closed(gap: Gap, text: str) -> str:
    return f"{text}\n" if gap.takes_whole_lines and text else text


def _ends_gap(gap: Gap, line: str, *, is_continued: bool) -> bool:
    if not line.strip():
        return False
    if line in gap.ends:
        return True
    return not is_continued and gap.indentation > 0 and indentation(line) == 0


def _is_telling(line: str) -> bool:
    return len(line.strip()) >= _TELLING_CHARACTERS and not _COMMON.match(line)


def _expected_indentation(prefix: str) -> int:
    """Of the line that would follow the prefix; a colon opens a block."""
    line = next((text for text in reversed(prefix.split("\n")) if text.strip()), "")
    return indentation(line) + (1 if line.rstrip().endswith(":") else 0)
