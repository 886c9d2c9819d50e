"""The tables of a report: which figures stand where and how numbers are written; as rows, and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from trainer.report.exports import LEVELS, Arm, Comparison, Difference, Figure, Report

# the columns, in this order; one that no arm has is left out
TITLES = {
    "dc_exact": "DC@k, exact",
    "dc_ast": "DC@k, AST",
    "dc_near": "DC@k, near",
    "dc_approach": "DC@k, approach",
    "pass_first": "first shown right",
    "pass_lead": "lead right",
    "distinct_ast": "distinct, AST",
    "pass_at_1": "pass@1",
    "pass_at_1_min": "pass@1, least adapter",
    "pass_at_5": "pass@5",
    "pass_at_k": "pass@k",
    "utility_near": "utility@k, near",
    "accuracy_loglik": "accuracy, likeliest option",
    "diversity": "diversity",
    "average_kl": "average KL, nats",
    "parse_share": "parses",
    "stops_share": "stops by itself",
    "needs_share": "needs a package",
    "n_tokens": "tokens",
    "seconds": "s per problem",
}
LEGEND = (
    "DC@k counts the alternatives of k that pass the tests and differ from each other, at four levels; "
    "in brackets the 95 % bootstrap interval over problems."
)
MAIN_DIFFERENCES = (*(f"dc_{level}" for level in LEVELS), "pass_first", "pass_at_1")


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns by the names of their figures, and a row of cells for every arm; None for a figure that it has not."""

    names: Sequence[str]
    rows: Sequence[tuple[Arm, Sequence[Figure | None]]]


def main_table(comparison: Comparison) -> Table:
    """The figures people ask for."""
    return _table(comparison.arms, [name for name in TITLES if any(name in arm.figures for arm in comparison.arms)])


def full_table(comparison: Comparison) -> Table:
    """Every figure of the export."""
    return _table(comparison.arms, list(dict.fromkeys(name for arm in comparison.arms for name in arm.figures)))


def _table(arms: Sequence[Arm], names: Sequence[str]) -> Table:
    return Table(names=names, rows=[(arm, [arm.figures.get(name) for name in names]) for arm in arms])


def main_differences(comparison: Comparison) -> list[Difference]:
    """Of DC@k, the first one shown and pass@1."""
    return [own for own in comparison.differences if own.figure in MAIN_DIFFERENCES]


def is_clear(value: Figure) -> bool:
    """Whether the interval of a difference leaves out zero."""
    return value.low > 0 or value.high < 0


def title_of(name: str) -> str:
    """A figure's name for people."""
    return TITLES.get(name, name.replace("_", " "))


def number(value: float) -> str:
    """Three decimals below ten, as far as they say something; fewer above."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def interval(figure: Figure) -> str:
    """The bounds, in brackets."""
    return f"[{number(figure.low)}, {number(figure.high)}]"


def heading(comparison: Comparison) -> str:
    """What was asked of whom."""
    n = comparison.n_problems
    problems = "1 problem" if n == 1 else f"{n} problems"
    begun = f", --begun-chars {comparison.begun_chars}" if comparison.begun_chars else ""
    return f"{comparison.benchmark}, {problems}, {comparison.base} in {comparison.quantization}{begun}"


def markdown(report: Report) -> str:
    """The tables for a README."""
    return "\n\n".join([*(_markdown_table(comparison) for comparison in report.comparisons), LEGEND])


def _markdown_table(comparison: Comparison) -> str:
    table = main_table(comparison)
    head = ["arm", "k", *(title_of(name) for name in table.names)]
    rows = [[arm.title, str(arm.k), *map(_markdown_cell, cells)] for arm, cells in table.rows]
    title = f"**{_markdown_text(heading(comparison))}**"
    return "\n".join([title, "", _line(head), _line(["---"] * len(head)), *map(_line, rows)])


def _markdown_cell(figure: Figure | None) -> str:
    return "–" if figure is None else f"{number(figure.mean)} {interval(figure)}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_markdown_text(cell) for cell in cells)} |"


def _markdown_text(text: str) -> str:
    """Names come from a file: nothing in them ends a cell or is HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
