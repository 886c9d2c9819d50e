"""`spa-lsp doctor`: looks at everything a completion needs, and says of each what is wrong and how to mend it.

It changes nothing and starts no engine. What it knows about torch it asks of a child process, because a broken
installation of it may end the process that imports it.
"""

import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from spa_lsp.settings.schema import Settings

State = Literal["ok", "note", "bad"]

GB = 1_000_000_000
FREE_GB = 1  # less room on a disk is worth a note: a set and its backup need a tenth of it
PROBE_TIMEOUT_S = 180
NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"}
_CREATE_RULESET, _VERSION_ONLY = 444, 1  # linux/landlock.h; the number is the same on every processor
CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")

_PROBE = """
import json, torch
from spa_lsp.lm.load import pick_device, pick_quantization
from spa_lsp.lm.roads import look_at_cpu
device = pick_device()
if device == "cuda":
    found = {"device_name": torch.cuda.get_device_name(), "quantization": pick_quantization(device), "kernel": ""}
else:
    found = {"device_name": "the processor", **look_at_cpu()}
found["device"] = device
print(json.dumps(found | {"n_threads": torch.get_num_threads()}))
"""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found: `note` is worth knowing, `bad` keeps completions from working."""

    name: str
    text: str
    state: State = "ok"
    mend: str = ""  # what to do; empty only when there is nothing to do
    details: dict[str, Any] = field(default_factory=dict)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Check this installation; the exit status is 1 when something keeps completions from working.

    \b
        spa-lsp doctor
    """
    findings = examine()
    is_usable = all(finding.state != "bad" for finding in findings)
    if as_json:
        click.echo(json.dumps({"is_usable": is_usable, "findings": [asdict(each) for each in findings]}, indent=1))
    else:
        for finding in findings:
            click.echo(_to_text(finding))
    if not is_usable:
        n_bad = sum(1 for finding in findings if finding.state == "bad")
        raise click.ClickException(
            f"{n_bad} of {len(findings)} checks found something that keeps completions from working"
        )


def _to_text(finding: Finding) -> str:
    mend = f"\n{'':16}mend: {finding.mend}" if finding.mend else ""
    return f"{finding.state:<5} {finding.name:<9} {finding.text}{mend}"


def examine() -> list[Finding]:
    """All findings, in the order in which a person would mend them."""
    device = _guarded("device", check_device)
    quantization = str(device.details.get("quantization", "fp32"))
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("memory", lambda: check_memory(quantization)),
        ("disk", check_disk),
        ("base", check_base),
        ("cache", check_cache),
        ("store", check_store),
        ("set", check_set),
        ("imports", check_broken_sets),
        ("engine", check_engine),
        ("server", check_server),
        ("sandbox", check_sandbox),
    ]
    return [_guarded("packages", check_packages), device, *(_guarded(name, check) for name, check in checks)]


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    from spa_lsp.errors import SpaError

    try:
        return check()
    except SpaError as error:  # its message is "what; way out"
        text, _, mend = str(error).rpartition("; ")
        return Finding(name=name, state="bad", text=text or mend, mend=mend)
    except OSError as error:
        text = f"could not be checked: {error}"
        return Finding(name=name, state="note", text=text, mend="check who may read that folder")


def check_packages() -> Finding:
    """Versions of this program, Python and everything that pyproject.toml asks for."""
    import re
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
            mend="in its folder: make venv, or pip install .",
            details=versions,
        )
    missing = []
    for line in required:
        package = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            missing.append(package)
    if missing:
        mend = f"pip install {' '.join(missing)}"
        return Finding(name="packages", state="bad", text=f"missing: {', '.join(missing)}", mend=mend, details=versions)
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
        mend = "try again when the machine is less busy"
        return Finding(name="device", state="note", text=text, mend=mend, details={"cpu_flags": flags})
    if child.returncode != 0:
        return _broken_torch(child.returncode, child.stderr, flags)
    found = json.loads(child.stdout.splitlines()[-1]) | {"cpu_flags": flags}
    text = f"{found['device_name']} ({found['device']}, {found['n_threads']} threads), {found['quantization']}"
    if found.get("kernel"):
        text += f" by {found['kernel']}"
    if found["device"] == "cpu":
        text += f", flags {' '.join(flags) or 'none of interest'}"
    if reason := found.get("reason"):
        text += f"; slower than it could be: {reason.rpartition('; ')[0] or reason}"
        mend = "install a C++ compiler (g++), the kernel is then compiled at the next load"
        return Finding(name="device", state="note", text=text, mend=mend, details=found)
    return Finding(name="device", text=text, details=found)


