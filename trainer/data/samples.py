"""Samples: read from OSS-Instruct rows into the store, out of it in a stable order, and cut into training items.

An item is what a model is trained on: `prefix` (and `suffix`) in, `completion` out. Infill items come in two shapes:

- lines (most): the middle is whole lines with their indentation and last newline; the suffix starts on the next line.
  This is how infilling benchmarks put the question.
- editor: the cursor stands after the auto-indentation and the rest of the line is empty: the indentation belongs to the
  prefix, the middle has no last newline, the suffix starts with it (or is empty at the end of the file).

Half of both have been typed on since: the cursor stands at any character of the middle's first half, inside a word as
likely as not, and what has been typed since the prompt was anchored, at any character too, is `begun`. What an adapter
learns there is to go on with half a line (fragment tokenization in EFIM, arXiv:2505.21889).

Tokens are not counted here; whoever trains skips what is too long.
"""

import json
import math
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from sqlite_utils import Database

from spa_lsp.completion import Layout
from spa_lsp.storage.store import transaction
from trainer.configs import ItemsConfig
from trainer.data.fences import plain_lines
from trainer.data.middles import Span, body_spans, code_of, line_spans, python_code_of, text_spans
from trainer.data.row_files import MAX_LINE_BYTES, MAX_LINE_CHARACTERS, OnBytes, digest_of, json_lines, row_files
from trainer.rows.records import content_id

MAX_BEGUN = 60  # characters; then the server anchors anew
_T = TypeVar("_T")
_FIELDS = ("lang", "problem", "solution")
_MAX_LANG = 80
WEIGHT, BEFORE, ACCEPTED = "sample_weight", "accepted_after", "accepted_text"  # that a row may have besides
_COLUMNS = (
    f"id, lang, problem, solution, ifnull(json_extract(extra, '$.{WEIGHT}'), 1.0) AS weight,"
    f" ifnull(json_extract(extra, '$.{BEFORE}'), '') AS before,"
    f" ifnull(json_extract(extra, '$.{ACCEPTED}'), '') AS accepted"
)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One training pair; `id` is the digest of the next three.

    `weight` says how much it counts beside others. What was `accepted` at a cursor, with what stood `before` it, is
    learned as just that.
    """

    id: str
    lang: str
    problem: str
    solution: str
    weight: float = 1.0
    before: str = ""
    accepted: str = ""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing to learn: `completion` after `prefix` and `begun` (before `suffix`); see `CompletionRequest`.

    For `instruct`, `prefix` is the problem.
    """

    id: str
    sample_id: str
    layout: Layout
    prefix: str
    suffix: str
    completion: str
    begun: str = ""


