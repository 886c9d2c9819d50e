"""The compiled products of int8 weights (`kernel.cpp`) and the decode step over them (`step.cpp`).

Built once on this machine, kept in the cache, loaded by ctypes.
Nothing is compiled or loaded on import. Without a C++ compiler there is no kernel, and `backends.py` takes another way.
"""

import contextlib
import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from spa_lsp import paths
from spa_lsp.errors import BadInput
from spa_lsp.own_folder import check_own_folder
from spa_lsp.storage.private_files import make_private_folder

logger = logging.getLogger(__name__)

PATHS = ("plain", "avx2", "avx512")  # in the order of kernel.cpp
PANEL, BLOCK = 16, 32  # its layout
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC", "-fopenmp", "-w")
COMPILE_TIMEOUT_S = 120
KEPT_S = 30 * 24 * 3600.0  # without use: another version may be installed beside this one
_SOURCES = tuple(Path(__file__).with_name(name) for name in ("kernel.cpp", "step.cpp"))
_HEADERS = (Path(__file__).with_name("kernel.h"),)
# torch obeys it, and so do we: a processor may be made to look older
_CAPABILITY = "ATEN_CPU_CAPABILITY"


class NoKernel(Exception):
    """The kernel cannot be had here; the message says why."""


class Kernel:
    """The loaded library; `path` is the instruction set that it uses."""

    def __init__(self, library: ctypes.CDLL, path: str | None = None) -> None:
        self.paths = PATHS[: library.spa_best_path() + 1]
        self.path = path or min(self.paths[-1], _allowed_path(), key=PATHS.index)
        if self.path not in self.paths:
            raise ValueError(f"this processor has no {self.path!r}; choose one of {', '.join(self.paths)}")
        self.index = PATHS.index(self.path)
        pointer, long = ctypes.c_void_p, ctypes.c_long
        self._linear = library.spa_linear
        self._linear.argtypes = [
            *(ctypes.c_int, ctypes.c_int, pointer, long, long),
            *(pointer, pointer, pointer, long, pointer),
        ]
        self._step = library.spa_step
        self._step.argtypes = [pointer]

    def linear(self, x: Tensor, weight: Tensor, scales: Tensor, bias: Tensor | None, n_out: int) -> Tensor:
        """`[..., D]` to `[..., N]` in float32; weights and scales as `int8.pack` lays them out. No gradients."""
        n_in = x.shape[-1]
        rows = x.reshape(-1, n_in).float().contiguous()
        y = torch.empty(*x.shape[:-1], n_out)
        if not rows.shape[0]:
            return y
        status = self._linear(
            *(self.index, torch.get_num_threads(), rows.data_ptr(), rows.shape[0], n_in),
            *(weight.data_ptr(), scales.data_ptr(), None if bias is None else bias.data_ptr(), n_out, y.data_ptr()),
        )
        if status:
            raise MemoryError("the int8 kernel has no memory for its activations")
        return y

    def step(self, step: ctypes.Structure) -> None:
        """Run one; see `step.py`, which fills it."""
        if self._step(ctypes.addressof(step)):
            raise MemoryError("a decode step has no memory for its activations")


@cache
def find_kernel(path: str | None = None) -> Kernel:
    """The kernel of this machine, compiled now if it is not in the cache.

    Args:
        path: one of `PATHS`; None is the fastest that the processor has.

    Raises:
        NoKernel: there is no compiler, or it failed, or what it built cannot be used.
    """
    library_path = build_kernel()
    try:
        library = ctypes.CDLL(str(library_path))
    except OSError as error:
        raise NoKernel(f"{library_path} cannot be loaded ({error})") from error
    if len(runtimes := openmp_runtimes()) > 1:
        # two pools of threads that spin on the same cores ruin each other
        raise NoKernel(f"the compiler brings an OpenMP of its own beside torch's: {', '.join(sorted(runtimes))}")
    return Kernel(library, path)


