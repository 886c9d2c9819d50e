"""Lines of a `.gitignore` as regular expressions, matched as Git does it: byte by byte, no file is read. Pure.

Not pathspec's, for two reasons: backtracking is bounded here, since a line from a folder that nobody trusts must not
keep the server busy; and rules are looked up by what is literal in them, not tried one by one at each keystroke.
Source: gitignore(5), Git's wildmatch.c and dir.c; `tests/workspace/test_ignores.py` compares with `git check-ignore`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

MAX_LINE_BYTES = 4096

_LITERAL = re.compile(rb"[^*?\[\\]*")
_TAIL = re.compile(rb"[^*?\[\]\\/]*\Z")  # of the name only: the slash of a `**/` may stand for nothing
_CLASSES = {  # of one byte in the C locale
    b"alnum": b"0-9A-Za-z",
    b"alpha": b"A-Za-z",
    b"blank": rb"\t ",
    b"cntrl": rb"\x00-\x1f\x7f",
    b"digit": b"0-9",
    b"graph": rb"\x21-\x7e",
    b"lower": b"a-z",
    b"print": rb"\x20-\x7e",
    b"punct": rb"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e",
    b"space": rb"\t-\r ",
    b"upper": b"A-Z",
    b"xdigit": b"0-9A-Fa-f",
}


class _NeverMatches(Exception):
    """A line that Git takes and that no path can match: a bracket without its end, a backslash at the end."""


@dataclass(frozen=True, kw_only=True)
class IgnoreRule:
    """One line. It is about the whole path from the folder of the rules, or only about the name when `is_name`."""

    pattern: bytes
    is_negated: bool
    is_name: bool
    is_for_folders: bool
    ignore_case: bool
    line: str  # as it is written

    def matches(self, path: bytes, *, is_folder: bool) -> bool:
        """Whether the line is about this path, which is relative to the folder of the rules."""
        if self.is_for_folders and not is_folder:
            return False
        text = path.rpartition(b"/")[2] if self.is_name else path
        folded = text.lower() if self.ignore_case else text
        if not (folded.startswith(self.head) and folded.endswith(self.tail)):
            return False
        return self._regex is not None and bool(self._regex.fullmatch(text))

    @cached_property
    def head(self) -> bytes:
        """What every path that matches begins with."""
        found = _LITERAL.match(self.pattern)
        assert found is not None
        return found[0].lower() if self.ignore_case else found[0]

    @cached_property
    def tail(self) -> bytes:
        """What the name of every path that matches ends with."""
        found = _TAIL.search(self.pattern)
        assert found is not None
        return found[0].lower() if self.ignore_case else found[0]

    @cached_property
    def _regex(self) -> re.Pattern[bytes] | None:
        # compiled when a path comes near: of the ten thousands of a generated file that is hardly one
        try:
            return re.compile(_translate(self.pattern), re.DOTALL | (re.IGNORECASE if self.ignore_case else 0))
        except _NeverMatches:
            return None


class Rules:
    """The rules of a file in its order, found by what is literal in them, so that a path is compared with few."""

    def __init__(self, rules: Iterable[IgnoreRule]) -> None:
        self.rules = tuple(rules)
        self._ignore_case = any(rule.ignore_case for rule in self.rules)
        self._under: dict[bytes, list[int]] = {}  # by the folders that a pattern begins with, or all of it
        self._named: dict[bytes, list[int]] = {}  # by the name that it ends with
        self._ending: dict[bytes, list[int]] = {}  # by the extension
        self._others: list[int] = []
        for n, rule in enumerate(self.rules):
            self._place_of(rule).append(n)

    def __bool__(self) -> bool:
        return bool(self.rules)

    def last(self, path: bytes, *, is_folder: bool) -> IgnoreRule | None:
        """The rule that decides about this path."""
        near = sorted(self._near(path.lower() if self._ignore_case else path), reverse=True)
        return next((self.rules[n] for n in near if self.rules[n].matches(path, is_folder=is_folder)), None)

    def _place_of(self, rule: IgnoreRule) -> list[int]:
        folders, slash, _ = rule.head.rpartition(b"/")
        name = rule.pattern.rpartition(b"/")[2]
        if len(rule.head) == len(rule.pattern) and not rule.is_name:
            return self._under.setdefault(rule.head, [])
        if slash:
            return self._under.setdefault(folders, [])
        if rule.tail and len(rule.tail) == len(name):
            return self._named.setdefault(rule.tail, [])
        if b"." in rule.tail:
            return self._ending.setdefault(rule.tail.rpartition(b".")[2], [])
        return self._others

    def _near(self, path: bytes) -> Iterator[int]:
        """The numbers of the rules that may be about this path."""
        name = path.rpartition(b"/")[2]
        at = len(path)
        while at >= 0:
            yield from self._under.get(path[:at], ())
            at = path.rfind(b"/", 0, at)
        yield from self._named.get(name, ())
        if b"." in name:
            yield from self._ending.get(name.rpartition(b".")[2], ())
        yield from self._others


def parse_rules(text: bytes, *, ignore_case: bool = False) -> Rules:
    """The rules of a file."""
    lines = text.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    rules = (_parse_line(line.removesuffix(b"\r"), ignore_case=ignore_case) for line in lines)
    return Rules(rule for rule in rules if rule is not None)


def _parse_line(line: bytes, *, ignore_case: bool) -> IgnoreRule | None:
    if line.startswith(b"#") or len(line) > MAX_LINE_BYTES:
        return None
    line = _without_trailing_spaces(line)
    is_negated = line.startswith(b"!")
    pattern = line[1:] if is_negated else line
    is_for_folders = pattern.endswith(b"/")
    pattern = pattern[:-1] if is_for_folders else pattern
    if not pattern:
        return None
    return IgnoreRule(
        pattern=pattern.removeprefix(b"/"),
        is_negated=is_negated,
        is_name=b"/" not in pattern,
        is_for_folders=is_for_folders,
        ignore_case=ignore_case,
        line=line.decode("utf-8", "replace"),
    )


def _without_trailing_spaces(line: bytes) -> bytes:
    """All but those behind a backslash."""
    kept = line.rstrip(b" ")
    n_backslashes = len(kept) - len(kept.rstrip(b"\\"))
    return line[: len(kept) + 1] if n_backslashes % 2 and len(kept) < len(line) else kept


def _translate(pattern: bytes) -> bytes:
    """The expression of a pattern. Git compares the part before the first wildcard by itself, so `**` may follow it.

    Where a star is followed by another, the first place at which what stands between them fits is as good as any
    later one: so it is taken for good, in an atomic group.
    """
    literal = _LITERAL.match(pattern)
    assert literal is not None
    groups: list[list[bytes]] = [[re.escape(literal[0])]]  # each but the first begins with a `**`, its parts with a `*`
    for kind, token in _tokens(pattern, literal.end()):
        if kind == "stars":
            groups.append([token])
        elif kind == "star":
            groups[-1].append(token)
        else:
            groups[-1][-1] += token
    return _in_atoms([_in_atoms(parts) for parts in groups])


def _in_atoms(parts: list[bytes]) -> bytes:
    first, *others = parts
    return first + b"".join(b"(?>" + part + b")" for part in others[:-1]) + b"".join(others[-1:])


def _tokens(pattern: bytes, start: int) -> Iterator[tuple[str, bytes]]:
    at = start
    while at < len(pattern):
        match pattern[at : at + 1]:
            case b"*":
                kind, token, at = _read_stars(pattern, at, is_first=at == start)
                yield kind, token
            case b"?":
                yield "one", b"[^/]"
                at += 1
            case b"[":
                token, at = _read_bracket(pattern, at + 1)
                yield "one", token
            case b"\\":
                if at + 1 == len(pattern):
                    raise _NeverMatches
                yield "one", re.escape(pattern[at + 1 : at + 2])
                at += 2
            case byte:
                yield "one", re.escape(byte)
                at += 1


def _read_stars(pattern: bytes, at: int, *, is_first: bool) -> tuple[str, bytes, int]:
    end = at
    while pattern[end : end + 1] == b"*":
        end += 1
    is_bounded = is_first or pattern[at - 1 : at] == b"/"
    rest = pattern[end : end + 2]
    if end - at < 2 or not is_bounded or not (rest == b"" or rest[:1] == b"/" or rest == b"\\/"):
        return "star", b"[^/]*?", end
    if rest[:1] == b"/":
        return "stars", b"(?:.*?/)??", end + 1
    return "stars", b".*?", end


def _read_bracket(pattern: bytes, at: int) -> tuple[bytes, int]:
    """A set like `[a-z[:digit:]]`, from behind its first bracket; a slash is never in a set."""
    is_negated = pattern[at : at + 1] in (b"!", b"^")
    at += is_negated
    parts: list[bytes] = []
    previous: bytes | None = None  # what a range may begin with
    is_begun = False
    while not (is_begun and pattern[at : at + 1] == b"]"):
        is_begun = True
        byte = pattern[at : at + 1]
        following = pattern[at + 1 : at + 2]
        if not byte:
            raise _NeverMatches
        if byte == b"-" and previous is not None and following not in (b"", b"]"):
            high, at = _read_byte(pattern, at + 1)
            parts.append(_range(previous, high))
            previous = None
        elif byte == b"[" and following == b":" and (found := _read_class(pattern, at + 2)):
            parts.append(found[0])
            at, previous = found[1], None
        else:
            previous, at = _read_byte(pattern, at)
            parts.append(_range(previous, previous))
    chosen = b"".join(parts)
    if not chosen:
        return (b"[^/]" if is_negated else b"(?!)"), at + 1
    return b"(?!/)[" + (b"^" if is_negated else b"") + chosen + b"]", at + 1


def _read_byte(pattern: bytes, at: int) -> tuple[bytes, int]:
    at += pattern[at : at + 1] == b"\\"
    if at >= len(pattern):
        raise _NeverMatches
    return pattern[at : at + 1], at + 1


def _read_class(pattern: bytes, at: int) -> tuple[bytes, int] | None:
    """The class of which the name begins here; None when it has no `:]` and its bracket is a byte like others."""
    end = pattern.find(b"]", at)
    if end < 0:
        raise _NeverMatches
    if end == at or pattern[end - 1 : end] != b":":
        return None
    name = pattern[at : end - 1]
    if name not in _CLASSES:
        raise _NeverMatches
    return _CLASSES[name], end + 1


def _range(low: bytes, high: bytes) -> bytes:
    return rb"\x%02x-\x%02x" % (low[0], high[0]) if low <= high else b""
