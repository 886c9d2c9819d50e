"""The plots of a report as SVG that takes its colours from the page. Which to draw is `page.py`'s to say.

Colours are the page's CSS variables: `--ink`, `--muted`, `--grid`, `--surface`, `--series-0` … `--series-7`. Labels
come from exports: nothing in them is read as mathematics or as markup. No two drawings of a page share a `title`.
"""

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from spa_lsp.errors import Unavailable
from trainer.report.exports import AdapterFigure, Arm, Figure
from trainer.report.tables import interval, number, title_of

# Colours that a style sheet cannot name stand for the variables until the drawing is done.
_INK, _MUTED, _GRID, _SURFACE = "#010101", "#020202", "#030303", "#040404"
_VARIABLES = {_INK: "ink", _MUTED: "muted", _GRID: "grid", _SURFACE: "surface"}
N_SERIES = 8
_MARKERS = "osD^vPX*"  # beside colour, for those who see few; with more than eight series both repeat in other pairs
_DASHES = ("-", "--", ":", "-.")
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.parse_math": False,
    "font.size": 9.5,
    "text.color": _INK,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "legend.frameon": False,
}
_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
_LABEL_CHARS = 28

Series = Mapping[str, int]  # a number for every arm's name: its colour is the same in all plots of a page


@dataclass(frozen=True, kw_only=True)
class Point:
    """A place in a plot with its interval, and the words that say what it is."""

    x: float
    figure: Figure
    words: str


def require_plots() -> None:
    """Raises `Unavailable`: the extra is not installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise Unavailable(
            f"the page's plots need matplotlib ({error}); run: pip install 'spa-lsp[report]', or use --markdown"
        ) from error


def series_of(arms: Sequence[Arm]) -> dict[str, int]:
    """Numbers for the arms' names, in order of appearance."""
    return {name: n for n, name in enumerate(dict.fromkeys(arm.name for arm in arms))}


def plot_tradeoff(title: str, arms: Sequence[Arm], level: str, series: Series) -> str:
    """Distinct and correct against pass@1, each arm's temperatures as a curve; up and right is better."""

    def draw(axes: Any, describe: Callable[[str], str]) -> None:
        for name, own in _by_name(arms).items():
            style = _style(series[name])
            places = [(arm, arm.figures["pass_at_1"], arm.figures[f"dc_{level}"]) for arm in own]
            axes.plot([x.mean for _, x, _ in places], [y.mean for _, _, y in places], color=style["color"], lw=1.5)
            for arm, x, y in places:
                words = f"{arm.title}, k = {arm.k}: pass@1 {_said(x)}, {title_of(f'dc_{level}')} {_said(y)}"
                axes.errorbar(x.mean, y.mean, xerr=_error(x), yerr=_error(y), **_whisker(style["color"]))
                axes.plot(x.mean, y.mean, gid=describe(words), **style)
                if arm.temperature:
                    axes.annotate(
                        f"{arm.temperature:g}",
                        (x.mean, y.mean),
                        xytext=(6, 5),
                        textcoords="offset points",
                        fontsize=8,
                        color=_INK,
                    )
        axes.set_xlabel("pass@1")
        axes.set_ylabel(title_of(f"dc_{level}"))
        axes.set_ylim(bottom=0)
        _legend(axes, {_short(name): _style(series[name]) for name in _by_name(arms)})

    return _drawn(draw, title, size=(7.2, 4.6))


def plot_curves(
    title: str, curves: Mapping[str, Sequence[Point]], colours: Series, *, x_label: str, y_label: str
) -> str:
    """A line with intervals for each entry of `curves`; `colours` has the numbers of the same entries."""
    # curves of one colour, an arm's temperatures, differ in their dashes
    own_colour = {name: [other for other in curves if colours[other] == colours[name]] for name in curves}
    styles = {
        name: {**_style(colours[name]), "ls": _DASHES[own_colour[name].index(name) % len(_DASHES)]} for name in curves
    }

    def draw(axes: Any, describe: Callable[[str], str]) -> None:
        for name, points in curves.items():
            style = styles[name]
            axes.plot([p.x for p in points], [p.figure.mean for p in points], lw=1.5, **style)
            for point in points:
                axes.errorbar(point.x, point.figure.mean, yerr=_error(point.figure), **_whisker(style["color"]))
                axes.plot(point.x, point.figure.mean, gid=describe(point.words), **style)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.set_xticks(sorted({point.x for points in curves.values() for point in points}))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_ylim(bottom=0)
        _legend(axes, {_short(name): style for name, style in styles.items()})

    return _drawn(draw, title, size=(7.2, 3.8))


def plot_adapters(title: str, bars: Sequence[tuple[str, Figure]], series: int, *, x_label: str) -> str:
    """A bar for each adapter's label and figure."""

    def draw(axes: Any, describe: Callable[[str], str]) -> None:
        for n, (label, figure) in enumerate(bars):
            (bar,) = axes.barh(n, figure.mean, height=0.62, color=_colour(series))
            bar.set_gid(describe(f"{label}: {x_label} {_said(figure)}"))
            axes.errorbar(figure.mean, n, xerr=_error(figure), **_whisker(_INK))
        axes.set_xlim(0, max(1e-9, *(figure.high for _, figure in bars)) * 1.05)
        _bar_axes(axes, [label for label, _ in bars], x_label)

    return _drawn(draw, title, size=(7.2, 0.9 + 0.3 * len(bars)))


