"""How long a request waits for a pause before the engine is asked: learned from this user's keys and this machine.

While keys come faster than the machine answers, a request that is begun at once is overtaken by the next key, and the
engine has worked for nothing. Where the first alternative comes sooner than the next key, only the others wait.
Knows no clock of its own: times are given.
"""

from collections import deque

MIN_WAIT_S = 0.05
MAX_WAIT_S = 0.3
_FEW_KEYS = 8  # before there are so many, nothing is known of the user
_KEYS = 40  # that are remembered
_PAUSE_S = 2.0  # a longer time between two keys is no typing
_SHARE = 0.9  # of the times between two keys that the wait is longer than: the key after it is a pause, probably
_NEWEST = 0.3  # weight of the newest answer in the machine's usual time


class Pace:
    """The last keys of one user, and how soon this machine answers."""

    def __init__(self) -> None:
        self._gaps: deque[float] = deque(maxlen=_KEYS)
        self._last_key_at: float | None = None
        self._answer_s: float | None = None  # from a request to its first alternative, when the engine was asked

    def key(self, at_s: float) -> None:
        """A key was typed at this time, in seconds of any clock that only goes forward."""
        if self._last_key_at is not None and 0 <= at_s - self._last_key_at <= _PAUSE_S:
            self._gaps.append(at_s - self._last_key_at)
        self._last_key_at = at_s

    def answered(self, seconds: float) -> None:
        """The engine's first alternative came after so many seconds."""
        before = self._answer_s if self._answer_s is not None else seconds
        self._answer_s = before + _NEWEST * (seconds - before)

    @property
    def wait_s(self) -> float:
        """Seconds to wait for another key; 0 where the machine answers before it comes."""
        gaps = sorted(self._gaps)
        is_quick = self._answer_s is not None and len(gaps) >= _FEW_KEYS and self._answer_s <= gaps[len(gaps) // 2]
        return 0.0 if is_quick else self.pause_s

    @property
    def pause_s(self) -> float:
        """Seconds without a key after which the user has stopped, probably."""
        if len(self._gaps) < _FEW_KEYS:
            return MIN_WAIT_S
        gaps = sorted(self._gaps)
        return min(MAX_WAIT_S, max(MIN_WAIT_S, gaps[int(_SHARE * (len(gaps) - 1))]))
