"""What a Python document imports from its own workspace, as declarations without bodies. Nothing is run."""

import ast
import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from spa_lsp.storage.whole_files import Stamp, file_stamp
from spa_lsp.text.python_source import UNREADABLE, parse_or_raise

MAX_FILE_BYTES = 200_000  # a module as long as that is generated, and takes longer to parse than there is time
MAX_FILES = 8  # per document
MAX_MEMBERS = 12  # of a class
MAX_IMPORTS = 100  # of a document; it may be hostile, and is looked through at every key
_MAX_DOTS = 8  # of a name with dots
_CACHED_FILES = 200
# what has matched is never tried again in another way: a long row of dots would keep the server busy for seconds
_FROM = re.compile(r"^[ \t]*+from[ \t]++(\.*+)([\w.]*+)[ \t]++import[ \t]++(\([^)]*+\)|[^\n#;(]*+)", re.M)
_IMPORT = re.compile(r"^[ \t]*+import[ \t]++([\w., \t]++)", re.M)
_CHAIN = re.compile(r"\b[A-Za-z_]\w*+(?:\.[A-Za-z_]\w*+)++")


@dataclass(frozen=True, kw_only=True)
class Import:
    """One imported module; `names` are what is used of it."""

    level: int  # how many dots stand before it
    module: str
    names: tuple[str, ...]


class Declarations:
    """The declarations of files, read again when a file has changed."""

    def __init__(self) -> None:
        self._files: OrderedDict[Path, tuple[Stamp, dict[str, str]]] = OrderedDict()

    def of(self, path: Path) -> dict[str, str]:
        """The declarations of a file by name; none when it cannot be read or is no Python."""
        try:
            stamp = file_stamp(path)
            known = self._files.get(path)
            if known is None or known[0] != stamp:
                source = path.read_text(encoding="utf-8") if path.stat().st_size <= MAX_FILE_BYTES else ""
                known = self._files[path] = (stamp, declarations(source))
        except (OSError, UnicodeDecodeError):
            return {}
        self._files.move_to_end(path)
        if len(self._files) > _CACHED_FILES:
            self._files.popitem(last=False)
        return known[1]


def find_imports(text: str) -> list[Import]:
    """The imports of a text in their order, wherever they stand; the text need not parse."""
    found = [_from_import(match) for match in islice(_FROM.finditer(text), MAX_IMPORTS)]
    modules = list(islice((item for match in _IMPORT.finditer(text) for item in match[1].split(",")), MAX_IMPORTS))
    used = _names_by_owner(text) if modules else {}
    for item in modules:
        module, _, alias = (part.strip() for part in item.partition(" as "))
        found.append(Import(level=0, module=module, names=tuple(used.get(alias or module, ()))))
    return [each for each in found if each.names]


def find_file(imported: Import, document: Path, folders: Sequence[Path]) -> Path | None:
    """The file of a module in one of these folders; None: it is not of this workspace."""
    for folder in _search_path(imported.level, document, folders):
        stem = folder.joinpath(*imported.module.split(".")) if imported.module else folder
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if _is_file(path) and path != document and any(_is_inside(path, root) for root in folders):
                return path
    return None


def declarations(source: str) -> dict[str, str]:
    """What a module declares, by name, as source without bodies; empty when it does not parse."""
    try:
        return dict(_declared(parse_or_raise(source)))
    except UNREADABLE:
        return {}


def _from_import(match: re.Match[str]) -> Import:
    text = re.sub(r"#[^\n]*", "", match[3]).strip("() \t\n")
    names = (item.partition(" as ")[0].strip(" \t\n\\") for item in text.split(","))
    return Import(level=len(match[1]), module=match[2], names=tuple(name for name in names if name.isidentifier()))


def _names_by_owner(text: str) -> dict[str, dict[str, None]]:
    """What stands behind a dot, in its order, by what stands before it; of `a.b.c` both `b` and `c`."""
    found: dict[str, dict[str, None]] = {}
    for chain in _CHAIN.findall(text):
        parts = chain.split(".", _MAX_DOTS + 1)[: _MAX_DOTS + 1]
        for n in range(1, len(parts)):
            found.setdefault(".".join(parts[:n]), {})[parts[n]] = None
    return found


def _search_path(level: int, document: Path, folders: Sequence[Path]) -> Iterator[Path]:
    if level:
        yield document.parents[min(level, len(document.parents)) - 1]
        return
    for root in folders:
        yield from (root, root / "src")
        yield from (parent for parent in document.parents if parent.is_relative_to(root) and parent != root)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for a file
        return False


def _is_inside(path: Path, root: Path) -> bool:
    """Whether a file lies in the folder, and not only a link to it."""
    return path.resolve().is_relative_to(root.resolve())


def _declared(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, _signature(node)
            case ast.ClassDef():
                yield node.name, _class(node)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                text = ast.unparse(node)
                yield name, text if len(text) <= 100 else f"{name} = ..."


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{kind} {node.name}({ast.unparse(node.args)}){returns}: ..."


def _class(node: ast.ClassDef) -> str:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    members = [text for child in node.body if (text := _member(child))][:MAX_MEMBERS]
    head = f"class {node.name}({bases}):" if bases else f"class {node.name}:"
    return "\n".join([head, *(f"    {text}" for text in members or ["..."])])


def _member(node: ast.stmt) -> str:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name == "__init__" or name[0] != "_":
            return _signature(node)
        case ast.AnnAssign(target=ast.Name(id=name)):
            return f"{name}: {ast.unparse(node.annotation)}"
    return ""
