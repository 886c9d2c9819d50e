"""Pieces on the workers of a Ray cluster; Ray is imported by the first run, and only `watch` knows of it too.

Ray places, starts and restarts workers, and gives a lost piece to another one; nothing here does. A worker is an actor
that holds one base. It has no store: its rows come back, a piece's all at once.
"""

import logging
import os
import pickle
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spa_lsp.bases.catalog import find_base
from spa_lsp.errors import BadInput, SpaError, Unavailable
from spa_lsp.offline import go_offline
from spa_lsp.waiting import spin_briefly
from trainer.executor.same import BaseDigests, check_base, check_versions, digests_of, versions
from trainer.executor.watch import CHECK_S, Watch
from trainer.executor.work import Do, Piece, Row, Take, Work

logger = logging.getLogger(__name__)

MAX_TRIES_OF_PIECE = 4  # a piece that kills every worker is no accident
_BYTES_OF_WEIGHT = 4  # of a base in fp32; on its way to a GPU it takes half of it
_ENVIRONMENT = {  # read when Ray is imported
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",  # else it says on stdout, where our data goes, which worker has died
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # its next default, of which it warns
}
_LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # there is no other name for it


@dataclass(frozen=True, kw_only=True)
class Ray:
    """Computes on a cluster: the one at `address`, or one that is started here and ends with this process.

    `n_workers` 0: one for each GPU; where there is none, one for each core that has memory for the base.
    """

    address: str | None = None
    n_workers: int = 0
    is_here = False

    def run(self, work: Work[Piece, Row], pieces: Sequence[Piece], take: Take[Row]) -> None:
        """As `Executor.run`; rows come in any order of the pieces."""
        if not pieces:
            return
        ray = _connect(self.address)
        n_weights = find_base(work.base_id).parameters if work.base_id else 0
        watch = Watch(ray)
        place = _place(watch.nodes, n_weights, n_asked=self.n_workers, n_pieces=len(pieces))
        logger.info("%s", place)
        base = digests_of(work.base_id) if work.base_id else None
        start = _Start(work=work, base=base, n_threads=place.n_threads)
        shared = [ray.put(pickle.dumps(start))]
        workers = _actors(ray, place)
        try:
            _compute(ray, workers, watch, shared, pieces, take)
        except (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError) as error:
            watch.check_node()
            raise Unavailable(f"{_why_dead(error)}; run again: finished pieces are kept") from error


def _why_dead(error: Any) -> str:
    why = str(error).splitlines()[-1].strip()
    if getattr(error, "actor_init_failed", False):
        return f"a worker cannot start ({why}); install on every node what the driver has"
    return f"{MAX_TRIES_OF_PIECE} workers died of one piece of work ({why}); take fewer --workers if memory was short"


def _compute(
    ray: Any, idle: list[Any], watch: Watch, shared: Sequence[Any], pieces: Sequence[Piece], take: Take[Row]
) -> None:
    """Give each worker a piece, and another one for its rows, until there are none."""
    waiting = deque(pieces)
    at_work: dict[Any, Any] = {}  # the worker, by what it will answer
    try:
        while waiting or at_work:
            at_work |= [_ask(idle.pop(), shared, waiting.popleft()) for _ in range(min(len(idle), len(waiting)))]
            idle.clear()  # which ends them: a worker that lost its node may wait for their place
            ready, _ = ray.wait(list(at_work), timeout=CHECK_S)
            if ready:
                watch.note_life()
            else:
                watch.check(at_work.values())
            for answer in ready:
                rows, error = ray.get(answer)
                idle.append(at_work.pop(answer))
                if rows:
                    take(rows)
                if error:
                    raise error
    finally:
        for worker in at_work.values():
            ray.kill(worker)


def _ask(worker: Any, shared: Sequence[Any], piece: Any) -> tuple[Any, Any]:
    return worker.do.remote(versions(), shared, pickle.dumps(piece)), worker


@dataclass(frozen=True, kw_only=True)
class Place:
    """How many workers there will be, and what Ray gives to each."""

    n_workers: int
    n_threads: int
    cpus: float
    gpus: int
    n_bytes: int

    def __str__(self) -> str:
        return f"{self.n_workers} workers with {self.n_threads} threads, {self.gpus} GPUs and {self.n_bytes} bytes each"


