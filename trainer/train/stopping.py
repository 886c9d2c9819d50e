"""Early stopping: which look at the held-out loss was the best, and when no better one is waited for. Pure."""

from collections.abc import Sequence


def best_look(losses: Sequence[float], patience: int) -> tuple[int, bool]:
    """The place of the lowest loss before patience ran out, and whether it has run out.

    What comes after that is not looked at, so that an adapter stops where it would have stopped alone. A loss that is
    NaN says that nothing is held out: then the last look counts, and patience has no end.
    """
    best = 0
    for look, loss in enumerate(losses):
        if not loss >= losses[best]:  # lower, or one of them is no number
            best = look
        elif look - best >= patience:
            return best, True
    return best, False
