"""What `spa-lsp doctor` checks of the machine: packages, processor, memory, disk and sandbox.

What it knows about torch it asks of a child process, because a broken installation of it may end the process that
imports it.
"""

import json
import platform
from pathlib import Path

from spa_lsp.cli._finding import GB, Finding
from spa_lsp.errors import split_way_out

FREE_GB = 1  # less room on a disk is worth a note: a set and its backup need a tenth of it
PROBE_TIMEOUT_S = 180
NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"}
_CREATE_RULESET, _VERSION_ONLY = 444, 1  # linux/landlock.h; the number is the same on every processor
CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")

_PROBE = """
import json, torch
import spa_lsp.lm.transformers_model  # which training and other precisions need
from spa_lsp.lm.backends import describe_cpu
from spa_lsp.lm.load import pick_device, pick_quantization
device = pick_device()
if device == "cuda":
    found = {"device_name": torch.cuda.get_device_name(), "quantization": pick_quantization(device), "kernel": ""}
else:
    found = {"device_name": "the processor", **describe_cpu()}
found["device"] = device
print(json.dumps(found | {"n_threads": torch.get_num_threads()}))
"""


def check_packages() -> Finding:
    """Versions of this program, Python and everything that pyproject.toml asks for."""
    import re
    import shlex
    from importlib import metadata

    from spa_lsp import __version__
    from spa_lsp.storage.sqlite_file import SQLITE_VERSION

    versions = {"spa-lsp": __version__, "python": platform.python_version(), "sqlite": SQLITE_VERSION}
    try:
        required = [line for line in metadata.requires("spa-lsp") or [] if "extra ==" not in line]
    except metadata.PackageNotFoundError:
        return Finding(
            name="packages",
            state="note",
            text="spa-lsp runs without being installed",
            fix="in its folder: make venv, or pip install .",
            details=versions,
        )
    missing = {}  # by name, what is asked for
    for line in required:
        package = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            missing[package] = line
    if missing:
        fix = f"pip install {' '.join(map(shlex.quote, missing.values()))}"
        return Finding(name="packages", state="bad", text=f"missing: {', '.join(missing)}", fix=fix, details=versions)
    shown = ("spa-lsp", "python", "sqlite", "torch", "transformers", "peft", "bitsandbytes", "pygls")
    text = ", ".join(f"{name} {versions[name]}" for name in shown if name in versions)
    return Finding(name="packages", text=text, details=versions)


