"""The order of work in the engine: one job runs, the others wait; per document at most one of each, the newest wins.

Clients take turns: who was served longest ago comes first, so one that asks for much does not keep the others waiting.
Pure bookkeeping, owned by the engine's event loop: no threads, no sockets.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from spa_lsp.completion import CompletionRequest
from spa_lsp.engine.session import Session

MAX_WAITING = 32  # of one client; a front has one waiting per document, so only a runaway client gets there


@dataclass(frozen=True, eq=False, kw_only=True)
class EngineJob:
    """One request of one client. `cancelled` is set in the event loop and read by the worker at every decode step."""

    owner: Session
    id: int
    request: CompletionRequest
    cancelled: Event = field(default_factory=Event)

    def is_same_document(self, other: "EngineJob") -> bool:
        """Whether the newer of the two makes the older pointless."""
        document = self.request.document
        return bool(document) and self.owner is other.owner and document == other.request.document


class JobQueue:
    """The running job and those that wait for it."""

    def __init__(self) -> None:
        self.running: EngineJob | None = None
        self.waiting: deque[EngineJob] = deque()
        self._turns: dict[Session, int] = {}  # when each was last served; who is not in it never was
        self._n_turns = 0

    def is_full_for(self, owner: Session) -> bool:
        """Whether no further job of this owner should be taken."""
        return sum(job.owner is owner for job in self.waiting) >= MAX_WAITING

    def add(self, job: EngineJob) -> list[EngineJob]:
        """Let the job wait; the running one of the same document is told to end.

        Returns:
            The waiting jobs that this one replaces: they never run and are owed an answer.
        """
        if self.running is not None and job.is_same_document(self.running):
            self.running.cancelled.set()
        replaced = [old for old in self.waiting if job.is_same_document(old)]
        self.waiting = deque(old for old in self.waiting if old not in replaced)
        self.waiting.append(job)
        return replaced

    def start_next(self) -> EngineJob | None:
        """The job to run now; None while one runs or none waits."""
        if self.running is not None or not self.waiting:
            return None
        # the first of those whose owner was served longest ago
        job = min(self.waiting, key=lambda job: self._turns.get(job.owner, 0))
        self.waiting.remove(job)
        self._n_turns += 1
        self._turns[job.owner] = self._n_turns
        self.running = job
        return job

    def finish(self) -> None:
        """The running job has ended."""
        self.running = None

    def cancel(self, owner: Session, job_id: int) -> list[EngineJob]:
        """End one job of this owner, if it is still there.

        Returns:
            It, when it was waiting: it never runs and is owed an answer.
        """
        return self._cancel(lambda job: job.owner is owner and job.id == job_id)

    def cancel_all_of(self, owner: Session) -> None:
        """End all jobs of an owner that is gone."""
        self._cancel(lambda job: job.owner is owner)
        self._turns.pop(owner, None)

    def _cancel(self, is_meant: Callable[[EngineJob], bool]) -> list[EngineJob]:
        if self.running is not None and is_meant(self.running):
            self.running.cancelled.set()
        dropped = [job for job in self.waiting if is_meant(job)]
        self.waiting = deque(job for job in self.waiting if job not in dropped)
        return dropped
