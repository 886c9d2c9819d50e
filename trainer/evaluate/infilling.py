"""The infilling benchmark: k completions for each problem, their verdicts and figures. Loads no model itself."""

import logging
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from spa_lsp.completion import Alternative, Completer, CompletionRequest
from spa_lsp.errors import Unavailable
from trainer.evaluate import bootstrap, metrics
from trainer.evaluate.checkpoint import Row, append_row, check_same_model, read_checkpoint
from trainer.evaluate.judge import Verdict, judge
from trainer.evaluate.normalize import ast_key
from trainer.evaluate.problems import Problem
from trainer.evaluate.sandbox import require_sandbox

logger = logging.getLogger(__name__)

# adapters: one row per adapter · base-sampled: k rows of the base at a temperature · base-greedy: one row of the base
Arm = Literal["adapters", "base-sampled", "base-greedy"]


@dataclass(frozen=True, kw_only=True)
class JudgedRow:
    """A row with a key (`normalize.ast_key`) and a verdict for each of its alternatives."""

    row: Row
    keys: tuple[str | None, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def alternatives(self) -> tuple[Alternative, ...]:
        """The alternatives in the order of keys and verdicts."""
        return self.row.answer.alternatives

    @property
    def passes(self) -> list[bool]:
        """Which alternatives pass; an adapter that was disabled never does, though nothing may complete a program."""
        pairs = zip(self.alternatives, self.verdicts, strict=True)
        return [verdict.kind == "pass" and item.finish != "disabled" for item, verdict in pairs]


@dataclass(frozen=True, kw_only=True)
class Report:
    """All rows and the figures over them; each figure is `{"mean", "standard_error"}` over problems."""

    rows: tuple[JudgedRow, ...]
    figures: dict[str, Any]


def evaluate_infilling(
    completer: Completer,
    problems: Sequence[Problem],
    *,
    arm: Arm,
    k: int,
    temperature: float,
    top_p: float = 0.95,
    max_tokens: int = 96,
    seed: int,
    checkpoint_path: Path,
    subject: Mapping[str, Any] | None = None,
    on_row: Callable[[Row], None] | None = None,
) -> Report:
    """Complete every problem, then judge; a broken evaluation goes on at the problem where it broke.

    Args:
        completer: answers with text that is cut already, as a user would get it.
        problems: from `problems.load_infilling`; one more or less does not change the rows of the others.
        arm: `base-greedy` ignores `k` and `temperature`.
        k: rows per problem.
        temperature: 0 is greedy.
        top_p: for sampling.
        max_tokens: of one completion.
        seed: for sampling; every problem gets its own from it.
        checkpoint_path: JSON Lines; written after each problem, read at the start.
        subject: what else must be equal for rows of the checkpoint to be kept, as the sha256 of the adapters.
        on_row: called for each problem, those of the checkpoint too.

    Raises:
        BadInput: the checkpoint belongs to other settings.
        Unavailable: there is no working sandbox, found out before the first completion.
    """
    sandbox = require_sandbox()
    sampling = {"temperature": temperature, "top_p": top_p, "k": k}
    if arm == "base-greedy":
        sampling = {"temperature": 0.0, "top_p": 1.0, "k": 1}
    settings = {"arm": arm, **sampling, "max_tokens": max_tokens, "seed": seed, "subject": dict(subject or {})}
    rows = _complete_all(completer, problems, settings, checkpoint_path=checkpoint_path, on_row=on_row)
    logger.info("%d problems completed, judging", len(rows))
    judged = [_judge(problem, row) for problem, row in zip(problems, rows, strict=True)]
    _require_verdicts(judged, checkpoint_path)
    return Report(rows=tuple(judged), figures={**settings, "sandbox": sandbox, **_figures(judged, arm)})


def values_per_problem(rows: Sequence[JudgedRow]) -> dict[str, list[float]]:
    """The figures of each problem by name, in order: what `bootstrap.paired_bootstrap` compares between two arms."""
    each = [_values(row) for row in rows]
    return {name: [values[name] for values in each] for name in each[0]}


def _complete_all(
    completer: Completer,
    problems: Sequence[Problem],
    settings: Mapping[str, Any],
    *,
    checkpoint_path: Path,
    on_row: Callable[[Row], None] | None,
) -> list[Row]:
    known = read_checkpoint(checkpoint_path, settings)
    rows: list[Row] = []
    for problem in problems:
        row = known.get(problem.task_id)
        if row is None:
            row = _complete(completer, problem, settings)
            check_same_model(row, rows, checkpoint_path)
            append_row(checkpoint_path, row)
        rows.append(row)
        if on_row:
            on_row(row)
    return rows


def _complete(completer: Completer, problem: Problem, settings: Mapping[str, Any]) -> Row:
    request = CompletionRequest(
        prefix=problem.prefix,
        suffix=problem.suffix,
        k=settings["k"],
        use_base=settings["arm"] != "adapters",
        max_tokens=settings["max_tokens"],
        stop="multi",
        temperature=settings["temperature"],
        top_p=settings["top_p"],
        seed=settings["seed"] ^ zlib.crc32(problem.task_id.encode()),  # not its place, which changes with --limit
    )
    started = time.monotonic()
    answer = completer.complete(request)
    if not answer.alternatives:
        raise Unavailable(f"no completion came back for {problem.task_id}; run again to go on there")
    return Row(task_id=problem.task_id, seconds=time.monotonic() - started, answer=answer)


def _judge(problem: Problem, row: Row) -> JudgedRow:
    alternatives = row.answer.alternatives
    keys = (
        None if item.finish == "disabled" else ast_key(problem.program(item.text), problem.entry_point)
        for item in alternatives
    )
    verdicts = judge(problem, [item.text for item in alternatives])
    return JudgedRow(row=row, keys=tuple(keys), verdicts=tuple(verdicts))


def _require_verdicts(rows: Sequence[JudgedRow], checkpoint_path: Path) -> None:
    failed = [verdict.error for row in rows for verdict in row.verdicts if verdict.kind == "sandbox_error"]
    if failed:
        raise Unavailable(
            f"the sandbox failed on {len(failed)} programs (first: {failed[0]}); "
            f"run again, the completions are kept in {checkpoint_path}"
        )


def _figures(rows: Sequence[JudgedRow], arm: Arm) -> dict[str, Any]:
    answer = rows[0].row.answer
    estimates = {name: asdict(bootstrap.estimate(values)) for name, values in values_per_problem(rows).items()}
    by_adapter = {"pass_at_1_by_adapter": _pass_by_adapter(rows)} if arm == "adapters" else {}
    verdicts = Counter(verdict.kind for row in rows for verdict in row.verdicts)
    model = {name: getattr(answer, name) for name in ("base", "adapter_set", "quantization", "device")}
    return {**model, "n_problems": len(rows), **estimates, **by_adapter, "verdicts": dict(verdicts)}


def _values(row: JudgedRow) -> dict[str, float]:
    return {
        "distinct_exact": metrics.distinct_at_k([item.text for item in row.alternatives]),
        "distinct_ast": metrics.distinct_at_k(row.keys),
        "pass_at_1": metrics.pass_at_1(row.passes),
        "pass_at_k": float(metrics.pass_any(row.passes)),
        "dc_at_k": metrics.dc_at_k(row.keys, row.passes),
        "stops_share": metrics.stops_share([item.finish for item in row.alternatives]),
        "parse_share": metrics.parse_share(row.keys),
        "seconds": row.row.seconds,
    }


def _pass_by_adapter(rows: Sequence[JudgedRow]) -> dict[str, dict[str, float | None]]:
    passes: dict[str, list[float]] = {}
    for row in rows:
        for item, has_passed in zip(row.alternatives, row.passes, strict=True):
            passes.setdefault(item.adapter, []).append(float(has_passed))
    return {adapter: asdict(bootstrap.estimate(values)) for adapter, values in passes.items()}
