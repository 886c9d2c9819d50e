"""The seam between a stage and where its pieces are computed: pure work, and a driver that takes its rows.

A stage cuts its work into pieces that do not depend on who computes them, and writes the rows as they come, in
whatever order. The work knows no store: all that it needs lies in itself and in the piece, and both travel.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Piece = TypeVar("Piece")
Row = TypeVar("Row")

Give = Callable[[Row], object]
Take = Callable[[Sequence[Row]], object]
Do = Callable[[Piece, Give[Row]], None]  # computes a piece, and gives its rows one by one


_Piece = TypeVar("_Piece", contravariant=True)
_Row = TypeVar("_Row", covariant=True)


class Work(Protocol[_Piece, _Row]):
    """What a worker is made of. Where it is started elsewhere it has been pickled on the way."""

    @property
    def base_id(self) -> str | None:
        """The base that a worker holds; None: it needs none."""

    def start(self, n_threads: int | None) -> Do[_Piece, _Row]:
        """Load what all pieces need, once in a worker, and compute with this many threads; None: as it is."""


class Executor(Protocol):
    """Computes pieces."""

    @property
    def is_here(self) -> bool:
        """Whether workers see the files of this process."""

    def run(self, work: Work[Piece, Row], pieces: Sequence[Piece], take: Take[Row]) -> None:
        """Have every piece computed, and `take` its rows in this process; without pieces no work is started.

        Rows that are there together are taken together: elsewhere all of a piece, so that a driver that writes them in
        one transaction has it whole or not at all.

        Raises:
            SpaError: as the work; what came before, of the same piece too, has been taken.
        """


class Local:
    """Computes in this process, a piece after the other; each row is taken when it is there."""

    is_here = True

    def run(self, work: Work[Piece, Row], pieces: Sequence[Piece], take: Take[Row]) -> None:
        """As `Executor.run`."""
        if pieces:
            do = work.start(None)
            for piece in pieces:
                do(piece, lambda row: take([row]))


def blocks(items: Sequence[Piece], size: int) -> list[Sequence[Piece]]:
    """The items in their order, `size` at a time."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def use_threads(n_threads: int | None) -> None:
    """Let torch compute with so many threads in this process."""
    if n_threads is not None:
        import torch

        torch.set_num_threads(n_threads)
