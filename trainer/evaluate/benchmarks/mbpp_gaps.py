"""Gaps in MBPP's solutions (Austin et al. 2021, CC-BY-4.0) that no benchmark has: to choose and fit by, not to report.

Of the tasks outside the test split and the prompts those that MBPP sanitized does not have either; MBPP+ is a part of
that. One gap each, drawn from the task's id: one line or two to eight, from a line's beginning or its indentation on.
"""

import ast
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spa_lsp.text.indentation import indentation
from spa_lsp.text.python_source import parse_or_raise
from trainer.evaluate.benchmarks.code import DATA, check_of, load_sanitized, tested_function
from trainer.evaluate.benchmarks.files import BenchmarkFile, check_rows, read
from trainer.evaluate.benchmarks.problems import MIDDLE_LINES, Problem

MBPP = BenchmarkFile(
    path="mbpp/mbpp.jsonl",
    sha256="5ce6c53a6a0bedd2ac670124617f229db941bd6e169a7d6e5a67ea6f585508ac",  # of the rows
    get=f"get mbpp/mbpp.jsonl of https://github.com/google-research/google-research into DIR/mbpp/ and {DATA}",
)
FIRST_ID = 511  # below are the prompts' examples and the test split
SINGLE_SHARE = 0.3
EDITOR_SHARE = 0.5  # of the gaps: the cursor stands behind the indentation
BAD = {927, 533, 601}  # the first one's solution fails on every Python 3; tests of the others pass what no text can be


def load_mbpp_gaps(data_dir: Path | None) -> list[Problem]:
    """A gap of every clean task, in the file's order.

    Raises:
        NotFound: a file is not there; says how to get it.
        Damaged: it is not the published one.
    """
    rows = [json.loads(line) for line in read(data_dir, MBPP).splitlines()]
    check_rows(data_dir, MBPP, rows)
    asked = {int(problem.task_id.removeprefix("MBPP/")) for problem in load_sanitized(data_dir)} | BAD
    return [_gap(row) for row in rows if row["task_id"] >= FIRST_ID and row["task_id"] not in asked]


def _gap(row: Mapping[str, Any]) -> Problem:
    """The solution below its task and its first test, with some whole lines of the tested function cut out."""
    code = row["code"].replace("\r\n", "\n").expandtabs(4)
    name = tested_function(code, row["test_list"][0])
    lines = code.rstrip().split("\n")
    start, end = _span(code, name, random.Random(row["task_id"]))
    head = "".join(f"# {line}\n" for line in (*row["text"].split("\n"), row["test_list"][0]) if line.strip())
    is_indented = random.Random(-row["task_id"]).random() < EDITOR_SHARE
    depth = indentation(lines[start]) if is_indented else 0
    return Problem(
        task_id=f"MBPP-gap/{row['task_id']}",
        entry_point=name,
        prefix=head + "".join(f"{line}\n" for line in lines[:start]) + lines[start][:depth],
        solution="\n".join(lines[start:end])[depth:] + "\n",
        suffix="".join(f"{line}\n" for line in lines[end:]),
        test=check_of(name, row["test_list"], [row["test_setup_code"]] if row["test_setup_code"] else []),
        benchmark="mbpp-gaps",
    )


def _span(code: str, name: str, rng: random.Random) -> tuple[int, int]:
    """The first line of the gap and the one behind it, counted from 0, within the body of the function."""
    found = [node for node in parse_or_raise(code).body if isinstance(node, ast.FunctionDef) and node.name == name]
    first, last = found[-1].body[0].lineno, found[-1].end_lineno
    assert last is not None
    low, high = (1, 1) if rng.random() < SINGLE_SHARE else MIDDLE_LINES
    n_lines = min(rng.randint(low, high), last - first + 1)
    start = rng.randint(first, last - n_lines + 1)
    return start - 1, start - 1 + n_lines
