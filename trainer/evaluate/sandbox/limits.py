"""How much a program may take, and what the sandbox sets for it."""

import math
from dataclasses import dataclass

TMP_BYTES = 16 << 20
MAX_PROCESSES = 8


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of one program; `memory_bytes` holds for each process and for the resident memory of all of them together."""

    wall_s: float = 10.0
    cpu_s: float = 5.0
    memory_bytes: int = 512 << 20
    output_bytes: int = 64 << 10


def rlimits(limits: Limits, *, is_alone: bool) -> dict[str, tuple[int, int]]:
    """Soft and hard limits that the stub sets; with own namespaces the number of processes is its own count."""
    cpu = math.ceil(limits.cpu_s)
    fixed = {"FSIZE": TMP_BYTES, "NOFILE": 64, "CORE": 0, "AS": limits.memory_bytes}
    if is_alone:  # elsewhere the user's other processes count too, and nothing could start
        fixed["NPROC"] = MAX_PROCESSES
    named = {f"RLIMIT_{name}": (value, value) for name, value in fixed.items()}
    return {**named, "RLIMIT_CPU": (cpu, cpu + 1)}  # SIGXCPU first, SIGKILL a second later
