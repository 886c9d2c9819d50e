"""Brings the weights file of a base onto this machine, checks it, and removes it. `lm.convert` converts it."""

import errno
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from spa_lsp import paths
from spa_lsp.bases import sources
from spa_lsp.bases.catalog import Base, base_dir, installed_base, pull_again, source_path
from spa_lsp.errors import Damaged, NoSpace, NotFound, SpaError, Unavailable
from spa_lsp.progress import BYTES, format_amount, progress
from spa_lsp.storage.checked_files import hash_file

logger = logging.getLogger(__name__)


def fetch_base(base: Base) -> Path:
    """The weights file of a base with the right sha256, from the first source that gives it; finished parts are kept.

    Raises:
        NotFound: the catalog has no hash for this base yet.
        NoSpace: the disk cannot hold the download and its conversion.
        Damaged: a source gave other bytes and no other source helped.
        Unavailable: no source answered.
    """
    _check_pullable(base)
    with base_lock(base):
        target = source_path(base)
        if target.exists() and _is_whole(base, target):
            return target
        check_space(base, needed_bytes(base))
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_siblings(target, "wheel-*")  # of a download that was killed
        _from_first_source(base, target)
        _remove_siblings(target, "*")
        return target


def verify_base(base: Base) -> list[Path]:
    """Read every file of a base again and compare its sha256; the files that were checked.

    Raises:
        NotFound: it was never pulled.
        Damaged: names every file that differs.
    """
    installed = installed_base(base)
    expected = {installed.folder / name: file.sha256 for name, file in installed.files.items()}
    if source_path(base).exists():
        expected[source_path(base)] = base.sha256
    with progress(f"verify {base.id}", sum(path.stat().st_size for path in expected), BYTES) as shown:
        found = {path: hash_file(path, shown.advance) for path in expected}
    wrong = [
        f"{path} has sha256 {found[path]}, expected {sha256}"
        for path, sha256 in expected.items()
        if found[path] != sha256
    ]
    if wrong:
        raise Damaged(f"{'; '.join(wrong)}; {pull_again(base)}")
    return list(expected)


def remove_base(base: Base) -> list[Path]:
    """Remove a base, its weights file and parts of broken downloads; the folders that were there."""
    with base_lock(base):
        folders = [base_dir(base), source_path(base).parent, *paths.bases_dir().glob(f".{base.id}.*")]
        present = [folder for folder in folders if folder.exists()]
        for folder in present:
            shutil.rmtree(folder)
    return present


@contextmanager
def base_lock(base: Base) -> Iterator[None]:
    """Hold the base's folders alone, waiting for whoever has them; may be taken again inside."""
    folder = source_path(base).parent.parent
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{base.id}.lock", is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.warning("another process is pulling %s; waiting for it", base.id)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def needed_bytes(base: Base) -> int:
    """Bytes that a pull still has to write: the parts, the whole file joined from them, and the converted base."""
    folder = source_path(base).parent
    present = sum(path.stat().st_size for path in folder.glob("*") if path.is_file()) if folder.exists() else 0
    return max(2 * base.n_bytes - present, 0) + int8_bytes(base)


def int8_bytes(base: Base) -> int:
    """About the size of the base as a CPU serves it; a third more than its parameters, for a head that is not tied."""
    return int(base.parameters * 34 / 32 * 1.3)  # blocks of 32 numbers with a scale in 2 bytes


def float_bytes(base: Base) -> int:
    """About the size of the base in bf16."""
    return int(base.parameters * 2 * 1.3)


def check_space(base: Base, n_bytes: int) -> None:
    """Make sure that the cache's disk has room.

    Raises:
        NoSpace: names what is needed and what is free.
    """
    free = shutil.disk_usage(_existing(paths.cache_dir())).free
    if free < n_bytes:
        raise NoSpace(
            f"{base.id} needs {format_amount(n_bytes, BYTES)} in {paths.cache_dir()} and {format_amount(free, BYTES)} "
            "are free; make room or set SPA_CACHE to a folder on another disk"
        )


def _check_pullable(base: Base) -> None:
    if not base.sha256:
        raise NotFound(
            f"the catalog has no verified hash for {base.id} yet, so it cannot be pulled; "
            "choose a base that `spa-lsp models list` shows as verified"
        )


def _is_whole(base: Base, path: Path) -> bool:
    with progress(f"check {path.name}", path.stat().st_size, BYTES) as shown:
        found = hash_file(path, shown.advance)
    if found != base.sha256:
        logger.warning("%s has sha256 %s, expected %s; fetching it again", path, found, base.sha256)
    return found == base.sha256


def _from_first_source(base: Base, target: Path) -> None:
    failures: list[SpaError] = []
    for source in base.sources:
        if source.kind == "folder" and not os.environ.get("SPA_MODELS"):
            continue
        try:
            sources.fetch(base, source, target)
            return
        except (Damaged, Unavailable) as error:
            failures.append(error)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpace(
                    f"{target.parent} is full; make room or set SPA_CACHE to a folder on another disk"
                ) from error
            failures.append(Unavailable(f"{source.kind}: {error}"))
        logger.warning("%s", failures[-1])
    raise _sum_up(base, failures)


def _remove_siblings(target: Path, pattern: str) -> None:
    for path in target.parent.glob(pattern):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)  # a child of the killed download may still write there
        elif path != target:
            path.unlink()


def _sum_up(base: Base, failures: list[SpaError]) -> SpaError:
    kind = Damaged if any(isinstance(failure, Damaged) for failure in failures) else Unavailable
    reasons = "; ".join(str(failure) for failure in failures) or "it has none but a folder"
    return kind(
        f"no source gave {base.file}: {reasons}. Try again later (finished parts are kept), "
        f"or put the file into a folder and set SPA_MODELS to that folder"
    )


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
