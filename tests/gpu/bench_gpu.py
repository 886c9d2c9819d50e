"""`make bench-gpu`: all that only a CUDA device can tell, in eight minutes at most and without a network.

Tests marked `gpu`, `bench latency` in nf4 and bf16 with 8 rows and with one, and a training step, each in a process of
its own. It needs torch, transformers, PEFT and the pulled base (`spa-lsp models pull --for-training`, or the cache
folder of another machine as SPA_CACHE); what else is not there is skipped. One JSON document goes to standard output,
what is being done to standard error. Exit status: 0 nothing failed, be it that all was skipped; 1 something failed.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).parent.parent.parent
LIMIT_S = 480.0
LEAST_S = 15.0  # a part with less time than this is not begun
NO_CUDA = "torch sees no CUDA device on this machine: nothing was measured"
_N_ADAPTERS, _N_STEPS = 8, 3


@dataclass(frozen=True, kw_only=True)
class Part:
    """One process: its command, and for how long it may run."""

    name: str
    command: tuple[str, ...]
    limit_s: float
    needs: tuple[str, ...] = ()  # packages
    needs_base: bool = True


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a part: done, skipped or failed; of the last two why."""

    status: str
    reason: str = ""
    seconds: float = 0.0
    result: Any = field(default=None)


def parts(junit: Path) -> list[Part]:
    """All parts, the most important first."""
    pytest_options = ("-q", "-m", "gpu", "-p", "no:cacheprovider", f"--junitxml={junit}", "tests/gpu")
    tests = Part(
        name="tests",
        command=("-m", "pytest", *pytest_options),
        limit_s=150,
        needs=("pytest", "pytest_asyncio"),
        needs_base=False,
    )
    training = Part(
        name="training step", command=("-m", "tests.gpu.bench_gpu", "training"), limit_s=90, needs=("sqlite_utils",)
    )
    return [tests, *(_latency(precision, k) for precision in ("nf4", "bf16") for k in (8, 1)), training]


def _latency(precision: str, k: int) -> Part:
    options = ("--quantization", precision, "-k", str(k), "--runs", "5", "--no-processes", "--json")
    return Part(
        name=f"bench latency, {precision}, k = {k}",
        command=("-m", "spa_lsp", "bench", "latency", *options),
        limit_s=100,
        needs=("click", "psutil", *(("bitsandbytes",) if precision == "nf4" else ())),
    )


Run = Callable[[Sequence[str], float], tuple[int, str, str]]  # command and limit in; status, output and errors out


def run_parts(
    wanted: Sequence[Part], run: Run, *, missing_base: str = "", now: Callable[[], float] = time.monotonic
) -> dict[str, Outcome]:
    """Every part's outcome; those for which the time of all is over are skipped."""
    began_s = now()
    outcomes = {}
    for part in wanted:
        left_s = LIMIT_S - (now() - began_s)
        reason = _why_not(part, missing_base) or ("" if left_s >= LEAST_S else f"{LIMIT_S:.0f} s were over")
        if reason:
            outcomes[part.name] = Outcome(status="skipped", reason=reason)
            continue
        sys.stderr.write(f"{part.name}\n")
        outcomes[part.name] = _run_part(part, run, min(part.limit_s, left_s), now)
    return outcomes


def _why_not(part: Part, missing_base: str) -> str:
    absent = [name for name in part.needs if importlib.util.find_spec(name) is None]
    if absent:
        return f"{', '.join(absent)} is not installed"
    return missing_base if part.needs_base else ""


def _run_part(part: Part, run: Run, limit_s: float, now: Callable[[], float]) -> Outcome:
    began_s = now()
    try:
        status, output, errors = run(part.command, limit_s)
    except subprocess.TimeoutExpired:
        return Outcome(status="failed", reason=f"not done after {limit_s:.0f} s", seconds=round(now() - began_s, 1))
    seconds = round(now() - began_s, 1)
    try:
        result = json.loads(output)
    except ValueError:
        result = output.strip().splitlines()[-20:]
    if status:
        return Outcome(status="failed", reason=_last_line(errors, status), seconds=seconds, result=result)
    return Outcome(status="done", seconds=seconds, result=result)


def _last_line(errors: str, status: int) -> str:
    lines = errors.strip().splitlines()
    return lines[-1] if lines else f"exit status {status}"


def read_tests(junit: Path) -> dict[str, str]:
    """What became of every test, by name: passed, or skipped or failed and why."""
    found = {}
    for case in ElementTree.parse(junit).iter("testcase"):
        trouble = [each for each in case if each.tag in ("skipped", "failure", "error")]
        found[case.attrib["name"]] = f"{trouble[0].tag}: {trouble[0].attrib['message']}" if trouble else "passed"
    return found


def to_report(device: str | None, outcomes: dict[str, Outcome]) -> dict[str, Any]:
    """The document."""
    from spa_lsp.bench.machine import describe_machine, describe_versions

    named = {name: asdict(outcome) for name, outcome in outcomes.items()}
    return {"device": device, "machine": describe_machine(), "versions": describe_versions(), "parts": named}


def main() -> int:
    """Run what can run here; the exit status."""
    device = _device()
    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder) / "tests.xml"
        if device is None:
            sys.stderr.write(NO_CUDA + "\n")
            outcomes = {part.name: Outcome(status="skipped", reason=NO_CUDA) for part in parts(junit)}
        else:
            outcomes = run_parts(parts(junit), _run, missing_base=_missing_base())
        if junit.exists():
            outcomes["tests"] = Outcome(**{**vars(outcomes["tests"]), "result": read_tests(junit)})
    sys.stdout.write(json.dumps(to_report(device, outcomes), indent=1) + "\n")
    return int(any(outcome.status == "failed" for outcome in outcomes.values()))


def _device() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _missing_base() -> str:
    """Why the default base cannot be loaded; empty: it can."""
    from spa_lsp.bases.catalog import DEFAULT_BASE, find_base, installed_base
    from spa_lsp.errors import SpaError

    try:
        installed_base(find_base(DEFAULT_BASE))
    except SpaError as error:
        return str(error)
    return ""


def _run(command: Sequence[str], limit_s: float) -> tuple[int, str, str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}  # also where nothing was installed
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit_s
    )
    return done.returncode, done.stdout, done.stderr


def measure_training() -> dict[str, Any]:
    """A few steps of fresh adapters on the default base in the precision that training takes."""
    import torch

    from spa_lsp.bases.catalog import DEFAULT_BASE
    from spa_lsp.lm.load import load_base
    from tests.gpu.training_step import train_steps

    base = load_base(DEFAULT_BASE, is_training=True)
    trained = train_steps(base, n_adapters=_N_ADAPTERS, n_steps=_N_STEPS)
    peak = torch.cuda.max_memory_allocated() / 1e9 if base.device == "cuda" else None
    facts = {"quantization": base.quantization, "device": base.device, "adapters": _N_ADAPTERS, "peak_gb": peak}
    return {**facts, **asdict(trained)}


if __name__ == "__main__":
    if sys.argv[1:] == ["training"]:
        sys.stdout.write(json.dumps(measure_training()))
    else:
        sys.exit(main())