def _broken_torch(status: int, stderr: str, flags: list[str]) -> Finding:
    said = stderr.strip().splitlines()[-1] if stderr.strip() else "nothing"
    return Finding(
        name="device",
        state="bad",
        text=f"importing torch or transformers failed with status {status}: {said}",
        mend="install them again, in the folder of spa-lsp: rm -r .venv && make venv, or pip install --force-reinstall .",
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
    from spa_lsp.cli._completer import own_base

    memory = psutil.virtual_memory()
    needed = memory_needed(find_base(own_base()), quantization)
    text = (
        f"{memory.available / GB:.1f} of {memory.total / GB:.1f} GB free, the engine needs about {needed / GB:.1f} GB"
    )
    details = {"available_bytes": memory.available, "total_bytes": memory.total, "needed_bytes": needed}
    if memory.available >= needed:
        return Finding(name="memory", text=text, details=details)
    mend = "close something, or take less memory: --quantization nf4"
    return Finding(name="memory", state="note", text=text, mend=mend, details=details)


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
            mend = f"make it writable, or set {variable} to another folder"
            return Finding(name="disk", state="bad", text=f"{existing} cannot be written", mend=mend)
        if free[str(folder)] < needed + FREE_GB * GB:
            text = f"{free[str(folder)] / GB:.1f} GB free for {folder}, {needed / GB + FREE_GB:.1f} GB are wanted"
            mend = f"make room, or set {variable} to a folder on another disk"
            return Finding(name="disk", state="note", text=text, mend=mend, details={"free_bytes": free})
    kind = file_system_of(paths.data_dir())
    if kind in NETWORK_FILE_SYSTEMS:
        text = f"{paths.data_dir()} lies on {kind}, where SQLite's locks cannot be trusted"
        return Finding(name="disk", state="note", text=text, mend="set SPA_HOME to a folder on a local disk")
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


def check_base() -> Finding:
    """Whether the base that is served lies here converted, which others do, and what a larger one would bring."""
    from spa_lsp.bases.catalog import DEFAULT_BASE, find_base, installed_base, is_ready, load_catalog
    from spa_lsp.bases.choice import what_larger_brings
    from spa_lsp.cli._completer import own_base
    from spa_lsp.errors import NotFound

    ready = [base.id for base in load_catalog().values() if is_ready(base)]
    served = own_base()
    details = {"default": DEFAULT_BASE, "ready": ready, "served": served}
    try:
        installed = installed_base(find_base(served))
    except NotFound as error:
        text, _, mend = str(error).rpartition("; ")
        others = f", {', '.join(ready)} can be used with --base" if ready else ""
        state: State = "note" if ready or _server_settings() else "bad"
        return Finding(name="base", state=state, text=text + others, mend=mend, details=details)
    n_bytes = sum(file.n_bytes for file in installed.files.values())
    text = f"{', '.join(ready)} ready, {served} is served: {n_bytes / GB:.1f} GB in {installed.folder}"
    if larger := what_larger_brings():
        return Finding(name="base", text=f"{text}; {larger}", details=details)
    return Finding(name="base", text=text, details=details)


def check_cache() -> Finding:
    """How much can be fetched again and could be removed."""
    from spa_lsp import paths

    folder = paths.cache_dir()
    n_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    text = f"{n_bytes / GB:.1f} GB in {folder}" if folder.exists() else f"{folder} is not there yet"
    return Finding(name="cache", text=text, details={"folder": str(folder), "n_bytes": n_bytes})


def check_store() -> Finding:
    """Whether the store can be read, is not of a newer version, is sound, and lies where other programs find it."""
    from spa_lsp import paths

    found = _look_at_store()
    snap = paths.snap_of(paths.data_dir())
    if not snap or found.state != "ok":
        return found
    text = f"{paths.store_path()} lies in the folder of the snap {snap}: programs outside of it use another store"
    mend = "set SPA_HOME to one folder for all programs, as ~/.local/share/spa-lsp, then: spa-lsp engine stop"
    return replace(found, state="note", text=text, mend=mend)


def _look_at_store() -> Finding:
    from contextlib import closing

    from spa_lsp import paths
    from spa_lsp.errors import NotFound
    from spa_lsp.storage import store

    details: dict[str, Any] = {"path": str(paths.store_path())}
    try:
        db = store.open_store()
    except NotFound:
        return Finding(name="store", text="none yet; the first command of the trainer makes it", details=details)
    with closing(db):
        wrong = store.check_integrity(db)
        names = [manifest["name"] for manifest in store.load_manifests(db)]
    if wrong:
        text = f"{paths.store_path()} is damaged: {wrong[0]}"
        return Finding(name="store", state="bad", text=text, mend="move it away or put a backup in its place")
    details["published"] = names
    return Finding(name="store", text=f"sound, sets published: {', '.join(names) or 'none'}", details=details)


def check_set() -> Finding:
    """Whether the set that completions use is whole and fits the base that is served."""
    from spa_lsp.adapters import finding, selection
    from spa_lsp.adapters.transfer import verify_set
    from spa_lsp.cli._completer import own_base
    from spa_lsp.errors import NotFound

    base_id = own_base()
    try:
        found = finding.find_set(None, base_id)
    except NotFound as error:  # the base alone still answers
        text, _, mend = str(error).rpartition("; ")
        return Finding(name="set", state="note", text=text, mend=mend)
    details = {"name": found.name, "source": finding.source_of(found), "k": found.k, "set_id": found.set_id}
    problems = [f"{verdict.file}: {verdict.problem}" for verdict in verify_set(found) if verdict.problem]
    if problems:
        text = f"{found.name} ({details['source']}): {problems[0]}"
        return Finding(name="set", state="bad", text=text, mend="spa-lsp adapters use ANOTHER", details=details)
    chosen = "chosen" if base_id in selection.read_selection() else "by default"
    text = f"{found.name} ({details['source']}, {chosen}), {found.k} adapters for {found.base_id}"
    return Finding(name="set", text=text, details=details)


def check_broken_sets() -> Finding:
    """Whether there are folders of sets that cannot be read."""
    from spa_lsp.adapters.finding import list_broken

    broken = list_broken()
    if not broken:
        return Finding(name="imports", text="every folder of an adapter set can be read")
    text = "; ".join(f"{folder}: {error}" for folder, error in broken.items())
    return Finding(name="imports", state="note", text=text, mend="remove the folder, or import the set again")


def check_engine() -> Finding:
    """Whether an engine of this store and cache runs, and what it holds; of others, only that they run."""
    from spa_lsp.engine.client import has_own_store, running_engines

    running = running_engines()
    status = next(filter(has_own_store, running), None)
    n_others = sum(1 for each in running if not has_own_store(each))
    others = f"; engines of another store or cache: {n_others}" if n_others else ""
    if status is None:
        return Finding(name="engine", text=f"not running; it is started when it is needed{others}")
    if status.get("state") == "failed":
        text = f"process {status.get('pid')} could not load: {status.get('error')}{others}"
        return Finding(
            name="engine", state="bad", text=text, mend="mend that, then: spa-lsp engine stop", details=status
        )
    resident = status.get("resident_bytes", 0) / GB
    text = f"process {status.get('pid')} is {status.get('state')}, {status.get('base')}, {resident:.1f} GB resident"
    return Finding(name="engine", text=text + others, details=status)


def check_server() -> Finding:
    """Whether text goes to a server elsewhere, and that has what is wanted; none is sent."""
    settings = _server_settings()
    if settings is None:
        return Finding(name="server", text="none in place of the engine: text stays on this machine")
    from spa_lsp.remote.client import RemoteClient

    client = RemoteClient(settings)
    try:
        model = client.look()
    finally:
        client.close()
    who = model.adapter_set.name if model.adapter_set else "the base alone"
    return Finding(name="server", text=f"text goes to {settings.engine}, where {who} answers")


def _server_settings() -> "Settings | None":
    """The user's settings where they name a server in place of the engine."""
    from spa_lsp.settings.engine_url import LOCAL
    from spa_lsp.settings.files import read_settings

    settings = read_settings(None).settings
    return None if settings.engine == LOCAL else settings


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
    return Finding(name="sandbox", state="note", text=text, mend="install it, as in: apt install bubblewrap")


def kernel_has_landlock() -> bool:
    """Whether this kernel can confine a process at its own wish."""
    import ctypes

    if platform.system() != "Linux":
        return False
    return int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_ONLY)) > 0
