"""The files that samples are imported from, as numbered lines of JSON.

JSONL, Parquet, and folders of a Hugging Face data set, a line at a time whatever the size. Parquet and Arrow
need the extra `hub`.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from spa_lsp.errors import BadInput, NotFound, Unavailable
from spa_lsp.storage.checked_files import hash_file
from trainer.rows.records import content_id

MAX_LINE_CHARACTERS = 200_000
MAX_LINE_BYTES = 4 * MAX_LINE_CHARACTERS  # UTF-8 needs at most four bytes for a character
_COLUMNS = (".parquet", ".arrow")
_LINES = (".jsonl", ".json", ".ndjson")
_BATCH_ROWS = 256
_EXPECTED = "objects with lang, problem and solution"

OnBytes = Callable[[int], None]


def row_files(path: Path) -> list[Path]:
    """The files to read: this one, or those of a folder that have rows, by name.

    Raises:
        NotFound: no such file. BadInput: a device, empty, or a folder without such files.
    """
    if not path.exists():
        raise NotFound(f"there is no file {path}; give the path of an OSS-Instruct JSONL file")
    if path.is_dir():
        return _files_of(path)
    if not path.is_file():
        raise BadInput(f"{path} is not a file; give the path of an OSS-Instruct JSONL file")
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is empty; give an OSS-Instruct JSONL file: {_EXPECTED}")
    return [path]


def digest_of(files: list[Path]) -> str:
    """sha256 of the file, or of those of its files.

    Raises:
        BadInput: one cannot be read.
    """
    digests = [_sha256(file) for file in files]
    return digests[0] if len(files) == 1 else content_id(digests)


def json_lines(files: list[Path], on_bytes: OnBytes | None = None) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that are not blank, through all files; `on_bytes` is told how much has been read since last.

    Of a too long line only the first bytes are kept: enough to see that it is.
    """
    number = 0
    for file in files:
        lines = _rows(file, on_bytes) if file.suffix in _COLUMNS else _lines(file, on_bytes)
        for line in lines:
            number += 1
            if line.strip():
                yield number, line


def _files_of(folder: Path) -> list[Path]:
    """Parquet or Arrow files where there are some (a data set that was saved, or its repository), else JSONL."""
    for suffixes in (_COLUMNS, _LINES[:1]):
        found = sorted(file for file in folder.rglob("*") if file.suffix in suffixes and file.is_file())
        if any(file.stat().st_size for file in found):
            return found
    raise BadInput(f"{folder} has no *.parquet, *.arrow or *.jsonl; give a file or the folder of a data set")


def _sha256(file: Path) -> str:
    try:
        return hash_file(file)
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror}); check its permissions") from error


def _lines(path: Path, on_bytes: OnBytes | None) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES + 1):
            n_bytes = len(line)
            rest = line
            while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
                rest = file.readline(MAX_LINE_BYTES + 1)
                n_bytes += len(rest)
            yield line
            if on_bytes is not None:
                on_bytes(n_bytes)


def _rows(path: Path, on_bytes: OnBytes | None) -> Iterator[bytes]:
    try:
        from pyarrow import ArrowException
    except ImportError as error:
        raise Unavailable(f"{path.name} needs pyarrow ({error}); run: pip install 'spa-lsp[hub]'") from error
    try:
        for batch in _batches(path):
            for row in batch.to_pylist():
                yield json.dumps(row, default=str).encode()
    except ArrowException as error:
        raise BadInput(f"{path} is no {path.suffix[1:]} file that can be read ({error}); get it again") from error
    if on_bytes is not None:
        on_bytes(path.stat().st_size)


def _batches(path: Path) -> Iterator[Any]:
    from pyarrow import ArrowInvalid, ipc, memory_map, parquet

    if path.suffix == ".parquet":
        with parquet.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=_BATCH_ROWS)
        return
    with memory_map(str(path)) as source:
        try:
            yield from ipc.open_stream(source)  # what `save_to_disk` writes
        except ArrowInvalid:
            source.seek(0)
            table = ipc.open_file(source)
            yield from (table.get_batch(n) for n in range(table.num_record_batches))
