"""The Python files that samples may be made of: those of a repository that Git tracks, or those of a package.

What is left out is counted by its reason. Nothing is imported or run, and nothing outside the folder is read.
"""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import chain
from pathlib import Path, PurePosixPath

from spa_lsp.errors import BadInput, NotFound
from spa_lsp.text.languages import language_of_name
from spa_lsp.workspace.git import run_git
from spa_lsp.workspace.ignores import why_ignored
from trainer.synthesize.clean import drop_licence_header
from trainer.synthesize.licences import UNKNOWN, is_permissive, licence_of_package, licence_of_text

MAX_FILE_BYTES = 1 << 20
_GIT = {"timeout_s": 120.0, "max_bytes": 256 << 20}  # a listing of some million files
_MAX_LINE = 1000  # characters; nobody writes longer ones by hand
_SYMLINK, _SUBMODULE = "120000", "160000"
_NOT_OURS = frozenset("_vendor vendor vendored third_party node_modules site-packages extern".split())
_TESTS = re.compile(r"(^|/)(tests?|testing)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$")
_GENERATED_NAME = re.compile(r"_pb2(_grpc)?\.py$|(^|/)(_version|versioneer|parsetab|lextab)\.py$")
_GENERATED = re.compile(
    r"@generated|auto(matically)?[ -]?generated|generated (by|from|using|with)\b|do not (edit|modify)", re.IGNORECASE
)
_LICENCE_FILE = re.compile(r"^(licen[cs]e|copying|unlicense)[^/]*$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One file to make samples of. `repository` is its folder, or name and version of its package."""

    repository: str
    path: str  # in the repository
    commit: str  # HEAD, or the package's version
    licence: str  # SPDX, or `unknown`
    text: str


def read_sources(folders: Sequence[Path], packages: Sequence[str], left_out: Counter[str]) -> Iterator[SourceFile]:
    """All usable files of these repositories and packages; what is not usable is counted in `left_out` by its reason.

    One after the other: a repository may be larger than the memory. That the folders are repositories is seen first.

    Raises:
        NotFound: no such folder or package.
        BadInput: a folder is in no repository or has no tracked file, or a package's licence is not permissive.
    """
    tops = [_top_of(folder) for folder in folders]
    repositories = (_repository(folder, top, left_out) for folder, top in zip(folders, tops, strict=True))
    return chain.from_iterable(chain(repositories, (_package(name, left_out) for name in packages)))


def _top_of(folder: Path) -> Path:
    """The repository that a folder is in."""
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}; give one of a Git repository")
    top = run_git(os.fsencode(folder), "rev-parse", "--show-toplevel")
    if not top:
        way_out = "see what `git status` says there, run `git init` and `git add`, or name a package with --package"
        raise BadInput(f"{folder} is in no Git repository with files of this user; {way_out}")
    if not _is_text(os.fsdecode(top)):
        raise BadInput(f"the name of the folder {top.decode(errors='replace').strip()} is not UTF-8; rename it")
    return Path(os.fsdecode(top.removesuffix(b"\n")))


def _repository(folder: Path, top: Path, left_out: Counter[str]) -> Iterator[SourceFile]:
    listed = run_git(os.fsencode(folder), "ls-files", "-z", "--stage", "--full-name", **_GIT)  # type: ignore[arg-type]  # its two numbers
    if listed is None:
        raise BadInput(f"`git ls-files` fails in {folder}; try it by hand")
    if not listed:
        raise BadInput(f"Git tracks no file in {folder}; run `git add` there, or name another folder")
    commit = (run_git(os.fsencode(top), "rev-parse", "--verify", "-q", "HEAD") or b"").decode().strip()
    licence = _licence_of(top)
    for path, mode in sorted(_entries(listed).items()):
        reason = _unfit_entry(path, mode) or _unfit_file(top, path)
        text = None if reason else _text(top / path, left_out)
        if reason:
            left_out[reason] += 1
        if text is not None:
            yield SourceFile(repository=str(top), path=path, commit=commit, licence=licence, text=text)


def _entries(listed: bytes) -> dict[str, str]:
    """The mode of each path; one of a merge that is not finished stands there three times."""
    rows = (row.partition(b"\t") for row in listed.split(b"\0") if row)
    return {os.fsdecode(path): about.split()[0].decode() for about, _, path in rows}


def _unfit_entry(path: str, mode: str) -> str:
    if not _is_text(path):
        return "name is no UTF-8"
    if mode == _SYMLINK:
        return "symlink"
    if mode == _SUBMODULE:
        return "submodule"
    return _unfit_name(path)


def _is_text(path: str) -> bool:
    """Whether a name can be kept in the store; Linux allows any bytes."""
    return not any("\ud800" <= character <= "\udfff" for character in path)


def _unfit_name(path: str) -> str:
    if language_of_name(path) != "python" or not path.endswith(".py"):
        return "not Python"
    if _NOT_OURS & set(PurePosixPath(path).parts):
        return "vendored"
    if _TESTS.search(path):
        return "test"
    return "generated" if _GENERATED_NAME.search(path) else ""


def _unfit_file(top: Path, path: str) -> str:
    """By the rules of the project, and by where it really is: a folder may have become a link since it was added."""
    if rule := why_ignored(path, top):
        return "secret file" if rule.startswith("built-in") else "ignored"
    return "" if _is_inside(top / path, top) else "symlink"


def _is_inside(path: Path, top: Path) -> bool:
    return os.path.realpath(path) == os.path.join(os.path.realpath(top), os.path.relpath(path, top))


def _text(path: Path, left_out: Counter[str]) -> str | None:
    """The content without a licence's header; None where it is not for us, which is counted."""
    text, reason = _read(path)
    if reason:
        left_out[reason] += 1
        return None
    text, is_dropped = drop_licence_header(text)
    left_out["licence header"] += is_dropped
    return text


def _read(path: Path) -> tuple[str, str]:
    """The text, or why there is none."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                return "", "no file"
            if about.st_size > MAX_FILE_BYTES:
                return "", "too large"
            content = file.read()
    except OSError:
        return "", "unreadable"
    if b"\0" in content:
        return "", "binary"
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        return "", "no UTF-8"
    lines = text.split("\n")
    is_generated = any(_GENERATED.search(line) for line in lines[:10] if line.lstrip().startswith(("#", '"', "'")))
    return (text, "generated") if is_generated or max(map(len, lines)) > _MAX_LINE else (text, "")


def _licence_of(top: Path) -> str:
    names = sorted(path for path in top.iterdir() if _LICENCE_FILE.match(path.name) and path.is_file())
    found = (licence_of_text(_read(path)[0]) for path in names if not path.is_symlink())
    return next((licence for licence in found if licence != UNKNOWN), UNKNOWN)


def _package(name: str, left_out: Counter[str]) -> Iterator[SourceFile]:
    try:
        package = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        raise NotFound(f"no package {name!r} is installed here; `pip list` names those that are") from None
    licence = licence_of_package(package.metadata)
    if not is_permissive(licence):
        raise BadInput(f"the licence of package {name} is {licence}: only permissive ones are used; choose another")
    root = Path(str(package.locate_file("")))
    title = f"{package.metadata['Name']} {package.version}"
    for file in sorted(package.files or [], key=str):
        path = file.as_posix()
        if path.startswith(("..", "/")) or not _is_inside(root / path, root):
            reason = "outside"
        else:
            reason = _unfit_name(path)
        text = None if reason else _text(root / path, left_out)
        if reason:
            left_out[reason] += 1
        if text is not None:
            yield SourceFile(repository=title, path=path, commit=package.version, licence=licence, text=text)
