"""Problems of HumanEval-Infilling (Bavarian et al. 2022, MIT): reading, checking, choosing. Runs and judges nothing."""

import gzip
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spa_lsp.errors import BadInput, Damaged, NotFound

Layout = Literal["infill", "instruct", "choice"]
InfillingKind = Literal["multi", "single"]

FOLDER = "human-eval-infilling"
# openai/human-eval-infilling at 88062ff9, folder data/
FILES: dict[InfillingKind, tuple[str, str]] = {
    "multi": (
        "HumanEval-MultiLineInfilling.jsonl.gz",
        "2f341612eee1d35da1357a4f365e0c0b3ba6e2b62eb491e88aaefa4855af0349",
    ),
    "single": (
        "HumanEval-SingleLineInfilling.jsonl.gz",
        "1277073e7ddce163ef68598c2bca777f688a53df99422f097e37362090f88e1f",
    ),
}
HOW_TO_GET = (
    "get the *.jsonl.gz files of https://github.com/openai/human-eval-infilling (folder data/, commit 88062ff9) "
    f"into DIR/{FOLDER}/ and pass --data DIR or set SPA_DATA=DIR"
)
MIDDLE_LINES = (2, 8)  # non-blank lines of a multi-line middle; longer ones no small base writes


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One gap in a known function. `prefix + solution + suffix` passes `check(entry_point)` of `test`."""

    task_id: str
    entry_point: str
    prefix: str
    suffix: str
    solution: str
    test: str
    benchmark: str = ""
    layout: Layout = "infill"
    instruction: str = ""  # what the chat turn asks

    def program(self, completion: str) -> str:
        """The module's text with the gap filled, exactly as an editor would have it."""
        return self.prefix + completion + self.suffix


def load_infilling(data_dir: Path, kind: InfillingKind = "multi", n: int = 60, seed: int = 0) -> list[Problem]:
    """One problem each of `n` different HumanEval tasks, chosen by `seed`; for `multi` with middles of 2-8 lines.

    Raises:
        NotFound: the file is not there; says how to get it.
        Damaged: it is not the published file.
        BadInput: `n` is more than there are tasks (127 for `multi`, 164 for `single`).
    """
    problems = [_problem(row, kind) for row in _read(data_dir, kind)]
    if kind == "multi":
        problems = [problem for problem in problems if _is_middle_in_range(problem)]
    return choose(problems, n=n, seed=seed)


def choose(problems: Sequence[Problem], *, n: int, seed: int) -> list[Problem]:
    """`n` tasks without repetition, then one of the problems of each; the same for the same seed."""
    by_task = _group_by_task(problems)
    if not 0 < n <= len(by_task):
        raise BadInput(f"cannot choose {n} problems: there are {len(by_task)} tasks, one problem is taken of each")
    rng = random.Random(seed)
    tasks = rng.sample(list(by_task), n)
    return [rng.choice(by_task[task]) for task in tasks]


def _read(data_dir: Path, kind: InfillingKind) -> list[dict[str, Any]]:
    name, expected = FILES[kind]
    path = data_dir / FOLDER / name
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise NotFound(f"cannot read {path} ({error.strerror}); {HOW_TO_GET}") from error
    got = hashlib.sha256(packed).hexdigest()
    if got != expected:
        raise Damaged(f"{path} has sha256 {got}, expected {expected}; {HOW_TO_GET}")
    return [json.loads(line) for line in gzip.decompress(packed).splitlines()]


def _problem(row: Mapping[str, Any], kind: InfillingKind) -> Problem:
    return Problem(
        task_id=row["task_id"],
        entry_point=row["entry_point"],
        prefix=row["prompt"],
        suffix=row["suffix"],
        solution=row["canonical_solution"],
        test=row["test"],
        benchmark=f"infilling-{kind}",
    )


def _is_middle_in_range(problem: Problem) -> bool:
    low, high = MIDDLE_LINES
    return low <= sum(bool(line.strip()) for line in problem.solution.split("\n")) <= high


def _group_by_task(problems: Sequence[Problem]) -> dict[str, list[Problem]]:
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        task = problem.task_id.rsplit("/", 1)[0]  # "MultiLineInfilling/HumanEval/0/L0_L5" without its lines
        groups.setdefault(task, []).append(problem)
    return groups
