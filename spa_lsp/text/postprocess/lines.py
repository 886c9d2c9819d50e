"""How many lines of a completion are kept, and how they are indented."""

import ast
import re

from spa_lsp.text.indentation import indentation
from spa_lsp.text.languages import canonical, syntax_of
from spa_lsp.text.lexer import blanked
from spa_lsp.text.postprocess.brackets import is_in_line_comment, open_brackets
from spa_lsp.text.python_source import parse_python
from spa_lsp.text.site import Site

_CLAUSE = re.compile(r"\s*(elif|else|except|finally|case)\b")
_OPENS_BLOCK = (":", "{", "(", "[")


def drop_open_line(text: str) -> str:
    """Without the last line, which broke off in the middle of whatever it was to be; an only line is kept."""
    whole, _, _ = text.rpartition("\n")
    return whole if whole.strip() else text


def keep_line(text: str, site: Site) -> str:
    """Only the first line, where something stands behind the cursor or the cursor is in a comment."""
    return text.partition("\n")[0] if site.rest or is_in_line_comment(site.before, site.language) else text


def keep_statement(text: str, site: Site) -> str:
    """Where the cursor's line is begun: to the end of its statement, with the block that this opens."""
    if not site.line.strip() or "\n" not in text:
        return text
    lines = text.split("\n")
    if canonical(site.language) == "python":
        return "\n".join(lines[: _python_lines(site.line, lines)])
    has_end = syntax_of(site.language).has_braced_blocks  # elsewhere nothing says where a block ends
    return "\n".join(lines[: _bracket_lines(site, lines)]) if has_end else text


def fix_indentation(text: str, site: Site) -> str:
    """Without white space that the cursor's line has already; lines that were moved right with it move back."""
    first, _, others = text.partition("\n")
    surplus = indentation(first)
    if not surplus or not first.strip() or not site.line or site.line.strip() or _is_deeper_expected(site):
        return text
    below = others.split("\n") if others else []
    are_moved = all(indentation(line) >= len(site.line) + surplus for line in below if line.strip())
    moved = [line[surplus:] if line.strip() and are_moved else line for line in below]
    return "\n".join([first[surplus:], *moved])


def strip_blanks(text: str, site: Site) -> str:
    """Without white space at the lines' ends, but for Markdown, where it breaks lines, and none at the text's end."""
    if site.language != "markdown":
        text = re.sub(r"[ \t]+(?=\n)", "", text)
    return text.rstrip()


def drop_tiny(text: str, site: Site) -> str:
    """Nothing, when it is less than one would type: a single sign of punctuation."""
    return text if len(text.strip()) > 1 or text.strip().isalnum() else ""


def _python_lines(line: str, lines: list[str]) -> int:
    """How many lines belong to the statement that the cursor's line begins; all when it never parses."""
    for n in range(1, len(lines) + 1):
        tree = parse_python("\n".join([line.lstrip() + lines[0], *lines[1:n]]))
        if tree is not None:
            # a docstring is followed by what it is about
            return len(lines) if _is_text(tree) else _with_block(lines, n, indentation(line))
    if (line + lines[0]).rstrip().endswith(":"):
        return _with_block(lines, 1, indentation(line))  # `else:` has no statement of its own
    return len(lines)


def _with_block(lines: list[str], n: int, depth: int) -> int:
    """`n` and the lines after it that are indented more, or are a further clause of the statement."""
    end, is_block = n, n > 1 or lines[0].rstrip().endswith(":")
    for at in range(n, len(lines)):
        line = lines[at]
        if line.strip() and not (indentation(line) > depth or (is_block and _CLAUSE.match(line))):
            break
        end = at + 1
    return end


def _bracket_lines(site: Site, lines: list[str]) -> int:
    """How many lines it takes to close every bracket that the cursor's line opens; all when they stay open."""
    code = blanked(site.before, "\n".join(lines), site.language)
    start, end = len(site.before) - len(site.line), len(site.before)
    for n, line in enumerate(lines, start=1):
        end += len(line)
        opened = open_brackets(code[start:end])
        if opened is None or not opened:
            return n
        end += 1
    return len(lines)


def _is_text(tree: ast.Module) -> bool:
    match tree.body:
        case [ast.Expr(value=ast.Constant(value=str()))]:
            return True
    return False


def _is_deeper_expected(site: Site) -> bool:
    """Whether the line above opens a block and the cursor's line is not indented for it yet."""
    before = blanked(site.before, "", site.language).split("\n")[:-1]
    above = next((line for line in reversed(before) if line.strip()), "")
    return above.rstrip().endswith(_OPENS_BLOCK) and len(site.line) <= indentation(above)