def _place(nodes: Sequence[dict[str, Any]], n_weights: int, *, n_asked: int, n_pieces: int) -> Place:
    """Share the cores of all nodes among workers that hold a base of so many weights, or none.

    Raises:
        Unavailable: no node has memory for one.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("CPU")]
    cpus, gpus = (int(sum(each.get(name, 0) for each in alive)) for name in ("CPU", "GPU"))
    has_gpu = bool(gpus and n_weights)
    n_bytes = n_weights * _BYTES_OF_WEIGHT // (2 if has_gpu else 1)
    rooms = [int(each.get("memory", 0) // n_bytes) if n_bytes else n_pieces for each in alive]
    if has_gpu:
        rooms = [min(room, int(each.get("GPU", 0))) for room, each in zip(rooms, alive, strict=True)]
    if not sum(rooms):
        raise Unavailable(f"no node of the Ray cluster has a core and {n_bytes / 1e9:.1f} GB of memory for the base")
    wanted = n_asked or (gpus if has_gpu else cpus)
    n_workers = min(wanted, sum(rooms), n_pieces)
    if n_workers < min(n_asked, n_pieces):
        logger.warning("there is room for %d of %d workers", n_workers, n_asked)
    each = _cores_each([each["CPU"] for each in alive], rooms, n_workers)
    return Place(
        n_workers=n_workers,
        n_threads=max(1, int(each)),
        cpus=int(each) if each >= 1 else int(each * 1000) / 1000,
        gpus=int(has_gpu),
        n_bytes=n_bytes,
    )


def _cores_each(cores: Sequence[float], rooms: Sequence[int], n_workers: int) -> float:
    """The most cores that every worker can have: asked for more than its node has it would wait for ever."""
    n_on = [0] * len(cores)
    for _ in range(n_workers):
        free = [number for number, room in enumerate(rooms) if n_on[number] < room]
        n_on[max(free, key=lambda number: cores[number] / (n_on[number] + 1))] += 1
    return min(own / n for own, n in zip(cores, n_on, strict=True) if n)


def _connect(address: str | None) -> Any:
    """Ray, connected; once in a process.

    Raises:
        Unavailable: it is not installed, or no cluster answers. BadInput: that has another version.
    """
    for name, value in (_ENVIRONMENT if address else _ENVIRONMENT | _LOOPBACK_ONLY).items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise Unavailable(f"--executor ray needs Ray ({error}); run: pip install 'spa-lsp[ray]'") from None
    if ray.is_initialized():
        return ray
    named = address or "this machine"
    try:
        if address:
            ray.init(address, log_to_driver=False, logging_level="ERROR")
        else:
            ray.init("local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # of many kinds, and a start that takes too long is a bare one
        if "Version mismatch" in str(error):  # of Ray or Python
            raise BadInput(f"the Ray cluster at {named} cannot be used: {error}") from error
        raise Unavailable(f"no Ray cluster answers at {named} ({error}); see `ray status`, and run again") from error
    return ray


def _actors(ray: Any, place: Place) -> list[Any]:
    kind = ray.remote(
        num_cpus=place.cpus,
        num_gpus=place.gpus,
        memory=place.n_bytes or None,
        max_restarts=-1,
        max_task_retries=MAX_TRIES_OF_PIECE - 1,
    )(_Worker)
    return [kind.remote() for _ in range(place.n_workers)]


@dataclass(frozen=True, kw_only=True)
class _Start:
    """What every worker gets once."""

    work: Work[Any, Any]
    base: BaseDigests | None
    n_threads: int


class _Worker:
    """A process elsewhere: begins the work with its first piece, also after it was started again."""

    def __init__(self) -> None:
        self._do: Do[Any, Any] | None = None

    def do(self, driver: dict[str, str], shared: Sequence[Any], data: bytes) -> tuple[list[Any], SpaError | None]:
        """The rows of a piece, and what a person can do about it where it broke off.

        Args:
            driver: its versions; only where they are equal the rest can be read.
            shared: a reference to a pickled `_Start`.
            data: the pickled piece.
        """
        rows: list[Any] = []
        try:
            if self._do is None:
                check_versions(driver)
                self._do = _begin(shared)
            self._do(pickle.loads(data), rows.append)
        except SpaError as error:
            return rows, error
        return rows, None


def _begin(shared: Sequence[Any]) -> Do[Any, Any]:
    import ray

    go_offline()
    spin_briefly()
    start: _Start = pickle.loads(ray.get(shared[0]))
    if start.base:
        check_base(start.base)
    return start.work.start(start.n_threads)
