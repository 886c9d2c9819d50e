"""What the stages print: one record as JSON-able data or as text. Pure; the printing is the commands'."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from spa_lsp.progress import BYTES, format_amount, format_seconds
from trainer.data.samples import ImportReport
from trainer.rows.records import read_record
from trainer.rows.runs import StageResult
from trainer.rows.stages import (
    ATTRIBUTE,
    CHECK,
    FINETUNE,
    PARTITION,
    SYNTHESIZE,
    AttributeFigures,
    CheckFigures,
    FinetuneFigures,
    PartitionFigures,
    SynthesizeFigures,
)

if TYPE_CHECKING:
    from trainer.pipeline.explain import PartView

_MAX_BAD_LINES = 20  # in the text; the JSON has all
_ID_LENGTH = 12


def result_json(result: ImportReport | StageResult[Any, Any, Any]) -> dict[str, Any]:
    """One object per stage; every one has `stage` and `was_done`."""
    if isinstance(result, ImportReport):
        bad = [{"line": bad.line, "reason": bad.reason} for bad in result.bad]
        counts = {"new": result.n_new, "known": result.n_known, "bad": bad}
        return {"stage": "import", "was_done": result.n_new == 0, "dataset_id": result.dataset_id, **counts}
    return {"was_done": result.was_done, **result.run.record}


def result_text(result: ImportReport | StageResult[Any, Any, Any]) -> str:
    """A line for the stage and a few below it."""
    if isinstance(result, ImportReport):
        return "\n".join(_import_lines(result))
    run = result.run.record
    how = "already done" if result.was_done else "done"
    return "\n".join(
        [f"{run['stage']}: {how} (run {run['id'][:_ID_LENGTH]})", *(f"  {line}" for line in _figure_lines(run))]
    )


def status_text(status: dict[str, Any]) -> str:
    """The data sets, the samples by language and every run, oldest first."""
    if not status["datasets"] and not status["runs"]:
        return "nothing yet; start with: trainer import FILE"
    lines = [f"{row['name']}: {row['n_samples']} samples{_size(row['n_bytes'])}" for row in status["datasets"]]
    lines.append("samples: " + ", ".join(f"{n} {lang}" for lang, n in status["samples"].items()))
    for row in status["forgotten"]:
        lines.append(f"set {row['name']} has learned of what was forgotten on {row['forgotten'][:10]}: train it anew")
    for run in status["runs"]:
        lines += ["", _run_line(run), *(f"  {line}" for line in _figure_lines(run))]
    stale = [
        f"{state['stage']} is to do: {'; '.join(state['reasons'])}" for state in status["stages"] if state["reasons"]
    ]
    lines += ["", *stale, f"next: {status['next']}" if status["next"] else "all is done; nothing is stale"]
    return "\n".join(lines)


def parts_text(parts: "Sequence[PartView]") -> str:
    """Each part with its terms, a few of its samples and a label to choose."""
    return "\n\n".join("\n".join(_part_lines(part)) for part in parts)


def _part_lines(part: "PartView") -> list[str]:
    terms = ", ".join(part.terms) or "no word sets it apart"
    label = [f"  a label that would fit: {part.proposed}"] if part.proposed else []
    means = [f"{mean.name} {mean.share:.0%} (elsewhere {mean.share_elsewhere:.0%})" for mean in part.means[:4]]
    return [f"{part.name} ({part.label}): {part.n_samples} samples", f"  {terms}",
            *([f"  by {', '.join(means)}"] if means else []), *label,
            *(f"  - {example}" for example in part.examples)]  # fmt: skip


def _import_lines(report: ImportReport) -> list[str]:
    lines = [f"import: {report.n_new} new samples, {report.n_known} known, {len(report.bad)} lines left out"]
    lines += [f"  line {bad.line}: {bad.reason}" for bad in report.bad[:_MAX_BAD_LINES]]
    n_more = len(report.bad) - _MAX_BAD_LINES
    return [*lines, f"  and {n_more} more; --json lists all"] if n_more > 0 else lines


def _run_line(run: dict[str, Any]) -> str:
    state = (
        f"finished in {format_seconds(run['seconds'])}" if run["is_finished"] else "not finished; the same call resumes"
    )
    return f"{run['stage']} {run['id'][:_ID_LENGTH]}: {state}, started {run['started'][:19]}{_size(run['n_bytes'])}"


def _size(n_bytes: int) -> str:
    return f", {format_amount(n_bytes, BYTES)}" if n_bytes else ""


def _figure_lines(run: dict[str, Any]) -> list[str]:
    figures = run["figures"]
    if not run["is_finished"]:
        return []
    if run["stage"] == ATTRIBUTE.name:
        return _attribute_lines(read_record(AttributeFigures, figures, of="the run"))
    if run["stage"] == SYNTHESIZE.name:
        return _synthesize_lines(read_record(SynthesizeFigures, figures, of="the run"))
    if run["stage"] == PARTITION.name:
        return _partition_lines(read_record(PartitionFigures, figures, of="the run"))
    if run["stage"] == CHECK.name:
        return _check_lines(read_record(CheckFigures, figures, of="the run"))
    if run["stage"] == FINETUNE.name:
        return [*_plain_lines(figures), *_curve_lines(read_record(FinetuneFigures, figures, of="the run"))]
    return _plain_lines(figures)


def _plain_lines(figures: dict[str, Any]) -> list[str]:
    plain = {name: value for name, value in figures.items() if isinstance(value, (str, int, float))}
    return [f"{name} {_number(value)}" for name, value in plain.items()]


def _curve_lines(figures: FinetuneFigures) -> list[str]:
    """The mean loss of all adapters at each point; of the held-out one, of those that have something held out."""
    lines = []
    for point in figures.curve:
        known = [loss for loss in point.held_out if not math.isnan(loss)]
        held_out = f", held out {fmean(known):.3f}" if known else ""
        lines.append(f"step {point.step}: loss {fmean(point.train):.3f}{held_out}")
    return lines


def _attribute_lines(figures: AttributeFigures) -> list[str]:
    counts = f"{figures.n_samples} samples, {figures.n_skipped} left out"
    anchors = f"{len(figures.anchors)} anchors of {figures.n_items} items, correlation {figures.correlation:.2f}"
    speed = [f"{figures.samples_per_s:.2f} samples/s"] if figures.samples_per_s else []
    return [f"{figures.method}: {counts}", anchors, *speed]


def _partition_lines(figures: PartitionFigures) -> list[str]:
    sizes = ", ".join(f"{name} {n}" for name, n in figures.sizes.items())
    lines = [sizes]
    if len(figures.sizes) > 1:  # of one part there is nothing to say
        share = figures.moved_share
        moved = "" if share is None else f", not with their best anchor {share:.0%}"
        by_chance = f"({_share(figures.stability_by_chance)} by chance)"
        lines.append(f"stability {_share(figures.stability)} {by_chance}{moved}")
    if figures.n_tasks:
        lines.append(f"a solution of each of {figures.n_tasks} tasks, of which {figures.n_tasks_of_two} have several")
    return [*lines, *([figures.advice] if figures.advice else [])]


def _check_lines(figures: CheckFigures) -> list[str]:
    parts = (f"{name} {'unknown' if value is None else f'{value:+.4f}'}" for name, value in figures.parts.items())
    what = (
        f"{figures.n_held_out} held-out samples of {figures.n_tasks} tasks, {figures.items_per_adapter} items learned"
    )
    return [
        f"{what}: loss {figures.held_out_mean:.3f}, of the base {figures.held_out_base:.3f}",
        f"by part {', '.join(parts)}",
        figures.verdict,
    ]


def _synthesize_lines(figures: SynthesizeFigures) -> list[str]:
    made = f"{figures.n_samples} samples of {figures.n_tasks} tasks, {figures.n_tasks_of_two} with two or more"
    lines = [f"{made}; {figures.n_by_model} solutions by the base; {figures.n_seeds} seeds tried"]
    lines.append("seeds: " + ", ".join(f"{outcome} {n}" for outcome, n in figures.outcomes.items()))
    if figures.left_out:
        lines.append("files: " + ", ".join(f"{reason} {n}" for reason, n in figures.left_out.items()))
    if figures.benchmarks_missing:
        lines.append(f"not compared with {', '.join(figures.benchmarks_missing)}, which are not here")
    if figures.tokens_per_s and figures.tasks_per_minute and figures.samples_per_minute:
        a_minute = f"{figures.tasks_per_minute:.2g} tasks and {figures.samples_per_minute:.2g} samples a minute"
        lines.append(f"{figures.tokens_per_s:.1f} tokens/s, {a_minute}")
    return lines


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
