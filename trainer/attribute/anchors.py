"""The anchors: eight approaches to the same eight everyday tasks, in our own words and taken from no benchmark.

An anchor is a way to write, not a topic: the paper's one query per part splits the samples by topic, but whoever asks
for alternatives has one task and wants other ways to solve it. Several queries per anchor carry several times the
signal of one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from spa_lsp.adapters.manifest import check_label, check_name
from spa_lsp.completion import Layout
from spa_lsp.errors import BadInput, NotFound
from trainer.data.samples import Item
from trainer.partition.solutions import tasks_of
from trainer.rows.records import content_id

_BUNDLED = "anchors.jsonl"
_MIN_ITEMS = 3  # one query is a noisy anchor


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """One part's name (also its adapter's name), its label for people, and its query items with what they are about."""

    name: str
    label: str
    items: tuple[Item, ...]
    tasks: tuple[str, ...] = ()  # of each item; "" where the file does not say


def load_anchors(path: Path | None = None) -> list[Anchor]:
    """The bundled anchors, or those of a JSONL file in the same form, in the order of the file.

    Raises:
        NotFound: there is no such file.
        BadInput: a line is not an anchor item, or the anchors do not all have the same number of items, at least three.
    """
    rows = [_parse(number, line) for number, line in enumerate(_text(path).splitlines(), start=1) if line.strip()]
    names = list(dict.fromkeys(row["anchor"] for row in rows))
    anchors = [_anchor(name, [row for row in rows if row["anchor"] == name]) for name in names]
    _check(anchors)
    return anchors


def anchors_digest(anchors: Sequence[Anchor], *, has_tasks: bool = False) -> str:
    """Digest of all that attribution reads of the anchors; of their tasks only where these count."""
    read = [[anchor.name, anchor.label, *(item.id for item in anchor.items)] for anchor in anchors]
    return content_id([read, [anchor.tasks for anchor in anchors]] if has_tasks else read)


def anchor_tasks(anchors: Sequence[Anchor]) -> list[list[int]]:
    """The items of each task, by number over all anchors: their mean is what the task has in common.

    Raises:
        BadInput: an item has no task, or no other item has the same.
    """
    tasks = [task for anchor in anchors for task in anchor.tasks or [""] * len(anchor.items)]
    groups = tasks_of(tasks)
    alone = [tasks[group[0]] for group in groups if len(group) == 1]
    if "" in tasks or alone:
        what = "some have none" if "" in tasks else f"{alone[0]!r} has one item"
        raise BadInput(f"--differences needs anchors that share their tasks, but {what}; give items of one task a task")
    return groups


def item_text(item: Item) -> str:
    """All words of a query item, for lexical attribution."""
    return f"{item.prefix}{item.begun}{item.completion}{item.suffix}"


def _text(path: Path | None) -> str:
    if path is None:
        return resources.files(__package__).joinpath(_BUNDLED).read_text(encoding="utf-8")
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}; give a JSONL file of anchors or leave the option out") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as UTF-8 text ({error})") from error


def _parse(number: int, line: str) -> dict[str, Any]:
    fields = ("anchor", "label", "instruction", "layout", "prefix", "suffix", "completion")
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BadInput(f"anchors, line {number}: not JSON ({error})") from error
    missing = [field for field in fields if not isinstance(row, dict) or not isinstance(row.get(field), str)]
    if missing:
        raise BadInput(f"anchors, line {number}: {', '.join(missing)} must be there and be text")
    if row["layout"] not in ("infill", "instruct"):
        raise BadInput(f"anchors, line {number}: the layout is {row['layout']!r}; choose infill or instruct")
    return dict(row)


def _check(anchors: list[Anchor]) -> None:
    if not anchors:
        raise BadInput("there are no anchors; give a JSONL file with at least three items for each anchor")
    wanted = max(_MIN_ITEMS, len(anchors[0].items))
    for anchor in anchors:
        check_name(anchor.name, what="anchor")  # it becomes an adapter's name
        check_label(anchor.label, of=anchor.name)
        if len(anchor.items) != wanted:
            raise BadInput(
                f"anchor '{anchor.name}' has {len(anchor.items)} items; "
                f"give every anchor the same number, at least {_MIN_ITEMS}"
            )


def _anchor(name: str, rows: list[dict[str, Any]]) -> Anchor:
    items, tasks = tuple(_item(row) for row in rows), tuple(str(row.get("task", "")) for row in rows)
    return Anchor(name=name, label=rows[0]["label"], items=items, tasks=tasks)


def _item(row: dict[str, Any]) -> Item:
    layout: Layout = row["layout"]
    prefix = row["instruction"] if layout == "instruct" else row["prefix"]
    item_id = content_id([row["anchor"], layout, prefix, row["suffix"], row["completion"]])
    return Item(
        id=item_id,
        sample_id=f"anchor:{row['anchor']}",
        layout=layout,
        prefix=prefix,
        suffix=row["suffix"],
        completion=row["completion"],
    )
