"""What became of a program: its end, read from what came out of it and from how it died. Pure."""

import signal
from dataclasses import dataclass
from typing import Literal

from trainer.evaluate.sandbox.capture import Captured
from trainer.evaluate.sandbox.process import READY

OutcomeKind = Literal["completed", "failed", "timeout", "memory", "killed", "sandbox_error"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one program; `error` names the exception or the reason, `output` is stdout and stderr together."""

    kind: OutcomeKind
    seconds: float
    error: str = ""
    output: str = ""


def classify(captured: Captured, *, nonce: bytes, is_cpu_spent: bool) -> tuple[OutcomeKind, str]:
    """How a program that was run once has ended, and why."""
    before, ready, message = captured.protocol.partition(READY)
    if before or not ready:
        return "sandbox_error", before.decode("utf-8", "replace").strip()[:500] or "the sandbox did not start"
    if captured.ended_by == "deadline":
        return "timeout", "wall clock"
    if captured.ended_by == "output":
        return "killed", "too much output"
    if captured.ended_by == "memory":
        return "memory", "all processes together"
    if message == nonce and captured.status == 0:
        return "completed", ""
    return ended_early(captured.status, message.decode("utf-8", "replace"), is_cpu_spent=is_cpu_spent)


def ended_early(status: int, error: str, *, is_cpu_spent: bool) -> tuple[OutcomeKind, str]:
    """How a program ended that was to go on: its exit status, and its last words if it had any."""
    if error.startswith("MemoryError"):
        return "memory", "MemoryError"
    number = -status if status < 0 else status - 128  # bwrap answers 128 + the signal
    if number <= 0:
        return "failed", error if status == 1 else "ended before its end"
    if number == signal.SIGXCPU or (number == signal.SIGKILL and is_cpu_spent):
        return "timeout", "processor time"
    return "killed", f"signal {number}"