@dataclass(frozen=True, kw_only=True)
class BadLine:
    """A line that was left out, and why."""

    line: int  # 1-based
    reason: str


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What an import did. `n_known` counts samples seen before, also those that differ only in white space."""

    dataset_id: str
    n_new: int
    n_known: int
    bad: tuple[BadLine, ...]


def import_file(db: Database, path: Path, *, limit: int | None = None, on_bytes: OnBytes | None = None) -> ImportReport:
    """Read a file, or a data set's folder, into the store: all or nothing but for bad lines, which are left out.

    A sample whose problem or solution is known but for white space is not added again (Magicoder's own rule); of what
    was accepted both must be known. At most `limit` good lines are read; `on_bytes` is told after each line how many
    bytes it had. A number that is not finite becomes null.

    Raises:
        NotFound: no such file.
        BadInput: not readable, or without any row. Unavailable: it needs the extra `hub`.
    """
    files = row_files(path)
    file_sha256 = digest_of(files)
    n_new = n_known = 0
    bad: list[BadLine] = []
    with transaction(db):
        _insert_dataset(db, file_sha256, path, files)
        for number, line in json_lines(files, on_bytes):
            if limit is not None and n_new + n_known >= limit:
                break
            try:
                is_new = _insert_sample(db, file_sha256, _parse_line(line))
            except ValueError as error:
                bad.append(BadLine(line=number, reason=str(error)))
                continue
            n_new, n_known = n_new + is_new, n_known + (not is_new)
        if n_new:  # what is new to all stages is as new as this call, though the file may have been read in part before
            db.execute("UPDATE datasets SET imported = ? WHERE id = ?", [_now(), file_sha256])
        _forget_empty_dataset(db, file_sha256)
    return ImportReport(dataset_id=file_sha256, n_new=n_new, n_known=n_known, bad=tuple(bad))


def load_samples(db: Database, *, language: str | None = "python", limit: int | None = None) -> list[Sample]:
    """Samples in the order of their import; `language` None means all."""
    rows = db.query(
        f"SELECT {_COLUMNS} FROM samples WHERE (:language IS NULL OR lang = :language) ORDER BY n LIMIT :limit",
        {"language": language, "limit": -1 if limit is None else limit},
    )
    return [Sample(**row) for row in rows]


def count_samples(db: Database, *, language: str, limit: int | None = None) -> int:
    """How many `load_samples` would load."""
    n_samples = db.table("samples").count_where("lang = ?", [language])
    return n_samples if limit is None else min(n_samples, limit)


def samples_by_id(db: Database, sample_ids: Sequence[str]) -> list[Sample]:
    """These samples in this order.

    Raises:
        KeyError: one is not in the store.
    """
    query = f"SELECT {_COLUMNS} FROM samples WHERE id IN (SELECT value FROM json_each(?))"
    found = {row["id"]: Sample(**row) for row in db.query(query, [json.dumps(list(sample_ids))])}
    return [found[sample_id] for sample_id in sample_ids]


def weights_digest(samples: Iterable[Sample]) -> str | None:
    """What tells the weights of these samples; None where all count alike."""
    weights = [[sample.id, sample.weight] for sample in samples if sample.weight != 1]
    return content_id(sorted(weights)) if weights else None


def split_holdout(samples: Sequence[Sample], *, config: ItemsConfig, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Samples to train on, and `config.holdout` samples (at most a fifth) never trained on, both in their order.

    Chosen by digest of the problem, so that a sample stays held out while others are imported, as far as the count
    allows. All solutions of one problem are held out together, by every part of a partition that gives each its own.
    """
    n_held = min(config.holdout, len(samples) // 5)
    of_problem: dict[str, list[str]] = {}
    for sample in samples:
        of_problem.setdefault(sample.problem, []).append(sample.id)
    held: set[str] = set()
    for problem in sorted(of_problem, key=lambda problem: content_id([seed, problem])):
        own = of_problem[problem]
        if len(held) + len(own) <= n_held:
            held.update(own)
    train = [sample for sample in samples if sample.id not in held]
    return train, [sample for sample in samples if sample.id in held]


def spread(items: Sequence[_T], n: int) -> list[_T]:
    """At most `n` of the items, from all over them."""
    n = min(n, len(items))
    return [items[len(items) * place // n] for place in range(n)]


def make_items(sample: Sample, *, config: ItemsConfig, seed: int) -> list[Item]:
    """The training items of one sample, always the same for a seed: infill items, then at most one instruct item.

    The first infill item is a whole function body, the others are spans of lines; a sample without such code has none.
    Of code that was accepted there is one, which asks for just that.
    """
    if sample.accepted and config.infill_share > 0:
        return [_item(sample, "infill", sample.before, "", sample.accepted)]
    rng = Random(f"{seed}:{sample.id}")
    n_infill, is_instruct = _plan(config, rng)
    middles = _choose_middles(sample, n_infill, config, rng)
    items = [_infill_item(sample, code, span, config, rng) for code, span in middles]
    problem, solution = plain_lines(sample.problem), plain_lines(sample.solution)  # an older import kept `\\r`
    return [*items, _item(sample, "instruct", problem, "", solution)] if is_instruct else items


def _plan(config: ItemsConfig, rng: Random) -> tuple[int, bool]:
    """How many infill items, and whether an instruct item, so that the share is met on average."""
    share, most = config.infill_share, config.infill_per_sample
    n_per_instruct = most if share >= 1 else share / (1 - share)  # infill items for each instruct item
    if n_per_instruct >= most:
        return most, share < 1 and rng.random() < most / n_per_instruct
    whole = int(n_per_instruct)
    return whole + (rng.random() < n_per_instruct - whole), True


def _choose_middles(sample: Sample, n: int, config: ItemsConfig, rng: Random) -> list[tuple[str, Span]]:
    if n == 0:
        return []
    if sample.lang != "python":
        blocks = code_of(sample.solution, sample.lang)
        return [(blocks[0], span) for span in _pick(text_spans(blocks[0]), n, rng)] if blocks else []
    parsed = python_code_of(sample.solution)
    if parsed is None:
        return []
    code, tree = parsed
    chosen = _pick(body_spans(tree, code), 1, rng)
    while len(chosen) < n:
        is_single = rng.random() < config.single_line_share
        spans = line_spans(tree, code, lengths=range(1, 2)) if is_single else line_spans(tree, code)
        more = _pick([span for span in spans if span not in chosen], 1, rng)
        if not more:
            break
        chosen += more
    return [(code, span) for span in chosen]


def _pick(spans: list[Span], n: int, rng: Random) -> list[Span]:
    return rng.sample(spans, min(n, len(spans)))


def _infill_item(sample: Sample, code: str, span: Span, config: ItemsConfig, rng: Random) -> Item:
    lines = code.split("\n")
    before = "".join(f"{line}\n" for line in lines[: span.first - 1])
    middle = "\n".join(lines[span.first - 1 : span.last])
    after = "\n".join(lines[span.last :])
    if rng.random() < config.editor_share:
        text = middle.lstrip(" \t")
        indentation = middle[: len(middle) - len(text)]
        before, middle, after = before + indentation, text, f"\n{after}" if after.strip() else ""
    else:
        middle += "\n"
    begun = ""
    if rng.random() < config.typed_share:
        before, begun, middle = _type_on(before, middle, rng)
    return _item(sample, "infill", before, after, middle, begun=begun)


def _type_on(prefix: str, middle: str, rng: Random) -> tuple[str, str, str]:
    """Prefix, begun and completion some keys later; for half of them the prompt has just been anchored."""
    text = prefix + middle
    cursor = len(prefix) + rng.randint(0, len(middle) // 2)
    anchor = max(0, cursor - rng.choice((0, rng.randint(1, MAX_BEGUN))))
    return text[:anchor], text[anchor:cursor], text[cursor:]


def _item(sample: Sample, layout: Layout, prefix: str, suffix: str, completion: str, *, begun: str = "") -> Item:
    return Item(
        id=content_id([sample.id, layout, prefix, begun, suffix, completion]),
        sample_id=sample.id,
        layout=layout,
        prefix=prefix,
        suffix=suffix,
        completion=completion,
        begun=begun,
    )


def _parse_line(line: bytes) -> dict[str, Any]:
    """The row of a line; ValueError with the reason when it cannot be used."""
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"longer than {MAX_LINE_CHARACTERS} characters")
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1} of the line") from error
    if len(text) > MAX_LINE_CHARACTERS:
        raise ValueError(f"{len(text)} characters, longer than {MAX_LINE_CHARACTERS}")
    try:
        row = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos + 1}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or brackets without end
        raise ValueError(f"not JSON that can be read: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"not an object but {type(row).__name__}")
    for field in _FIELDS:
        _check_field(row, field)
    if not row["lang"].strip().isprintable() or len(row["lang"]) > _MAX_LANG:  # commands print it
        raise ValueError("field 'lang' is not the name of a language")
    weight = row.get(WEIGHT, 1)
    if type(weight) not in (int, float) or not 0 <= weight <= sys.float_info.max:
        raise ValueError(f"field '{WEIGHT}' is {weight!r:.40}, not a finite number of 0 or more")
    for field in (BEFORE, ACCEPTED):
        _check_text(field, row.get(field, ""))
    return row


def _finite(written: str) -> float | None:
    """A number of a row; None for what JSON cannot say (`NaN` is how tables write what is missing) or a float hold."""
    number = float(written)
    return number if math.isfinite(number) else None


def _check_field(row: dict[str, Any], field: str) -> None:
    if field not in row:
        raise ValueError(f"field '{field}' is missing")
    _check_text(field, row[field])
    if not row[field].strip():
        raise ValueError(f"field '{field}' is empty")


def _check_text(field: str, value: object) -> None:
    if not isinstance(value, str):
        raise ValueError(f"field '{field}' is not text but {type(value).__name__}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"field '{field}' has half a surrogate pair")


def _insert_dataset(db: Database, dataset_id: str, path: Path, files: Sequence[Path]) -> None:
    n_bytes = sum(file.stat().st_size for file in files)
    name = os.fsencode(path.name).decode(errors="replace")  # Linux has names that are no text
    row = {"id": dataset_id, "name": name, "n_bytes": n_bytes, "imported": _now()}
    db.table("datasets").insert(row, ignore=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _forget_empty_dataset(db: Database, dataset_id: str) -> None:
    db.execute("DELETE FROM datasets WHERE id = ? AND id NOT IN (SELECT dataset_id FROM dataset_samples)", [dataset_id])


def _insert_sample(db: Database, dataset_id: str, row: dict[str, Any]) -> bool:
    """Add the sample and its place in the data set; False when it was known.

    All solutions of one problem are kept. A solution that is known of another problem is not, and so in no data set: to
    forget the known one must not be prevented by it. Of what was accepted it is learned at every cursor.
    """
    lang, problem, solution = row["lang"].strip().lower(), plain_lines(row["problem"]), plain_lines(row["solution"])
    keys = {"problem_key": content_key(problem), "solution_key": content_key(solution)}
    is_same = "problem_key = :problem_key AND solution_key = :solution_key"
    is_known = is_same if row.get(ACCEPTED) else "solution_key = :solution_key"
    query = f"SELECT id, {is_same} AS is_same FROM samples WHERE {is_known}"
    known = next(db.query(f"{query} ORDER BY is_same DESC, n LIMIT 1", keys), None)
    sample_id = content_id([lang, problem, solution]) if known is None else str(known["id"])
    if known is None:
        extra = json.dumps({name: value for name, value in row.items() if name not in _FIELDS}, allow_nan=False)
        fields = {"lang": lang, "problem": problem, "solution": solution}
        db.table("samples").insert({"id": sample_id, **fields, "extra": extra, **keys})
    elif known["is_same"] and WEIGHT in row:
        patch = json.dumps({WEIGHT: row[WEIGHT]}, allow_nan=False)
        db.execute("UPDATE samples SET extra = json_patch(extra, ?) WHERE id = ?", [patch, sample_id])
    if known is None or known["is_same"]:
        db.table("dataset_samples").insert({"dataset_id": dataset_id, "sample_id": sample_id}, ignore=True)
    return known is None


def content_key(text: str) -> str:
    """Equal for texts that differ in white space only."""
    return content_id(" ".join(text.split()))