def plot_parts(title: str, adapters: Sequence[AdapterFigure], series: int) -> str:
    """A bar for the size of each adapter's part."""

    def draw(axes: Any, describe: Callable[[str], str]) -> None:
        for n, own in enumerate(adapters):
            (bar,) = axes.barh(n, own.n_samples or 0, height=0.62, color=_colour(series))
            bar.set_gid(describe(f"{own.label}: {own.n_samples} samples"))
            axes.annotate(
                f"{own.n_samples}", (own.n_samples or 0, n), xytext=(4, 0), textcoords="offset points", va="center"
            )
        _bar_axes(axes, [own.label for own in adapters], "samples in its part")

    return _drawn(draw, title, size=(7.2, 0.9 + 0.3 * len(adapters)))


def _by_name(arms: Sequence[Arm]) -> dict[str, list[Arm]]:
    found: dict[str, list[Arm]] = {}
    for arm in sorted(arms, key=lambda arm: arm.temperature):
        found.setdefault(arm.name, []).append(arm)
    return found


def _bar_axes(axes: Any, labels: Sequence[str], x_label: str) -> None:
    axes.set_yticks(range(len(labels)), [_short(label) for label in labels])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(x_label)


def _legend(axes: Any, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Below the plot: points of any arm may lie anywhere in it."""
    from matplotlib.lines import Line2D

    if len(entries) > 1:
        handles = [Line2D([], [], label=name, lw=1.5, **style) for name, style in entries.items()]
        axes.figure.legend(handles=handles, loc="outside lower center", ncols=3)


def _colour(series: int) -> str:
    return f"#0500{series % N_SERIES:02d}"


def _style(series: int) -> dict[str, Any]:
    marker = _MARKERS[(series + series // N_SERIES) % len(_MARKERS)]
    return {"color": _colour(series), "marker": marker, "markersize": 7, "markeredgecolor": _SURFACE}


def _whisker(colour: str) -> dict[str, Any]:
    return {"fmt": "none", "ecolor": colour, "elinewidth": 1, "alpha": 0.45}


def _error(figure: Figure) -> list[list[float]]:
    """What is drawn below and above the mean; never negative, whatever rounding did."""
    return [[max(0.0, figure.mean - figure.low)], [max(0.0, figure.high - figure.mean)]]


def _said(figure: Figure) -> str:
    return f"{number(figure.mean)} {interval(figure)}"


def _short(label: str) -> str:
    """One short line; what no XML may hold is shown as a replacement character."""
    label = "".join(character if character.isprintable() else "\ufffd" for character in label)
    return label if len(label) <= _LABEL_CHARS else f"{label[: _LABEL_CHARS - 1]}…"


def _drawn(draw: Callable[[Any, Callable[[str], str]], None], title: str, *, size: tuple[float, float]) -> str:
    """The SVG of one pair of axes; `draw` gets them, and a function that gives a mark the words it is described by."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Drawing

    words: list[str] = []

    def describe(text: str) -> str:
        words.append(text)
        return f"described-{len(words) - 1}"

    drawn = io.BytesIO()
    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that its font lacks is the browser's to find
        drawing = Drawing(figsize=size, layout="constrained")
        draw(drawing.subplots(), describe)
        drawing.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(drawn.getvalue(), title, words)


def _for_page(drawn: bytes, title: str, words: Sequence[str]) -> str:
    """The drawing as an element of HTML: described, coloured by the page, with ids that no other drawing has."""
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(drawn)
    for child in [child for child in root if child.tag.endswith("metadata")]:
        root.remove(child)
    own = hashlib.sha256(f"{title}{words}".encode("utf-8", "replace") + drawn).hexdigest()[:8]
    for element in list(root.iter()):
        described = element.attrib.get("id", "")
        if element.tag == f"{{{_SVG}}}g":  # all that is referred to is something else
            element.attrib.pop("id", None)
        if described.startswith("described-"):
            element.insert(0, _title(words[int(described.removeprefix("described-"))]))
        if (target := element.attrib.pop(_HREF, None)) is not None:
            element.set("href", target)
        for name, value in element.attrib.items():
            element.set(name, _own_id(name, _coloured(value), own))
    root.insert(0, _title(title))
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    return ElementTree.tostring(root, encoding="unicode").replace(f' xmlns="{_SVG}"', "", 1)


def _title(text: str) -> ElementTree.Element:
    found = ElementTree.Element(f"{{{_SVG}}}title")
    found.text = text
    return found


def _own_id(name: str, value: str, own: str) -> str:
    if name == "id":
        return f"{own}-{value}"
    return re.sub(r"^#|(?<=url\(#)", lambda found: f"{found[0]}{own}-", value) if "#" in value else value


def _coloured(value: str) -> str:
    for placeholder, name in _VARIABLES.items():
        value = value.replace(placeholder, f"var(--{name})")
    return re.sub(r"#0500(\d\d)", lambda found: f"var(--series-{int(found[1])})", value)
