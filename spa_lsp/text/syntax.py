"""What the rules know of each language: its strings and comments, its white space, its brackets. Data.

The one table for every rule; a language that is not in it is text, of which nothing is known.
"""

from dataclasses import dataclass
from typing import Literal

# What white space means between tokens. free: nothing · space: its presence counts · line: line ends count · word: line
# ends and spaces count · indent: line ends and indentation count · text: all of it counts
Layout = Literal["free", "space", "line", "word", "indent", "text"]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One form of string or comment, as regular expressions."""

    kind: Literal["string", "comment"]
    opener: str
    body: str
    closer: str  # empty: the line's end closes it
    nested: tuple[str, str] | None = None  # what opens and closes inside, where these comments nest
    is_operand: bool = False  # only where a value may stand: a `/` elsewhere divides


@dataclass(frozen=True, kw_only=True)
class Syntax:
    """What the rules know of one language."""

    pieces: tuple[Piece, ...] = ()  # the first that fits wins: longer openers stand first
    layout: Layout = "text"
    has_brackets: bool = False  # brackets outside strings and comments stand in pairs
    has_braced_blocks: bool = False  # a statement is over with its line once its brackets are closed


def _string(quote: str, *, lines: bool = False, escapes: bool = True, before: str = "") -> Piece:
    inside = rf"[^{quote}\\]" if lines else rf"[^{quote}\\\n]"
    raw = rf"[^{quote}]*+" if lines else rf"[^{quote}\n]*+"
    body = rf"(?:\\(?:.|\Z)|{inside})*+" if escapes else raw
    return Piece(kind="string", opener=before + quote, body=body, closer=quote)


def _long(opener: str, closer: str, *, escapes: bool = False, kind: Literal["string", "comment"] = "string") -> Piece:
    escaped = r"\\(?:.|\Z)|" if escapes else ""
    return Piece(kind=kind, opener=opener, body=rf"(?:{escaped}(?!{closer}).)*+", closer=closer)


def _line_comment(opener: str) -> Piece:
    return Piece(kind="comment", opener=opener, body=r"[^\n]*+", closer="")


def _nested_comment(opener: str, closer: str, plain: tuple[str, str]) -> Piece:
    return Piece(kind="comment", opener=opener, body="", closer=closer, nested=plain)


def _heredoc(opener: str) -> Piece:
    """`<<EOF`; what may follow on its line is bounded, as every search here that may be in vain."""
    opener += r"[\"'`]?(?P<tag>\w{1,40})[\"'`]?[^\n]{0,200}\n"
    return Piece(kind="string", opener=opener, body=r"(?:(?!\n[ \t]*(?P=tag)\b).)*+", closer=r"\n[ \t]*(?P=tag)\b")


_HASH = _line_comment("#")
_HASH_WORD = _line_comment(r"(?<![^\s;&|()])#")  # `$#`, `${#a}` and `a#b` are none
_SLASHES = _line_comment("//")
_SLASHES_NO_URL = _line_comment("(?<!:)//")  # text between tags holds addresses
_DASHES = _line_comment("--")
_SEMICOLON = _line_comment(";")
_PERCENT = _line_comment("%")
_BLOCK = _long(r"/\*", r"\*/", kind="comment")
_NESTED_BLOCK = _nested_comment(r"/\*", r"\*/", ("/*", "*/"))
_BRACED_BLOCK = _nested_comment(r"\{-", r"-\}", ("{-", "-}"))
_STARRED_BLOCK = _nested_comment(r"\(\*(?!\))", r"\*\)", ("(*", "*)"))
_DOUBLE = _string('"')
_DOUBLE_LINES = _string('"', lines=True)
_DOUBLE_RAW = _string('"', lines=True, escapes=False)
_SINGLE = _string("'")
_SINGLE_WORD = _string("'", before=r"(?<!\w)")  # `don't` between tags is no string
_SINGLE_LINES = _string("'", lines=True)
_SINGLE_RAW = _string("'", lines=True, escapes=False)  # two in it are two strings side by side
_TEMPLATE = _string("`", lines=True)
_BACKTICKS = _string("`", lines=True, escapes=False)
_TRIPLE_DOUBLE = _long('"""', '"""', escapes=True)
_TRIPLE_SINGLE = _long("'''", "'''", escapes=True)
# one character, closed, or the cursor behind the quote: a lifetime, `&'a str`, has no second quote, nor has `1'000`
_CHARACTER = Piece(
    kind="string",
    opener=r"(?<![\w)\]}'])'(?=(?:\\[^\n][^'\n]{0,9}|[^'\\\n])'|\\?\Z)",
    body=r"(?:\\(?:[^\n]|\Z)|[^'\\\n])*+",
    closer="'",
)
_PREFIXED_CHARACTER = Piece(
    kind="string", opener=r"(?<=\b[LuUb])'(?=(?:\\[^\n][^'\n]{0,9}|[^'\\\n])')", body=_CHARACTER.body, closer="'"
)
_REGEX = Piece(
    kind="string",
    opener=r"/(?![/*])(?=(?:\\[^\n]|\[(?:\\[^\n]|[^\]\\\n]){0,200}+\]|[^/\\\[\n]){1,300}+/)",
    body=r"(?:\\[^\n]|\[(?:\\[^\n]|[^\]\\\n]){0,200}+\]|[^/\\\[\n])*+",
    closer=r"/[a-z]*",
    is_operand=True,
)
_ESCAPED = Piece(kind="string", opener=r"\\[^\n]", body="", closer=r"(?=)")  # `\"` opens nothing, `\(` is a character
_ATTRIBUTE_URL = Piece(kind="string", opener=r"\burl\((?![\s\"'])", body=r"[^)\s]*+", closer=r"\)")

_C = (
    _SLASHES,
    _BLOCK,
    _long(r'R"(?P<delimiter>[^()\\\s"]{0,16})\(', r'\)(?P=delimiter)"'),
    _DOUBLE,
    _CHARACTER,
    _PREFIXED_CHARACTER,
)
_JVM = (_SLASHES, _BLOCK, _TRIPLE_DOUBLE, _DOUBLE, _CHARACTER)
_NESTING = (_SLASHES, _NESTED_BLOCK, _TRIPLE_DOUBLE, _DOUBLE, _CHARACTER)
_SCRIPT = (_SLASHES_NO_URL, _BLOCK, _DOUBLE, _SINGLE_WORD, _TEMPLATE, _REGEX)
_PYTHON = (_HASH, _TRIPLE_DOUBLE, _TRIPLE_SINGLE, _DOUBLE, _SINGLE)
_RUST = (
    _SLASHES,
    _NESTED_BLOCK,
    _long(r'(?<!\w)[bc]?r(?P<hashes>#{0,8})"', r'"(?P=hashes)'),
    _DOUBLE_LINES,
    _CHARACTER,
    _PREFIXED_CHARACTER,
)
_CSHARP = (
    _SLASHES,
    _BLOCK,
    _long('"""', '"""'),
    Piece(kind="string", opener=r'(?:\$@|@\$?)"', body=r'(?:""|[^"])*+', closer='"'),
    _DOUBLE,
    _CHARACTER,
)
_PHP = (
    _HASH_WORD,
    _SLASHES_NO_URL,
    _BLOCK,
    _heredoc(r"<<<[ \t]?"),
    _DOUBLE_LINES,
    _SINGLE_LINES,
)
_SHELL = (
    _HASH_WORD,
    _heredoc(r"(?<!<)<<-?[ \t]?"),
    _ESCAPED,
    _string("'", lines=True, before=r"\$"),
    _SINGLE_RAW,
    _DOUBLE_LINES,
)
_RUBY = (
    _long(r"(?<![^\n])=begin\b", r"\n=end\b", kind="comment"),
    _HASH_WORD,
    _heredoc(r"<<[~-]"),
    _DOUBLE_LINES,
    _SINGLE_LINES,
    _TEMPLATE,
    _REGEX,
)
_LUA = (
    _long(r"--\[(?P<comment>={0,8})\[", r"\](?P=comment)\]", kind="comment"),
    _DASHES,
    _long(r"\[(?P<equals>={0,8})\[", r"\](?P=equals)\]"),
    _DOUBLE,
    _SINGLE,
)
_SQL = (_DASHES, _BLOCK, _SINGLE_RAW, _DOUBLE_RAW, _BACKTICKS)
_LISP = (_ESCAPED, _SEMICOLON, _nested_comment(r"#\|", r"\|#", ("#|", "|#")), _DOUBLE_LINES)
_JULIA = (_nested_comment("#=", "=#", ("#=", "=#")), _HASH, _TRIPLE_DOUBLE, _DOUBLE_LINES, _CHARACTER, _TEMPLATE)
_POWERSHELL = (
    _long("<#", "#>", kind="comment"),
    _HASH_WORD,
    _long(r'@"\n', r'\n"@'),
    _long(r"@'\n", r"\n'@"),
    Piece(kind="string", opener='"', body=r'(?:`(?:.|\Z)|[^"`])*+', closer='"'),
    _SINGLE_RAW,
)
_HCL = (_HASH, _SLASHES, _BLOCK, _heredoc("<<-?"), _DOUBLE)
_ERLANG = (_PERCENT, Piece(kind="string", opener=r"\$\\?[^\n]", body="", closer="(?=)"), _DOUBLE_LINES, _SINGLE)


def _braced(*pieces: Piece, layout: Layout = "free") -> Syntax:
    return Syntax(pieces=pieces, layout=layout, has_brackets=True, has_braced_blocks=True)


def _bracketed(*pieces: Piece, layout: Layout) -> Syntax:
    return Syntax(pieces=pieces, layout=layout, has_brackets=True)


TEXT = Syntax()

SYNTAXES: dict[str, Syntax] = {
    "c": _braced(*_C),
    "cpp": _braced(*_C),
    "objective-c": _braced(*_C),
    "objective-cpp": _braced(*_C),
    "cuda-cpp": _braced(*_C),
    "glsl": _braced(_SLASHES, _BLOCK),
    "csharp": _braced(*_CSHARP),
    "java": _braced(*_JVM),
    "solidity": _braced(_SLASHES, _BLOCK, _DOUBLE, _SINGLE),
    "proto3": _braced(_SLASHES, _BLOCK, _DOUBLE, _SINGLE),
    "dart": _braced(_SLASHES, _NESTED_BLOCK, _TRIPLE_DOUBLE, _TRIPLE_SINGLE, _DOUBLE, _SINGLE),
    "d": _braced(
        _SLASHES, _BLOCK, _nested_comment(r"/\+", r"\+/", ("/+", "+/")), _DOUBLE_LINES, _BACKTICKS, _CHARACTER
    ),
    "rust": _braced(*_RUST),
    "zig": _braced(_SLASHES, _line_comment(r"\\\\"), _DOUBLE, _CHARACTER),
    "php": _braced(*_PHP),
    "go": _braced(_SLASHES, _BLOCK, _DOUBLE, _BACKTICKS, _CHARACTER, layout="line"),
    "javascript": _braced(*_SCRIPT, layout="line"),
    "javascriptreact": _braced(*_SCRIPT, layout="line"),
    "typescript": _braced(*_SCRIPT, layout="line"),
    "typescriptreact": _braced(*_SCRIPT, layout="line"),
    "kotlin": _braced(*_NESTING, layout="line"),
    "scala": _braced(*_NESTING, layout="indent"),
    "swift": _braced(
        _SLASHES, _NESTED_BLOCK, _long('#"', '"#'), _TRIPLE_DOUBLE, _DOUBLE, layout="word"
    ),  # `a -b` and `a - b` are not the same there
    "groovy": _braced(_SLASHES, _BLOCK, _TRIPLE_DOUBLE, _TRIPLE_SINGLE, _DOUBLE, _SINGLE, layout="line"),
    "json": _braced(_DOUBLE),
    "jsonc": _braced(_SLASHES, _BLOCK, _DOUBLE),
    "css": _braced(_BLOCK, _ATTRIBUTE_URL, _DOUBLE, _SINGLE, layout="space"),
    "scss": _braced(_ATTRIBUTE_URL, _SLASHES_NO_URL, _BLOCK, _DOUBLE, _SINGLE, layout="space"),
    "less": _braced(_ATTRIBUTE_URL, _SLASHES_NO_URL, _BLOCK, _DOUBLE, _SINGLE, layout="space"),
    "r": _braced(_HASH, _DOUBLE_LINES, _SINGLE_LINES, _BACKTICKS, layout="line"),
    "toml": _braced(_HASH, _TRIPLE_DOUBLE, _long("'''", "'''"), _DOUBLE, _string("'", escapes=False), layout="line"),
    "terraform": _braced(*_HCL, layout="line"),
    "graphql": _braced(_HASH, _TRIPLE_DOUBLE, _DOUBLE),
    "python": _bracketed(*_PYTHON, layout="indent"),
    "gdscript": _bracketed(*_PYTHON, layout="indent"),
    "starlark": _bracketed(*_PYTHON, layout="indent"),
    "nim": _bracketed(
        _nested_comment(r"#\[", r"\]#", ("#[", "]#")), _HASH, _TRIPLE_DOUBLE, _DOUBLE, _CHARACTER, layout="indent"
    ),
    "haskell": _bracketed(_BRACED_BLOCK, _DASHES, _DOUBLE, _CHARACTER, layout="indent"),
    "elm": _bracketed(_BRACED_BLOCK, _DASHES, _TRIPLE_DOUBLE, _DOUBLE, _CHARACTER, layout="indent"),
    "fsharp": _bracketed(_STARRED_BLOCK, _SLASHES, _TRIPLE_DOUBLE, _DOUBLE_LINES, _CHARACTER, layout="indent"),
    "ocaml": _bracketed(_STARRED_BLOCK, _DOUBLE_LINES, _CHARACTER, layout="free"),
    "ruby": _bracketed(*_RUBY, layout="word"),
    "elixir": _bracketed(_HASH, _TRIPLE_DOUBLE, _TRIPLE_SINGLE, _DOUBLE_LINES, _SINGLE_LINES, layout="line"),
    "erlang": _bracketed(*_ERLANG, layout="free"),
    "julia": _bracketed(*_JULIA, layout="word"),
    "lua": _bracketed(*_LUA, layout="line"),
    "sql": _bracketed(*_SQL, layout="free"),
    "clojure": _bracketed(*_LISP, layout="space"),
    "lisp": _bracketed(*_LISP, layout="space"),
    "powershell": _bracketed(*_POWERSHELL, layout="word"),
    "nix": _bracketed(_HASH, _BLOCK, _long("''", "''"), _DOUBLE_LINES, layout="word"),
    "vhdl": _bracketed(_DASHES, _DOUBLE, _CHARACTER, layout="free"),
    "verilog": _bracketed(_SLASHES, _BLOCK, _DOUBLE, layout="free"),
    # brackets of these do not stand in pairs, or only for those who know more: `case a) …`
    "shellscript": Syntax(pieces=_SHELL, layout="word"),
    "fish": Syntax(pieces=(_HASH_WORD, _ESCAPED, _SINGLE_LINES, _DOUBLE_LINES), layout="word"),
    "makefile": Syntax(pieces=(_HASH_WORD, _ESCAPED, _SINGLE, _DOUBLE), layout="indent"),
    "cmake": Syntax(pieces=(_HASH_WORD, _DOUBLE_LINES), layout="word"),
    "dockerfile": Syntax(pieces=(_line_comment(r"(?<![^\n])[ \t]*#"),), layout="word"),
    "yaml": Syntax(
        pieces=(
            _line_comment(r"(?<!\S)#"),
            _string('"', lines=True, before=r"(?<![^\s\[{,])"),
            _string("'", lines=True, escapes=False, before=r"(?<![^\s\[{,])"),
        ),
        layout="indent",
    ),
}
