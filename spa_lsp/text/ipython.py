"""What IPython adds to Python, so that rules made for Python can look at a notebook's cells. Pure."""

import re

from spa_lsp.text.languages import canonical
from spa_lsp.text.syntax import SYNTAXES

# Cell magics whose body is code of the notebook itself, of IPython and of the profilers that are used with it.
_SAME_LANGUAGE = frozenset("capture debug lprun memit mprun prun time timeit pyinstrument snakeviz".split())
_CELL_MAGIC = re.compile(r"\s*%%(\w+)[ \t]*([\w.+-]*)")
_RUN_PYTHON = re.compile(r"(%(?:time|timeit|prun|memit) )(?=[ \t]*[^\s-])")  # Python follows, unless options do
_LINE = re.compile(
    r"""^(?P<indent>[ \t]*+)
    (?: (?P<assigned>[\w., \t\[\]'"]++=[ \t]*+) (?=!|%[A-Za-z_])
      | (?=%%?[A-Za-z_] | !(?!=) | \?{1,2}\w | [\w.%*]++\?{1,2}[ \t]*+$)
    )
    (?P<magic>.*)$""",
    re.VERBOSE,
)


def cell_language(text: str, language: str) -> str:
    """The language of a cell: the editor's, unless a cell magic as `%%bash` says another.

    What a magic that is not known takes is text: no rule of a language is right for it.
    """
    match = _CELL_MAGIC.match(text) if canonical(language) == "python" else None
    if match is None or match[1] in _SAME_LANGUAGE:
        return language
    name = canonical(match[2] if match[1] == "script" else match[1])
    return name if name in SYNTAXES else "plaintext"


def as_python(text: str) -> str:
    """The text with comments for what is only IPython, of the same length: offsets stay right.

    A line with three quotes is left alone: it may be the end of a string that begins with `%` by chance.
    """
    lines: list[str] = []
    is_continued = False  # a shell line goes on behind a backslash
    for line in text.split("\n"):
        match = None if is_continued else _LINE.match(line)
        if is_continued:
            lines.append(_as_comment(line))
        elif match is None or '"""' in line or "'''" in line:
            lines.append(line)
        else:
            lines.append(line[: match.start("magic")] + _as_statement(match))
        is_continued = (is_continued or match is not None) and line.endswith("\\")
    return "\n".join(lines)


def _as_statement(match: re.Match[str]) -> str:
    magic = match["magic"]
    if run := _RUN_PYTHON.match(magic):
        return "0;".ljust(run.end()) + magic[run.end() :]
    # a block or an assignment needs something besides a comment
    needs_value = match["indent"] or match["assigned"]
    return ("0#" if needs_value else "#")[: len(magic)] + magic[2 if needs_value else 1 :]


def _as_comment(line: str) -> str:
    rest = line.lstrip()
    return line[: len(line) - len(rest)] + "#" + rest[1:] if rest else line
