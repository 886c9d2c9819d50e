"""The benchmarks' files: found below the user's folder and checked. Knows nothing of what stands in them."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa_lsp.errors import Damaged, NotFound


@dataclass(frozen=True, kw_only=True)
class BenchmarkFile:
    """One published file, or a folder of them, below the folder of benchmarks.

    `sha256` is that of the file's bytes for `read_checked`. Where copies of one content differ in form (quoting, order
    of keys, a zip of another day) it is that of the rows, for `check_rows`.
    """

    path: str
    sha256: str
    get: str  # how to get it, as the end of an error message


def read(data_dir: Path | None, source: BenchmarkFile) -> bytes:
    """The bytes of the file.

    Raises:
        NotFound: it cannot be read, or there is no folder of benchmarks.
    """
    path = locate(data_dir, source)
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(f"cannot read {path} ({error.strerror}); {source.get}") from error


def read_checked(data_dir: Path | None, source: BenchmarkFile) -> bytes:
    """The bytes of the file, which are those that were published.

    Raises:
        NotFound: see `read`.
        Damaged: they are not.
    """
    content = read(data_dir, source)
    _compare(hashlib.sha256(content).hexdigest(), source, what=str(locate(data_dir, source)))
    return content


def read_folder(data_dir: Path | None, source: BenchmarkFile, suffix: str) -> dict[str, bytes]:
    """The folder's files whose names end in `suffix`, by what stands before it, sorted.

    Raises:
        NotFound: there is none.
    """
    folder = locate(data_dir, source)
    found = {path.name.removesuffix(suffix): path.read_bytes() for path in sorted(folder.glob(f"*{suffix}"))}
    if not found:
        raise NotFound(f"no *{suffix} in {folder}; {source.get}")
    return found


def check_rows(data_dir: Path | None, source: BenchmarkFile, rows: Any) -> None:
    """Compare the content, in whatever form it was stored, with the published one.

    Raises:
        Damaged: it differs.
    """
    _compare(rows_sha256(rows), source, what=f"the content of {locate(data_dir, source)}")


def rows_sha256(rows: Any) -> str:
    """The digest of JSON values: of their text in one line with sorted keys."""
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def is_there(data_dir: Path | None, source: BenchmarkFile) -> bool:
    """Whether the folder of benchmarks has the file."""
    return data_dir is not None and (data_dir / source.path).exists()


def locate(data_dir: Path | None, source: BenchmarkFile) -> Path:
    """Where the file or folder should be.

    Raises:
        NotFound: there is no folder of benchmarks.
    """
    if data_dir is None:
        raise NotFound(f"no folder of benchmarks; {source.get}")
    return data_dir / source.path


def _compare(found: str, source: BenchmarkFile, *, what: str) -> None:
    if found != source.sha256:
        raise Damaged(f"{what} has sha256 {found}, expected {source.sha256}; {source.get}")
