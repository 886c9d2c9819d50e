"""Early stopping: which check of the held-out loss was the best, and when no better one is waited for. Pure."""

from collections.abc import Sequence


def best_check(losses: Sequence[float], patience: int) -> tuple[int, bool]:
    """The place of the lowest loss before patience ran out, and whether it has run out.

    What comes after that is not looked at, so that an adapter stops where it would have stopped alone. A loss that is
    NaN says that nothing is held out: then the last check counts, and patience has no end.
    """
    best = 0
    for place, loss in enumerate(losses):
        if not loss >= losses[best]:  # lower, or one of them is no number
            best = place
        elif place - best >= patience:
            return best, True
    return best, False
