"""Benchmarks from the hub, for who asks for it with `--hub`: Parquet files, read as the rows that were published.

Needs the extra `hub`. Files are kept in the cache. The loaders check the rows; a child process uses the network.
"""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa_lsp import paths
from spa_lsp.child import own_python
from spa_lsp.errors import Damaged, Unavailable
from spa_lsp.offline import online_environment
from trainer.evaluate.benchmarks.files import rows_sha256


@dataclass(frozen=True, kw_only=True)
class HubFiles:
    """The files of a benchmark in a data set's repository at one commit, and the digest of all their rows."""

    repo: str
    revision: str
    files: tuple[str, ...]
    sha256: str  # of the rows, see `rows_sha256`


# What gives a benchmark's rows, and what puts one file of a repository below a folder.
FromHub = Callable[[HubFiles], list[dict[str, Any]]]
Download = Callable[[HubFiles, str, Path], None]

HUMANEVAL = HubFiles(
    repo="openai/openai_humaneval",
    revision="7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544",
    files=("openai_humaneval/test-00000-of-00001.parquet",),
    sha256="ec81486c65fb53ea0dd9b6caa04e72a0cdb4eed68f83245ecb0dacf8f1d88b6a",
)
SANITIZED = HubFiles(
    repo="google-research-datasets/mbpp",
    revision="4bb6404fdc6cacfda99d4ac4205087b89d32030c",
    files=tuple(f"sanitized/{split}-00000-of-00001.parquet" for split in ("prompt", "test", "validation", "train")),
    sha256="f11777c47c50a6f44de6aaf8147681c82e43c99fa17525b57f09f23b7aa9ea7b",
)


def download(source: HubFiles, file: str, folder: Path) -> None:
    """Get one file; a broken download is taken up.

    Raises:
        Unavailable: the hub does not answer or does not have it.
    """
    command = own_python("-m", "spa_lsp.bases.hub_download", source.repo, file, source.revision, str(folder), "dataset")
    environment = online_environment() | {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "30"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        said = next((line.strip() for line in reversed(done.stderr.splitlines()) if line.strip()), "it said nothing")
        raise Unavailable(
            f"the hub did not give {file} of {source.repo} ({said[:300]}); try later, or leave out --hub and pass "
            "--data DIR with the published file"
        )


def hub_rows(source: HubFiles, download: Download = download) -> list[dict[str, Any]]:
    """All rows of a benchmark in the order of their tasks.

    Raises:
        Unavailable: the extra is not installed, or the hub does not answer.
        Damaged: the rows are not those that were published; the files are removed.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise Unavailable(f"--hub needs pyarrow ({error}); run: pip install 'spa-lsp[hub]'") from error
    folder = paths.cache_dir() / "benchmarks" / source.repo.replace("/", "--") / source.revision
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.files:
        if not (folder / file).exists():
            download(source, file, folder)
    try:
        rows = [row for file in source.files for row in parquet.read_table(folder / file).to_pylist()]
        rows.sort(key=_task_number)
        found = rows_sha256(rows)
    except (ArrowException, KeyError, TypeError, ValueError) as error:
        found = f"none ({error})"
    if found != source.sha256:
        shutil.rmtree(folder)
        raise Damaged(
            f"the rows of {source.repo} from the hub have sha256 {found}, expected {source.sha256}; they were not "
            "kept: run again, or leave out --hub and pass --data DIR with the published file"
        )
    return rows


def _task_number(row: dict[str, Any]) -> int:
    """Of 7 and of HumanEval/7: splits are files of their own, and the published order goes across them."""
    return int(str(row["task_id"]).rpartition("/")[2])
