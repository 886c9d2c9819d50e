"""The files in which settings may stand, the user's own and one in the workspace: reading them, noticing changes."""

import os
import stat
import tomllib
from dataclasses import replace
from pathlib import Path

from spa_lsp import paths
from spa_lsp.settings.schema import Layer, Resolved, resolve
from spa_lsp.storage.whole_files import file_stamp

WORKSPACE_NAME = ".spa-lsp.toml"
PYPROJECT_NAME = "pyproject.toml"
PYPROJECT_TABLE = "spa-lsp"
MAX_BYTES = 1 << 18  # `tomllib` takes about a second for it
MAX_DOTS_WORK = 1_000_000  # about a second, too: it walks all parts of a key and its table for each part and line

Signature = tuple[tuple[int, int] | None, ...]


def user_file() -> Path:
    """The file of this user; it need not exist."""
    return paths.config_dir() / "config.toml"


def workspace_files(root: Path | None) -> list[Path]:
    """The files of a workspace that may hold settings; the first of them that does is the one that counts."""
    return [] if root is None else [root / WORKSPACE_NAME, root / PYPROJECT_NAME]


def signature(root: Path | None) -> Signature:
    """What changes when one of the files does; some microseconds."""
    return tuple(file_stamp(path) for path in (user_file(), *workspace_files(root)))


def read_layers(root: Path | None) -> tuple[list[Layer], list[str]]:
    """The layers of the files that are there, the weakest first, and a sentence about each that cannot be read."""
    problems: list[str] = []
    layers = [_read(user_file(), problems)]
    for path in workspace_files(root):
        layer = _read(path, problems, is_workspace=True)
        layers.append(layer)
        if layer is not None:
            break
    return [layer for layer in layers if layer is not None], problems


def read_settings(root: Path | None) -> Resolved:
    """The settings of all files."""
    layers, problems = read_layers(root)
    found = resolve(layers)
    return replace(found, complaints=(*problems, *found.complaints))


def check_file(path: Path, *, is_workspace: bool) -> list[str]:
    """A sentence about each setting of a file that cannot be used; empty when all is well."""
    problems: list[str] = []
    layer = _read(path, problems, is_workspace=is_workspace)
    return problems if layer is None else [*problems, *resolve([layer]).complaints]


def _read(path: Path, problems: list[str], *, is_workspace: bool = False) -> Layer | None:
    """The layer of a file; None when there is none, when it says nothing of us, and when it cannot be read."""
    is_pyproject = path.name == PYPROJECT_NAME
    try:
        data = _read_bytes(path)
        if is_pyproject and PYPROJECT_TABLE.encode() not in data:
            return None
        _check_size(data)
        values = tomllib.loads(data.decode("utf-8-sig"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        if not is_pyproject or isinstance(error, _Refused):  # that one is not ours, others say what is wrong with it
            problems.append(f"{path} cannot be read ({error}); its settings are not used")
        return None
    if is_pyproject:
        tool = values.get("tool")
        values = tool.get(PYPROJECT_TABLE) if isinstance(tool, dict) else None  # type: ignore[assignment]  # checked in resolve
        if values is None:
            return None
    return Layer(source=str(path), values=values, is_file=True, is_workspace=is_workspace)


def _read_bytes(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe in a workspace must not hang us
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no file")
        return file.read(MAX_BYTES + 1)


class _Refused(ValueError):
    """A file that could take minutes to parse."""


def _check_size(data: bytes) -> None:
    if len(data) > MAX_BYTES:
        raise _Refused(f"it is longer than {MAX_BYTES} bytes")
    n_dots = [line.count(b".") for line in data.split(b"\n")]
    if max(n_dots) * (sum(n_dots) + len(n_dots)) > MAX_DOTS_WORK:
        raise _Refused(f"a line has {max(n_dots)} dots")
