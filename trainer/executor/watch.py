"""Whether anything can still come from a Ray cluster, looked at while nothing comes; Ray itself waits for ever."""

import socket
import time
from collections.abc import Collection
from typing import Any

from spa_lsp.errors import Unavailable

LOOK_S = 5.0  # between two looks
SILENCE_S = 30.0  # of a cluster; after 60 s Ray ends this process
PLACE_S = 600.0  # until one worker at least has a place; a cluster that grows takes minutes
_ALIVE = 2  # ActorTableData.ActorState, which Ray names in no module for Python


class Watch:
    """Looks at a cluster, and knows since when it has not been as it should be."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self.note_life()

    def note_life(self) -> None:
        """Something came."""
        self._answered = self._worked = time.monotonic()

    def look(self, workers: Collection[Any]) -> None:
        """Look at the cluster, and at the workers that have a piece.

        Raises:
            Unavailable: the cluster is gone, or for long none of these workers has had a place.
        """
        now = time.monotonic()
        trouble = trouble_of(self._ray)
        if not trouble:
            self._answered = now
        elif now - self._answered >= SILENCE_S:
            raise Unavailable(f"{trouble}; see `ray status`, and run again: finished pieces are kept")
        if any(worker._get_local_state() == _ALIVE for worker in workers):
            self._worked = now
        elif now - self._worked >= PLACE_S:
            raise Unavailable(
                f"no worker has been running for {PLACE_S:.0f} s; see `ray status` for who has the cluster's cores and "
                "memory, and run again: finished pieces are kept"
            )


def trouble_of(ray: Any) -> str:
    """Why nothing can come from the cluster; empty: it is well."""
    host, port = ray.get_runtime_context().gcs_address.rsplit(":", 1)
    try:  # not by a question of Ray's, which waits
        socket.create_connection((host.strip("[]"), int(port)), timeout=LOOK_S).close()
    except OSError as error:
        return f"the head of the Ray cluster at {host}:{port} does not answer ({error})"
    own = ray.get_runtime_context().get_node_id()  # what its workers owe is lost with it
    if not any(node["Alive"] and node["NodeID"] == own for node in ray.nodes()):
        return "the Ray node on this machine has died"
    return ""
