"""The page: one HTML document that holds all it needs. Decides what is drawn; `page.html` says where.

Completions and labels are text that nobody vouches for. The template escapes everything that is not a drawing or a file
of this folder, and a policy in its head forbids the browser every other script and every fetch.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spa_lsp import __version__
from trainer.report import plots, tables
from trainer.report.exports import LEVELS, Alternative, Arm, Comparison, Figure, Report

_FOLDER = Path(__file__).parent
_LEAD = "ast"
# what is drawn over k and over the number of samples
_OVER_K = ("diversity", "distinct_ast", "dc_ast")
_OVER_SAMPLES = ("dc_ast", "pass_at_1")


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A drawing and what it shows; those that are not in front are folded away."""

    caption: str
    svg: str
    is_front: bool = True


@dataclass(frozen=True, kw_only=True)
class ShownAnswer:
    """The alternatives of one arm for a problem; `n_arm` is its place in the comparison, `labels` are its adapters'."""

    n_arm: int
    arm: Arm
    n_passed: int
    labels: Mapping[str, str]
    alternatives: Sequence[Alternative]


@dataclass(frozen=True, kw_only=True)
class ProblemView:
    """A problem with the answers of all arms."""

    task_id: str
    prompt: str
    canary: str
    answers: Sequence[ShownAnswer]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A comparison with its drawings and its problems."""

    comparison: Comparison
    tradeoffs: Sequence[Plot]
    over_k: Sequence[Plot]
    over_samples: Sequence[Plot]
    adapters: Sequence[Plot]
    problems: Sequence[ProblemView]


def page(report: Report) -> str:
    """The whole document.

    Raises:
        Unavailable: the extra with the plots' library is not installed.
    """
    plots.require_plots()
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    series = plots.series_of([arm for comparison in report.comparisons for arm in comparison.arms])
    script = (_FOLDER / "page.js").read_text("utf-8")
    return environment.get_template("page.html").render(
        report=report,
        sections=[_section(comparison, series) for comparison in report.comparisons],
        tables=tables,
        levels=LEVELS,
        version=__version__,
        style=(_FOLDER / "page.css").read_text("utf-8"),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _section(comparison: Comparison, series: plots.Series) -> Section:
    largest = replace(comparison, arms=_largest(comparison.arms))
    return Section(
        comparison=comparison,
        tradeoffs=_tradeoffs(largest, series),
        over_k=_over(largest, _OVER_K, series, lambda arm: arm.k, "k"),
        over_samples=_over(comparison, _OVER_SAMPLES, series, lambda arm: arm.n_samples, "samples trained on"),
        adapters=_adapters(comparison, series),
        problems=_problems(comparison.arms),
    )


def _largest(arms: Sequence[Arm]) -> list[Arm]:
    """Of arms that differ in the number of samples only the one with most: a curve shows one thing at a time."""
    return list({(arm.title, arm.k): arm for arm in sorted(arms, key=lambda arm: arm.n_samples or 0)}.values())


def _tradeoffs(comparison: Comparison, series: plots.Series) -> list[Plot]:
    """A plot for every k, with what gives a single completion in each; in front the greatest k at the leading level."""
    arms, title = comparison.arms, tables.heading(comparison)
    ks = sorted({arm.k for arm in arms}, reverse=True)
    found: list[Plot] = []
    for k in [k for k in ks if k > 1] or ks:
        for level in sorted(LEVELS, key=lambda level: level != _LEAD):
            needed = ("pass_at_1", f"dc_{level}")
            own = [arm for arm in arms if arm.k in (k, 1) and all(name in arm.figures for name in needed)]
            if own:
                caption = f"{tables.title_of(f'dc_{level}')} against pass@1, k = {k}"
                svg = plots.plot_tradeoff(f"{title}: {caption}", own, level, series)
                found.append(Plot(caption=caption, svg=svg, is_front=not found))
    return found


def _over(
    comparison: Comparison,
    names: Sequence[str],
    series: plots.Series,
    place: Callable[[Arm], int | None],
    x_label: str,
) -> list[Plot]:
    """A figure over k or over samples, for arms that are known at more than one place and else the same."""
    found: list[Plot] = []
    for name in names:
        curves: dict[str, list[plots.Point]] = {}
        colours: dict[str, int] = {}
        for arm in sorted(comparison.arms, key=lambda arm: place(arm) or 0):
            x, figure = place(arm), arm.figures.get(name)
            if x is not None and figure is not None:
                label = arm.title if x_label == "k" else f"{arm.title}, k = {arm.k}"
                words = f"{label}, {x_label} {x}: {tables.number(figure.mean)} {tables.interval(figure)}"
                curves.setdefault(label, []).append(plots.Point(x=x, figure=figure, words=words))
                colours[label] = series[arm.name]
        several = {label: points for label, points in curves.items() if len({point.x for point in points}) > 1}
        if several:
            caption = f"{tables.title_of(name)} over {x_label}"
            title = f"{tables.heading(comparison)}: {caption}"
            svg = plots.plot_curves(title, several, colours, x_label=x_label, y_label=tables.title_of(name))
            found.append(Plot(caption=caption, svg=svg))
    return found


def _adapters(comparison: Comparison, series: plots.Series) -> list[Plot]:
    """Bars of every arm with several adapters, part sizes once for each set; in front the greatest k of each name."""
    found: list[Plot] = []
    names_shown, parts_shown = set(), set()
    keys = [(arm.title, arm.k) for arm in comparison.arms]
    for arm in sorted((arm for arm in comparison.arms if len(arm.by_adapter) > 1), key=lambda arm: -arm.k):
        size = f", {arm.n_samples} samples" if keys.count((arm.title, arm.k)) > 1 else ""
        title, is_front = tables.heading(comparison), arm.name not in names_shown
        names_shown.add(arm.name)
        for name, bars in _bars(arm).items():
            caption = f"{name}: {arm.title}, k = {arm.k}{size}"
            svg = plots.plot_adapters(f"{title}: {caption}", bars, series[arm.name], x_label=name)
            found.append(Plot(caption=caption, svg=svg, is_front=is_front))
        parts = (arm.adapter_set, *((own.label, own.n_samples) for own in arm.by_adapter))
        if parts not in parts_shown and all(own.n_samples is not None for own in arm.by_adapter):
            caption = f"Part sizes: {arm.adapter_set}"
            svg = plots.plot_parts(f"{title}: {caption}", arm.by_adapter, series[arm.name])
            found.append(Plot(caption=caption, svg=svg, is_front=is_front))
        parts_shown.add(parts)
    return found


def _bars(arm: Arm) -> dict[str, list[tuple[str, Figure]]]:
    """Labels and figures of an arm's adapters by the figure's name, for those figures that all of them have."""
    by_name = {
        "pass_at_1": [(own.label, own.pass_at_1) for own in arm.by_adapter],
        "accuracy_loglik": [(own.label, own.accuracy_loglik) for own in arm.by_adapter if own.accuracy_loglik],
    }
    return {tables.title_of(name): bars for name, bars in by_name.items() if len(bars) == len(arm.by_adapter)}


def _problems(arms: Sequence[Arm]) -> list[ProblemView]:
    """In the order of the export."""
    asked = {problem.task_id: problem for arm in arms for problem in arm.problems}
    answers: dict[str, list[ShownAnswer]] = {task_id: [] for task_id in asked}
    for n_arm, arm in enumerate(arms):
        labels = {own.adapter: own.label for own in arm.by_adapter}
        for problem in arm.problems:
            n_passed = sum(own.verdict == "pass" for own in problem.alternatives)
            answers[problem.task_id].append(
                ShownAnswer(n_arm=n_arm, arm=arm, n_passed=n_passed, labels=labels, alternatives=problem.alternatives)
            )
    return [
        ProblemView(task_id=own.task_id, prompt=own.prompt, canary=own.canary, answers=answers[own.task_id])
        for own in asked.values()
    ]
