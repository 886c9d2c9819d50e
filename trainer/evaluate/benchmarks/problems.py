"""What a benchmark's problem is, and HumanEval-Infilling (Bavarian et al. 2022, MIT). Runs and judges nothing.

The other benchmarks are in `benchmarks`; `benchmarks.load.load_benchmark` has them all.
"""

import gzip
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from trainer.evaluate.benchmarks.files import BenchmarkFile, read_checked
from trainer.evaluate.sandbox.limits import Limits

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
INFILLING = tuple(f"infilling-{kind}" for kind in FILES)
MIN_BEGUN = 5  # characters behind an anchor
MIDDLE_LINES = (2, 8)  # non-blank lines of a multi-line middle; longer ones no small base writes
LIMITS = Limits(wall_s=20.0, cpu_s=8.0)  # the slowest known solution of MBPP takes 3 s of processor time


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One task of a benchmark; which fields it has depends on `layout`.

    infill: a gap between `prefix` and `suffix`. instruct: `instruction` asks for a function, `extract_code` makes the
    completion of the answer. For both `runnable(solution)` passes `check(candidate)` of `test`, where `candidate` is
    what the program calls `entry_point`. choice: `instruction` asks a question, `answer` is the right answer.
    """

    task_id: str
    entry_point: str = ""
    prefix: str = ""
    suffix: str = ""
    solution: str
    test: str = ""  # Python that defines check(candidate); trusted, never shown to the program
    probe: str = ""  # below the program when it is run: a function for tests to call, where they need another one
    function: str = ""  # what is compared, where that is not the entry point: `load`, or a method, `Store.load`
    limits: Limits = LIMITS  # of a completed program
    benchmark: str = ""
    layout: Layout = "infill"
    instruction: str = ""  # what the chat turn asks
    begun: str = ""  # what is given of the answer; of an infilling, what is typed since the anchor, behind the prefix
    stub: str = ""  # the code that an instruction shows: imports, helpers, signature; see `extract_code`
    options: tuple[str, ...] = ()  # labels an answer may begin with; empty: the answer is free text
    answer: str = ""  # one of the options, or the text itself
    likelihoods: tuple[tuple[str, str], ...] = ()  # per option (context, continuation), for log-likelihood scoring
    canary: str = ""  # belongs into every file that this problem's text is written to

    def program(self, completion: str) -> str:
        """The module's text with the gap filled, exactly as an editor would have it."""
        return self.before + completion + self.suffix

    def runnable(self, completion: str) -> str:
        """The program as the judge runs it, with what its test calls."""
        program = self.program(completion)
        return f"{program}\n\n{self.probe}" if self.probe else program

    @property
    def task(self) -> str:
        """What it shares with other problems of its benchmark: of HumanEval-Infilling a task, else it stands alone."""
        # "MultiLineInfilling/HumanEval/0/L0_L5" without its lines
        return self.task_id.rsplit("/", 1)[0] if self.benchmark in INFILLING else self.task_id

    @property
    def compared(self) -> str:
        """The function that completions are compared by."""
        return self.function or self.entry_point

    @property
    def before(self) -> str:
        """The program's text before the gap."""
        return self.prefix + self.begun if self.layout == "infill" else self.prefix


def anchor_back(problem: Problem, *, most: int) -> Problem:
    """The same gap with the last 5 to `most` characters before it typed since the prompt was anchored.

    How many is drawn from the task's name. Problems of other layouts have no anchor and come back as they are.
    """
    if problem.layout != "infill":
        return problem
    border = max(0, len(problem.prefix) - random.Random(problem.task_id).randint(MIN_BEGUN, most))
    return replace(problem, prefix=problem.prefix[:border], begun=problem.prefix[border:])


def eligible(problems: Sequence[Problem]) -> list[Problem]:
    """Those that a choice is made among: of the multi-line ones only middles of 2-8 lines."""
    return [problem for problem in problems if problem.benchmark != "infilling-multi" or _is_middle_in_range(problem)]


def in_rounds(problems: Sequence[Problem], *, seed: int) -> list[Problem]:
    """All of them, drawn by `seed`: one problem of every task, then another one of each, until none is left.

    Any number of them, taken from the beginning, is a choice of so many, and contains all smaller ones.
    """
    rng = random.Random(seed)
    tasks = [rng.sample(own, len(own)) for own in _group_by_task(problems)]
    rng.shuffle(tasks)
    return [problem for drawn in zip_longest(*tasks) for problem in drawn if problem is not None]


def read_infilling(data_dir: Path | None, kind: InfillingKind) -> list[Problem]:
    """All problems of the file, in its order: 5815 for `multi`, 1033 for `single`.

    Raises:
        NotFound: the file is not there; says how to get it.
        Damaged: it is not the published file.
    """
    name, sha256 = FILES[kind]
    packed = read_checked(data_dir, BenchmarkFile(path=f"{FOLDER}/{name}", sha256=sha256, get=HOW_TO_GET))
    return [_problem(json.loads(line), kind) for line in gzip.decompress(packed).splitlines()]


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


def _group_by_task(problems: Sequence[Problem]) -> list[list[Problem]]:
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(problem.task, []).append(problem)
    return list(groups.values())
