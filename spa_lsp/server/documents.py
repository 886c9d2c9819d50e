"""Open documents as the client sees them: the specification's line ends and positions, versions that only grow.

pygls's own documents take form feeds and U+2028 for line ends and let a position past a line's end slip into the next
line (research: 25 to 64 % of random edits wrong), so its workspace is not used for text.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from lsprotocol import types

from spa_lsp.text.languages import canonical

logger = logging.getLogger(__name__)

_LINE_END = re.compile(r"\r\n|\n|\r")
_BLOCK = 4096  # characters in which newlines are counted before they are looked for


@dataclass(frozen=True, kw_only=True)
class Document:
    """One version of an open document."""

    uri: str
    language: str  # LSP language id, whatever the client calls it
    version: int
    text: str
    notebook: str = ""  # URI of the notebook that it is a cell of
    is_desynced: bool = False  # a change came out of order: the text is not the client's until it is sent whole

    @property
    def file_uri(self) -> str:
        """The URI of the file that it is, or is in."""
        return self.notebook or self.uri


class Documents:
    """All open documents. `encoding` is the negotiated unit of positions."""

    def __init__(self) -> None:
        self.encoding = "utf-16"
        self._documents: dict[str, Document] = {}

    def get(self, uri: str) -> Document | None:
        """The newest version of an open document; nothing is ever read from the disk."""
        return self._documents.get(uri)

    def open(self, item: types.TextDocumentItem, *, notebook: str = "") -> None:
        """The client opened it, or sends it afresh; `notebook` is the URI of the one that it is a cell of."""
        language = canonical(item.language_id)
        self._documents[item.uri] = Document(
            uri=item.uri, language=language, version=item.version, text=item.text, notebook=notebook
        )

    def close(self, uri: str) -> None:
        """The client closed it."""
        self._documents.pop(uri, None)

    def distrust(self, uri: str) -> None:
        """A change of it was lost: its text is not used until the client sends it whole."""
        if document := self._documents.get(uri):
            self._documents[uri] = replace(document, is_desynced=True)

    def change(self, uri: str, version: int, changes: Sequence[types.TextDocumentContentChangeEvent]) -> None:
        """Apply changes in their order, unless this version is not newer than ours."""
        document = self._documents.get(uri)
        if document is None:
            logger.warning("ignored a change of a document that is not open")
        elif version <= document.version:
            logger.warning("ignored a change to version %d, after version %d", version, document.version)
            self.distrust(uri)
        else:
            text = document.text
            for change in changes:
                text = apply_change(text, change, self.encoding)
            is_whole = any(isinstance(change, types.TextDocumentContentChangeWholeDocument) for change in changes)
            is_desynced = document.is_desynced and not is_whole
            self._documents[uri] = replace(document, version=version, text=text, is_desynced=is_desynced)


def apply_change(text: str, change: types.TextDocumentContentChangeEvent, encoding: str) -> str:
    """The text after one change."""
    if isinstance(change, types.TextDocumentContentChangeWholeDocument):
        return change.text
    start = offset_at(text, change.range.start, encoding)
    end = offset_at(text, change.range.end, encoding)
    return text[:start] + change.text + text[max(start, end) :]


def offset_at(text: str, position: types.Position, encoding: str) -> int:
    """Index into the text; a character past the line's end is the line's end, a line past the last the text's end."""
    start = _line_start(text, position.line)
    if start is None:
        return len(text)
    end = _line_end(text, start)
    return start + _n_characters(text[start:end], position.character, encoding)


def position_at(text: str, offset: int, encoding: str) -> types.Position:
    """The position of an index into the text; there is none between `\\r` and `\\n`: it is that before them."""
    if text[offset - 1 : offset + 1] == "\r\n":
        offset -= 1
    if _has_lone_returns(text):
        ends = [match.end() for match in _LINE_END.finditer(text, 0, offset)]
        line, start = len(ends), ends[-1] if ends else 0
    else:
        line, start = text.count("\n", 0, offset), text.rfind("\n", 0, offset) + 1
    return types.Position(line=line, character=_n_units(text[start:offset], encoding))


def _line_start(text: str, line: int) -> int | None:
    if line == 0:
        return 0
    if not _has_lone_returns(text):
        return _behind_newline(text, line)
    match = next(islice(_LINE_END.finditer(text), line - 1, None), None)
    return match.end() if match else None


def _has_lone_returns(text: str) -> bool:
    """Whether lines end in other ways than `\\n` and `\\r\\n`, which can be counted many times faster."""
    return "\r" in text and text.count("\r") != text.count("\r\n")


def _behind_newline(text: str, n: int) -> int | None:
    """Index behind the nth newline; None when there are fewer."""
    for place in range(0, len(text), _BLOCK):
        found = text.count("\n", place, place + _BLOCK)
        if found >= n:
            for _ in range(n):
                place = text.index("\n", place) + 1
            return place
        n -= found
    return None


def _line_end(text: str, start: int) -> int:
    match = _LINE_END.search(text, start)
    return match.start() if match else len(text)


def _n_characters(line: str, units: int, encoding: str) -> int:
    """How many characters have this many units; a place inside a character is behind it."""
    if line.isascii() or encoding == "utf-32":
        return min(units, len(line))
    passed = 0
    for n, character in enumerate(line):
        if passed >= units:
            return n
        passed += _n_units(character, encoding)
    return len(line)


def _n_units(text: str, encoding: str) -> int:
    if text.isascii() or encoding == "utf-32":
        return len(text)
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
