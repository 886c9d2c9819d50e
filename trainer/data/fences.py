"""Fenced code in Markdown, read and written: the one reader for what is imported, evaluated and accepted. Pure."""

import re
from dataclasses import dataclass
from functools import cache
from textwrap import dedent

from markdown_it import MarkdownIt


@dataclass(frozen=True, kw_only=True)
class Block:
    """The content of one fence, dedented, each line ended, and the first word behind the fence, in small letters."""

    language: str
    code: str


def fenced_blocks(text: str) -> list[Block]:
    """All fences in their order, as CommonMark has them: of ``` or ~~~, of any length, in lists, never closed.

    A fence that is indented inside another one is content of that. Text that is indented as a whole is read without.
    """
    return _read(text) or _read(dedent(text))


def plain_lines(text: str) -> str:
    """The text with `\\n` as its only line end."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def fenced(code: str, language: str) -> str:
    """The code in a fence that nothing in it closes."""
    runs = re.findall(r"^[ \t]*(`{3,})", code, re.MULTILINE)
    fence = "`" * max([3, *(len(run) + 1 for run in runs)])
    return f"{fence}{language}\n{code}\n{fence}"


def _read(text: str) -> list[Block]:
    tokens = [token for token in _parser().parse(plain_lines(text)) if token.type == "fence"]
    return [
        Block(language=(token.info.split() or [""])[0].lower(), code=dedent(token.content))
        for token in tokens
        if token.content.strip()
    ]


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["block"])  # the text stays what it is, NULs too, and its lines are not looked into
    return parser
