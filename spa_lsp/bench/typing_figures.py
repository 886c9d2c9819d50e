"""What was seen while somebody typed, as figures; four of them have goals. Pure."""

import math
from collections.abc import Mapping, Sequence

from spa_lsp.bench.figures import Figure, Goal, plain_figure
from spa_lsp.bench.typist import PATIENCE_S, Seen
from spa_lsp.outcomes.metrics import percentile

# Goals for two cores with AVX2, the default base and its set.
SHOWN = Goal(name="share of keys with an alternative before the next", goal=0.4, is_at_most=False)
FIRST = Goal(name="first alternative after a pause, p50", goal=0.8, unit="s")
ALL = Goal(name="all alternatives after a pause, p50", goal=3.0, unit="s")
IN_VAIN = Goal(name="share of the engine's time in vain", goal=0.35)

Figures = dict[str, float | int | None]


def to_figures(seen: Seen, answered: Mapping[str, int], engine: Mapping[str, float]) -> Figures:
    """The figures by name, in the order in which they are printed; a share or a percentile of nothing is None.

    Args:
        seen: by the one who typed.
        answered: by the front to what the editor asked by itself: `answers` and those `from_cache`.
        engine: what the engine was asked and gave up meanwhile.
    """
    first, whole = sorted(seen.first_ms), sorted(seen.all_ms)
    return {
        "asked": seen.n_asked,
        "shown before the next key": len(first),
        "overtaken by the next key": seen.n_overtaken,
        "accepted": seen.n_accepted,
        "first shown, p50 ms": percentile(first, 50),
        "first shown, p95 ms": percentile(first, 95),
        "all shown before the next key": len(whole),
        "all shown, p50 ms": percentile(whole, 50),
        "all shown, p95 ms": percentile(whole, 95),
        "alternatives of them, mean": _ratio(sum(seen.n_items), len(seen.n_items)),
        "pauses": len(seen.pause_first_ms),
        "first after a pause, p50 ms": _of_pauses(seen.pause_first_ms, 50),
        "first after a pause, p95 ms": _of_pauses(seen.pause_first_ms, 95),
        "all after a pause, p50 ms": _of_pauses(seen.pause_all_ms, 50),
        "all after a pause, p95 ms": _of_pauses(seen.pause_all_ms, 95),
        "share of answers from the cache": _ratio(answered["from_cache"], answered["answers"]),
        "requests to the engine": engine["n_requests"],
        "of them cancelled": engine["n_cancelled"],
        "engine time, s": engine["worked_s"],
        "engine time on cancelled ones, s": engine["cancelled_s"],
    }


def to_goals(seen: Seen, engine: Mapping[str, float]) -> list[Figure]:
    """The four figures that have goals; a pause without any alternative counts as longer than all others."""
    return [
        plain_figure(SHOWN, _ratio(len(seen.first_ms), seen.n_asked)),
        _pause_figure(FIRST, seen.pause_first_ms),
        _pause_figure(ALL, seen.pause_all_ms),
        plain_figure(IN_VAIN, _ratio(engine["cancelled_s"], engine["worked_s"])),
    ]


def _pause_figure(goal: Goal, times_ms: Sequence[float]) -> Figure:
    if not times_ms:
        return plain_figure(goal, None, note="nobody paused")
    p50, p95 = (percentile(sorted(times_ms), percent) for percent in (50, 95))
    assert p50 is not None and p95 is not None
    if math.isinf(p50):
        return plain_figure(goal, PATIENCE_S, note=f"or never: most pauses had none after {PATIENCE_S:.0f} s")
    note = f"p95 {p95 / 1000:.2f} s" if math.isfinite(p95) else f"p95 over {PATIENCE_S:.0f} s"
    return plain_figure(goal, p50 / 1000, note=f"{note}, {len(times_ms)} pauses")


def _of_pauses(times_ms: Sequence[float], percent: int) -> float | None:
    found = percentile(sorted(times_ms), percent)
    return None if found is None or math.isinf(found) else found


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 3) if whole else None
