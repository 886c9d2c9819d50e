"""Times in, figures out: medians, ratios with both their sides, and whether a goal is reached. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

Times = dict[str, list[float]]  # milliseconds of every round, by what was timed
Round = Callable[[int], Mapping[str, float]]  # one round of one subject: its number in, milliseconds out


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What is asked of one figure."""

    name: str
    goal: float
    is_at_most: bool = True  # else at least
    unit: str = ""  # empty: a ratio


@dataclass(frozen=True, kw_only=True)
class Ratio(Goal):
    """Median time of one thing / of another."""

    numerator: str
    denominator: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A goal and what was found."""

    name: str
    value: float | None  # None: not measured, `note` says why
    goal: float
    is_at_most: bool
    unit: str = ""
    numerator_ms: float | None = None
    denominator_ms: float | None = None
    note: str = ""

    @property
    def is_reached(self) -> bool | None:
        """Whether the goal is met; None when nothing was measured."""
        if self.value is None:
            return None
        return self.value <= self.goal if self.is_at_most else self.value >= self.goal

    def to_json(self) -> dict[str, Any]:
        """All fields and `is_reached`."""
        return asdict(self) | {"is_reached": self.is_reached}


def run_rounds(jobs: Mapping[str, Round], n_rounds: int, *, on_round: Callable[[], None] = lambda: None) -> Times:
    """Run every job once per round, each round beginning with another one, so that a drift of the machine hits all.

    One round before those is not counted: it pays for what is only done once.
    """
    times: Times = {}
    names = list(jobs)
    for round_number in range(n_rounds + 1):
        for name in _rotated(names, round_number):
            for what, ms in jobs[name](round_number).items():
                if round_number:
                    times.setdefault(what, []).append(ms)
        on_round()
    return times


def _rotated(names: Sequence[str], by: int) -> list[str]:
    by %= len(names) or 1
    return [*names[by:], *names[:by]]


def ratio_figure(ratio: Ratio, times: Times, *, missing: Mapping[str, str] | None = None) -> Figure:
    """The figure of a ratio; one whose times are missing says why, by `missing`."""
    absent = [what for what in (ratio.numerator, ratio.denominator) if not times.get(what)]
    if absent:
        note = (missing or {}).get(absent[0], f"{absent[0]} was not measured")
        return _figure(ratio, None, note=note)
    numerator, denominator = median(times[ratio.numerator]), median(times[ratio.denominator])
    value = numerator / denominator if denominator else None
    return _figure(ratio, value, numerator_ms=numerator, denominator_ms=denominator)


def plain_figure(goal: Goal, value: float | None, *, note: str = "") -> Figure:
    """The figure of a goal with a unit of its own."""
    return _figure(goal, value, note=note)


def _figure(goal: Goal, value: float | None, **rest: Any) -> Figure:
    return Figure(name=goal.name, value=value, goal=goal.goal, is_at_most=goal.is_at_most, unit=goal.unit, **rest)


def to_lines(figures: Sequence[Figure]) -> Iterator[str]:
    """A table: figure, goal, whether it is reached, and the two sides of a ratio."""
    width = max((len(figure.name) for figure in figures), default=0)
    for figure in figures:
        goal = f"goal {'<=' if figure.is_at_most else '>='} {_amount(figure.goal, figure.unit)}"
        found = f"{figure.name:<{width}}  {_found(figure):>12}"
        yield f"{found}  {goal:<16}  {_verdict(figure):<4} {_sides(figure)}".rstrip()


def _found(figure: Figure) -> str:
    return "not measured" if figure.value is None else _amount(figure.value, figure.unit)


def _amount(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}".rstrip() if abs(value) < 20 else f"{value:.0f} {unit}".rstrip()


def _verdict(figure: Figure) -> str:
    return {True: "yes", False: "no", None: "-"}[figure.is_reached]


def _sides(figure: Figure) -> str:
    if figure.numerator_ms is None or figure.denominator_ms is None:
        return figure.note
    sides = f"{figure.numerator_ms:.1f} ms / {figure.denominator_ms:.1f} ms"
    return f"{sides}; {figure.note}" if figure.note else sides