def build_kernel(*, compilers: Sequence[str] = COMPILERS) -> Path:
    """The compiled library in the cache, made with the first compiler that can; see `find_kernel`."""
    _make_own(_folder())
    target = _target()
    if _is_whole(target):
        with contextlib.suppress(OSError):  # a cache that can only be read
            os.utime(target)  # it is in use
        return target
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            built = Path(scratch) / target.name
            _compile(_SOURCES, built, compilers)
            seal = built.with_suffix(".sha256")
            seal.write_text(hashlib.sha256(built.read_bytes()).hexdigest())
            seal.replace(target.with_suffix(".sha256"))
            built.replace(target)
    except OSError as error:
        raise NoKernel(f"{target.parent} cannot be written ({error.strerror})") from error
    _remove_old(target)
    return target


def is_built() -> bool:
    """Whether a load finds the kernel compiled."""
    return _is_whole(_target())


def has_compiler() -> bool:
    """Whether there is a program that may compile it."""
    return any(shutil.which(name) for name in COMPILERS)


def openmp_runtimes(maps: Path = Path("/proc/self/maps")) -> set[str]:
    """Files of the OpenMP libraries that this process has loaded; empty where that cannot be told."""
    try:
        files = {line.split()[-1] for line in maps.read_text(encoding="utf-8").splitlines() if "omp" in line}
    except OSError:
        return set()
    return {file for file in files if Path(file).name.startswith(("libgomp", "libomp", "libiomp"))}


def _allowed_path() -> str:
    return {"default": "plain", "avx2": "avx2"}.get(os.environ.get(_CAPABILITY, ""), PATHS[-1])


def _compile(sources: Sequence[Path], target: Path, compilers: Sequence[str]) -> None:
    failures = []
    for name in compilers:
        if (program := shutil.which(name)) is None:
            continue
        logger.info("compiling the int8 kernel with %s, once, some seconds", program)
        try:
            command = [program, *FLAGS, *map(str, sources), "-o", str(target)]
            child = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            failures.append(f"{program}: {error}")
            continue
        if child.returncode == 0 and target.exists():
            return
        failures.append(f"{program}: {(child.stderr.strip().splitlines() or ['failed'])[-1]}")
    raise NoKernel("; ".join(failures) or f"there is no C++ compiler ({', '.join(compilers)})")


def _folder() -> Path:
    return paths.cache_dir() / "kernels"


def _target() -> Path:
    """Another name for another source, other flags or another kind of machine."""
    texts = [source.read_text(encoding="utf-8") for source in (*_SOURCES, *_HEADERS)]
    key = "\n".join([*texts, *FLAGS, platform.machine()])
    return _folder() / f"int8-{hashlib.sha256(key.encode()).hexdigest()[:16]}.so"


def _remove_old(target: Path) -> None:
    """Remove what other versions have built and nobody has used for long; a younger one may be loaded by name now."""
    unused_since = time.time() - KEPT_S
    for library in target.parent.glob("int8-*.so"):
        with contextlib.suppress(OSError):  # another process was faster
            status = library.stat()
            if library != target and max(status.st_mtime, status.st_atime) < unused_since:
                library.with_suffix(".sha256").unlink(missing_ok=True)  # first: without it the other counts as none
                library.unlink()


def _make_own(folder: Path) -> None:
    """Make the folder unless it is there; code is loaded from it, so nobody else may write to it."""
    try:
        make_private_folder(folder)
        check_own_folder(folder, way_out="remove it")
    except OSError as error:
        raise NoKernel(f"{folder} cannot be made ({error})") from error
    except BadInput as error:
        raise NoKernel(str(error)) from error


def _is_whole(path: Path) -> bool:
    """Whether the library is the one that was built: one that is cut short would end the process that loads it."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == path.with_suffix(".sha256").read_text()
    except (OSError, UnicodeDecodeError):
        return False
