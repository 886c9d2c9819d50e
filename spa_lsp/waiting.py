"""How the threads of a computation wait for each other, where other programs want the processor too."""

import os

# Rounds, some tens of microseconds; libgomp's own choice is 300,000. Where another program runs on a thread's core, the
# others burn theirs until it may go on: beside a busy program eight alternatives on two cores take a third less time
# like this, and on idle cores 5 % more. Not to spin at all costs idle ones a fifth (spa_lsp/MEASURED.md).
_ROUNDS = "2500"


def spin_briefly() -> None:
    """Let this process's and its children's threads give their core back when they wait longer than a moment.

    Call it before torch is imported: libgomp reads the environment when it is loaded. Who has set how OpenMP waits,
    knows better and is left alone.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _ROUNDS)