def check_device(probe: str = _PROBE, *, timeout_s: float = PROBE_TIMEOUT_S) -> Finding:
    """Where completions are computed and in which precision, and that torch and the rest can be imported at all.

    `probe` is the program of the child that is asked; its last line is JSON.
    """
    import subprocess

    from spa_lsp.child import own_python
    from spa_lsp.offline import go_offline

    go_offline()
    flags = [flag for flag in CPU_FLAGS if flag in read_cpu_flags()]
    try:
        child = subprocess.run(own_python("-c", probe), capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        text = f"not known, torch was not imported within {timeout_s:.0f} s"
        fix = "try again when the machine is less busy"
        return Finding(name="device", state="note", text=text, fix=fix, details={"cpu_flags": flags})
    if child.returncode != 0:
        return _broken_torch(child.returncode, child.stderr, flags)
    found = json.loads(child.stdout.splitlines()[-1]) | {"cpu_flags": flags}
    text = f"{found['device_name']} ({found['device']}, {found['n_threads']} threads), {found['quantization']}"
    if found.get("kernel"):
        text += f" by {found['kernel']}"
    if found["device"] == "cpu":
        text += f", flags {' '.join(flags) or 'none of interest'}"
    what, way_out = split_way_out(found.get("reason", ""))
    if way_out:
        text += f"; slower than it could be: {what}"
        return Finding(name="device", state="note", text=text, fix=way_out, details=found)
    return Finding(name="device", text=f"{text}; {what}" if what else text, details=found)


def _broken_torch(status: int, stderr: str, flags: list[str]) -> Finding:
    said = stderr.strip().splitlines()[-1] if stderr.strip() else "nothing"
    return Finding(
        name="device",
        state="bad",
        text=f"importing torch or transformers failed with status {status}: {said}",
        fix="install all again, in its folder: rm -r .venv && make venv, or pip install --force-reinstall .",
        details={"cpu_flags": flags},
    )


def read_cpu_flags(path: Path = Path("/proc/cpuinfo")) -> set[str]:
    """The instruction sets of the first processor; empty where there is no such file."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())


def check_memory(quantization: str) -> Finding:
    """Whether the base that is served fits beside what runs now."""
    import psutil

    from spa_lsp.bases.catalog import find_base
    from spa_lsp.bases.choice import memory_needed
    from spa_lsp.cli._completer import choose_model

    memory = psutil.virtual_memory()
    needed = memory_needed(find_base(choose_model().base_id), quantization)
    text = (
        f"{memory.available / GB:.1f} of {memory.total / GB:.1f} GB free, the engine needs about {needed / GB:.1f} GB"
    )
    details = {"available_bytes": memory.available, "total_bytes": memory.total, "needed_bytes": needed}
    if memory.available >= needed:
        return Finding(name="memory", text=text, details=details)
    fix = "close something, or take less memory: --quantization nf4"
    return Finding(name="memory", state="note", text=text, fix=fix, details=details)


def check_disk() -> Finding:
    """Whether data and cache can be written, have room, and do not lie on a network."""
    import os
    import shutil

    from spa_lsp import paths
    from spa_lsp.bases.catalog import DEFAULT_BASE, find_base, is_ready

    base = find_base(DEFAULT_BASE)
    to_pull = 0 if is_ready(base) else base.n_bytes + 2 * base.parameters
    free = {}
    for variable, folder, needed in (("SPA_HOME", paths.data_dir(), 0), ("SPA_CACHE", paths.cache_dir(), to_pull)):
        existing = _existing_parent(folder)
        free[str(folder)] = shutil.disk_usage(existing).free
        if not os.access(existing, os.W_OK | os.X_OK):
            fix = f"make it writable, or set {variable} to another folder"
            return Finding(name="disk", state="bad", text=f"{existing} cannot be written", fix=fix)
        if free[str(folder)] < needed + FREE_GB * GB:
            text = f"{free[str(folder)] / GB:.1f} GB free for {folder}, {needed / GB + FREE_GB:.1f} GB are wanted"
            fix = f"make room, or set {variable} to a folder on another disk"
            return Finding(name="disk", state="note", text=text, fix=fix, details={"free_bytes": free})
    kind = file_system_of(paths.data_dir())
    if kind in NETWORK_FILE_SYSTEMS:
        text = f"{paths.data_dir()} lies on {kind}, where SQLite's locks cannot be trusted"
        return Finding(name="disk", state="note", text=text, fix="set SPA_HOME to a folder on a local disk")
    text = ", ".join(f"{n_bytes / GB:.1f} GB free for {folder}" for folder, n_bytes in free.items())
    return Finding(name="disk", text=text, details={"free_bytes": free})


def _existing_parent(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())


def file_system_of(folder: Path) -> str:
    """The kind of file system that a folder lies on, or will lie on; empty when it cannot be told."""
    import psutil

    existing = _existing_parent(folder).resolve()
    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    return next((mounts[parent] for parent in (existing, *existing.parents) if parent in mounts), "")


def check_sandbox(*, has_landlock: bool | None = None) -> Finding:
    """What the trainer confines candidate programs with, if it proves to; completions do not need it.

    `has_landlock` is asked of the kernel when it is not given.
    """
    import shutil

    path = shutil.which("bwrap")
    if path:
        return Finding(name="sandbox", text=f"bubblewrap in {path}", details={"path": path})
    if kernel_has_landlock() if has_landlock is None else has_landlock:
        text = "bubblewrap is not there: `trainer evaluate` confines programs with Landlock, a weaker fence"
    else:
        text = "there is neither bubblewrap nor Landlock: `trainer evaluate` refuses to run programs"
    return Finding(name="sandbox", state="note", text=text, fix="install it, as in: apt install bubblewrap")


def kernel_has_landlock() -> bool:
    """Whether this kernel can confine a process at its own wish."""
    import ctypes

    if platform.system() != "Linux":
        return False
    return int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_ONLY)) > 0
