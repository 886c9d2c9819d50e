"""The text of a file as a model gets it, and the place of a cursor as a person names it: `FILE:LINE:COL`, from 1."""

import codecs
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from spa_lsp.errors import BadInput, NotFound
from spa_lsp.text.languages import language_of_name

MAX_BYTES = 64 << 20  # nobody edits more by hand, and it is all held in memory

_PLACE = re.compile(r"(?P<path>.+):(?P<line>[0-9]{1,9}):(?P<column>[0-9]{1,9})", re.DOTALL)
_BYTE_ORDER_MARKS = (  # UTF-32's begins with UTF-16's, so it stands first
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COOKIE = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")  # PEP 263


@dataclass(frozen=True, kw_only=True)
class FilePlace:
    """A cursor in a file. Lines and columns count from 1; column 1 is before the line's first character."""

    path: Path
    line: int
    column: int


def parse_place(text: str) -> FilePlace:
    """The place that `FILE:LINE:COL` names; the file's own name may hold colons.

    Raises:
        ValueError: the text has another form.
    """
    match = _PLACE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not FILE:LINE:COL, as in src/cart.py:12:5")
    return FilePlace(path=Path(match["path"]), line=int(match["line"]), column=int(match["column"]))


def language_of(path: Path) -> str:
    """The LSP language id that a file's name suggests; empty when none does."""
    return language_of_name(path.name)


def read_text(path: Path) -> str:
    """The text of a file with `\\n` as its only line end.

    Raises:
        NotFound: there is no such file. BadInput: it cannot be read as text; the message says why.
    """
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise BadInput(f"{path} is a folder; give a file in it")
        if not stat.S_ISREG(found.st_mode):
            raise BadInput(f"{path} is not a regular file; give a text file")
        if found.st_size > MAX_BYTES:
            raise BadInput(f"{path} has {found.st_size:,} bytes; files of up to {MAX_BYTES:,} are completed")
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}; check the path") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); give a file that you may read") from None
    return decode_text(data, str(path))


def decode_text(data: bytes, name: str) -> str:
    """Text of bytes: by its byte order mark, else by a coding comment as Python has it, else UTF-8.

    Args:
        data: the whole content.
        name: of the file, for the message.

    Raises:
        BadInput: the bytes are not text in that encoding; guessing another would show wrong characters.
    """
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeError as error:
        raise BadInput(f"{name} is not {encoding.upper()} text{_where(error)}; {_way_out(name)}") from None
    if "\0" in text:
        raise BadInput(f"{name} holds a NUL character, so it is binary or UTF-16 without its mark; give a text file")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def offset_of(text: str, place: FilePlace) -> int:
    """Index of the cursor in the text that `read_text` gave.

    Raises:
        BadInput: the place is outside; the message says how far the file or the line goes.
    """
    lines = text.split("\n")
    if not 1 <= place.line <= len(lines):
        has = _count(len(lines), "line")
        raise BadInput(f"line {place.line} is outside {place.path}, which has {has}; {_choose(len(lines))}")
    line = lines[place.line - 1]
    if not 1 <= place.column <= len(line) + 1:
        has = _count(len(line), "character")
        where = f"column {place.column} is outside line {place.line} of {place.path}"
        raise BadInput(f"{where}, which has {has}; {_choose(len(line) + 1)}")
    return sum(len(before) + 1 for before in lines[: place.line - 1]) + place.column - 1


def _encoding(data: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    return _named_encoding(data) or "utf-8"


def _named_encoding(data: bytes) -> str | None:
    """What a coding comment in the first two lines names; None when there is none that Python knows."""
    for line in data[:4096].split(b"\n")[:2]:
        if match := _COOKIE.match(line):
            name = match[1].decode("ascii", "replace")
            return name if _is_superset_of_ascii(name) else None
    return None


def _is_superset_of_ascii(name: str) -> bool:
    """Whether it is an encoding that its own comment could be written in; others, and `hex`, are not of text."""
    try:
        return b"a".decode(name) == "a"
    except (LookupError, UnicodeError, ValueError):
        return False


def _where(error: UnicodeError) -> str:
    if not isinstance(error, UnicodeDecodeError):
        return ""
    line = error.object[: error.start].count(b"\n") + 1
    return f": byte 0x{error.object[error.start]:02x} at offset {error.start}, in line {line}"


def _way_out(name: str) -> str:
    return (
        f"convert it, as in: iconv -f latin1 -t utf-8 {name}, "
        "or name its encoding in its first line, as in: # -*- coding: latin-1 -*-"
    )


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _choose(last: int) -> str:
    return "choose 1" if last == 1 else f"choose 1 to {last}"
