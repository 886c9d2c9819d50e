"""The answers of an evaluation as JSON Lines: settings first, then a row per problem, written once it is there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa_lsp.completion import CompletionResult, result_from_json
from spa_lsp.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the completer answered to one problem, and how long that took."""

    task_id: str
    seconds: float
    answer: CompletionResult


def read_checkpoint(path: Path, settings: Mapping[str, Any]) -> dict[str, Row]:
    """Rows by task; starts the file when there is none and cuts off a line that was not written to its end.

    Raises:
        BadInput: the file was begun with other settings, or is something else.
    """
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    if not whole:
        path.parent.mkdir(parents=True, exist_ok=True)
        _append(path, {"settings": settings})
        return {}
    return _parse(whole, path, settings)


def append_row(path: Path, row: Row) -> None:
    """Write one more row."""
    _append(path, {"task_id": row.task_id, "seconds": row.seconds, "answer": row.answer.to_json()})


def check_same_model(row: Row, earlier: Sequence[Row], path: Path) -> None:
    """Make sure that a new row comes from the model that the earlier ones came from.

    Raises:
        BadInput: it does not.
    """
    if earlier and _model(earlier[0]) != _model(row):
        before, now = ("/".join(_model(item)) for item in (earlier[0], row))
        raise BadInput(f"{path} holds answers of {before}, not of {now}; choose another --output or delete it")


def _parse(content: bytes, path: Path, settings: Mapping[str, Any]) -> dict[str, Row]:
    way_out = "choose another --output or delete it"
    try:
        head, *lines = [json.loads(line) for line in content.splitlines()]
        found, rows = head["settings"], [_to_row(line) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is not a checkpoint of an evaluation; {way_out}") from error
    if found != json.loads(json.dumps(settings)):
        raise BadInput(f"{path} was begun with {found}, not {dict(settings)}; {way_out}")
    return {row.task_id: row for row in rows}


def _model(row: Row) -> tuple[str, str, str]:
    return row.answer.base, row.answer.adapter_set, row.answer.quantization


def _append(path: Path, data: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(data) + "\n")


def _to_row(data: Mapping[str, Any]) -> Row:
    return Row(task_id=data["task_id"], seconds=data["seconds"], answer=result_from_json(data["answer"]))
