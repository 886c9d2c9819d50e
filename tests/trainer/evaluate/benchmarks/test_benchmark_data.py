"""The published benchmarks themselves, where there is a folder of them."""

import hashlib
import os
from pathlib import Path

import pytest

from tests.trainer.evaluate.conftest import BESIDE_THE_PROJECT
from trainer.evaluate.benchmarks.load import load_benchmark
from trainer.evaluate.judge.verdict import judge

pytestmark = pytest.mark.data

COUNTS = {
    "humaneval": 164,
    "mbpp": 399,
    "mbpp-sanitized": 427,
    "infilling-single": 1033,
    "gpqa": 448,
    "winogrande": 1267,
}
LARGE = {"humaneval-plus": 164, "mbpp-plus": 378, "infilling-multi": 5815, "bbh": 6511, "mmlu": 14042}
# of the ids, a line each, of the first 60 problems of seed 0: figures of one choice can be compared
CHOSEN = {
    "infilling-multi": "d1a4dfa8a1f6da34bd2494aa0c76f7f0da982c543f38bb3680c90e87b94f943d",
    "infilling-single": "0947105ac75031152180011121b4c43006a1e7fecaae5f420e2cf0545c55744b",
}


@pytest.fixture
def folder() -> Path:
    found = Path(os.environ.get("SPA_DATA", BESIDE_THE_PROJECT))
    if not found.is_dir():
        pytest.skip(f"no benchmarks in {found}: set SPA_DATA")
    return found


@pytest.mark.parametrize("name", COUNTS)
def test_all_problems_are_there(name, folder):
    problems = load_benchmark(name, folder)
    assert len({problem.task_id for problem in problems}) == len(problems) == COUNTS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_all_problems_of_the_large_ones_are_there(name, folder):
    problems = load_benchmark(name, folder)
    assert len({problem.task_id for problem in problems}) == len(problems) == LARGE[name]


@pytest.mark.parametrize("name", CHOSEN)
def test_the_chosen_problems_stay_the_same(name, folder):
    ids = "\n".join(problem.task_id for problem in load_benchmark(name, folder, limit=60))
    assert hashlib.sha256(ids.encode()).hexdigest() == CHOSEN[name]


def test_gpqa_keeps_its_canary(folder):
    assert all(problem.canary for problem in load_benchmark("gpqa", folder))


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("name", ["humaneval", "mbpp", "mbpp-sanitized"])
def test_some_published_solutions_pass(name, folder):
    problems = load_benchmark(name, folder, limit=4)
    assert [judge(problem, [problem.solution])[0].kind for problem in problems] == ["pass"] * 4
