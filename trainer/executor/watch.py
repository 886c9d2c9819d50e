"""Whether anything can still come from a Ray cluster, checked while nothing comes; Ray itself waits, or ends us."""

import socket
import time
from collections.abc import Collection
from typing import Any

from spa_lsp.errors import Unavailable

CHECK_S = 5.0  # between two checks; Ray ends this process 15 s after its own node
SILENCE_S = 30.0  # of the cluster's head; Ray ends this process after 60 s
PLACE_S = 600.0  # until one worker at least has a place; a cluster that grows takes minutes
_ALIVE = 2  # ActorTableData.ActorState, which Ray names in no module for Python


class Watch:
    """Checks a cluster, and knows since when it has not been as it should be."""

    def __init__(self, ray: Any) -> None:
        """Raises Unavailable where the head does not answer."""
        context = ray.get_runtime_context()
        host, port = context.gcs_address.rsplit(":", 1)
        self._head = (host.strip("[]"), int(port))
        if why := _silence_of(self._head):  # or the next question would wait
            raise Unavailable(f"the Ray cluster at {context.gcs_address} does not answer ({why}); see `ray status`")
        self.nodes = ray.nodes()
        own = next(node for node in self.nodes if node["NodeID"] == context.get_node_id())
        self._node = (own["NodeManagerAddress"], own["NodeManagerPort"])
        self.note_life()

    def note_life(self) -> None:
        """Something came."""
        self._answered = self._worked = time.monotonic()

    def check(self, workers: Collection[Any]) -> None:
        """Check the cluster, and the workers that have a piece.

        Raises:
            Unavailable: the cluster is gone, or for long none of these workers has had a place.
        """
        now = time.monotonic()
        self.check_node()
        why = _silence_of(self._head)
        if not why:
            self._answered = now
        elif now - self._answered >= SILENCE_S:
            raise Unavailable(f"the Ray cluster at {self._head[0]} does not answer any more ({why}); {_AGAIN}")
        if any(worker._get_local_state() == _ALIVE for worker in workers):
            self._worked = now
        elif now - self._worked >= PLACE_S:
            raise Unavailable(f"no worker has had a place in the Ray cluster for {PLACE_S:.0f} s; {_AGAIN}")

    def check_node(self) -> None:
        """Check the node of this process, with which all is lost that workers owe it.

        Raises:
            Unavailable: it has died.
        """
        if why := _silence_of(self._node):
            raise Unavailable(f"the Ray node on this machine has died ({why}); {_AGAIN}")


_AGAIN = "see `ray status`, and run again: finished pieces are kept"


def _silence_of(address: tuple[str, int]) -> str:
    """Why nothing listens there; empty: something does."""
    try:
        socket.create_connection(address, timeout=CHECK_S).close()
    except OSError as error:
        return str(error)
    return ""
