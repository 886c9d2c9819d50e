"""What the stages print: one record as JSON-able data or as text. Pure; the printing is the commands'."""

from typing import Any

from spa_lsp.progress import BYTES, format_amount, format_seconds
from trainer.data.samples import ImportReport
from trainer.rows.runs import StageResult, run_record

_MAX_BAD_LINES = 20  # in the text; the JSON has all
_ID_LENGTH = 12


def result_json(result: ImportReport | StageResult) -> dict[str, Any]:
    """One object per stage; every one has `stage` and `was_done`."""
    if isinstance(result, ImportReport):
        bad = [{"line": bad.line, "reason": bad.reason} for bad in result.bad]
        counts = {"new": result.n_new, "known": result.n_known, "bad": bad}
        return {"stage": "import", "was_done": result.n_new == 0, "dataset_id": result.dataset_id, **counts}
    return {"was_done": result.was_done, **run_record(result.run)}


def result_text(result: ImportReport | StageResult) -> str:
    """A line for the stage and a few below it."""
    if isinstance(result, ImportReport):
        return "\n".join(_import_lines(result))
    run = result.run
    how = "already done" if result.was_done else "done"
    return "\n".join(
        [f"{run.stage}: {how} (run {run.id[:_ID_LENGTH]})", *(f"  {line}" for line in _figure_lines(run_record(run)))]
    )


def status_text(status: dict[str, Any]) -> str:
    """The data sets, the samples by language and every run, oldest first."""
    if not status["datasets"] and not status["runs"]:
        return "nothing yet; start with: trainer import FILE"
    lines = [
        f"{row['name']}: {row['n_samples']} samples, {format_amount(row['n_bytes'], BYTES)}"
        for row in status["datasets"]
    ]
    lines.append("samples: " + ", ".join(f"{n} {lang}" for lang, n in status["samples"].items()))
    for run in status["runs"]:
        lines += ["", _run_line(run), *(f"  {line}" for line in _figure_lines(run))]
    return "\n".join(lines)


def _import_lines(report: ImportReport) -> list[str]:
    lines = [f"import: {report.n_new} new samples, {report.n_known} known, {len(report.bad)} lines left out"]
    lines += [f"  line {bad.line}: {bad.reason}" for bad in report.bad[:_MAX_BAD_LINES]]
    n_more = len(report.bad) - _MAX_BAD_LINES
    return [*lines, f"  and {n_more} more; --json lists all"] if n_more > 0 else lines


def _run_line(run: dict[str, Any]) -> str:
    state = (
        f"finished in {format_seconds(run['seconds'])}" if run["is_finished"] else "not finished; the same call resumes"
    )
    return f"{run['stage']} {run['id'][:_ID_LENGTH]}: {state}, started {run['started'][:19]}"


def _figure_lines(run: dict[str, Any]) -> list[str]:
    figures = run["figures"]
    if not run["is_finished"]:
        return []
    if run["stage"] == "attribute":
        return _attribute_lines(figures)
    if run["stage"] == "partition":
        return _partition_lines(figures)
    plain = {name: value for name, value in figures.items() if isinstance(value, (str, int, float))}
    return [f"{name} {_number(value)}" for name, value in plain.items()]


def _attribute_lines(figures: dict[str, Any]) -> list[str]:
    counts = f"{figures['n_samples']} samples, {figures['n_skipped']} left out"
    anchors = (
        f"{len(figures['anchors'])} anchors of {figures['n_items']} items, correlation {figures['correlation']:.2f}"
    )
    return [f"{figures['method']}: {counts}", anchors]


def _partition_lines(figures: dict[str, Any]) -> list[str]:
    sizes = ", ".join(f"{name} {n}" for name, n in figures["sizes"].items())
    stability, chance = _share(figures["stability"]), _share(figures.get("stability_by_chance"))
    known = figures["moved_share"] is not None
    moved = f", not with their best anchor {figures['moved_share']:.0%}" if known else ""
    return [sizes, f"stability {stability} ({chance} by chance){moved}"]


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
