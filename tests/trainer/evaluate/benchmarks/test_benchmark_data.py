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
# of the ids, a line each, of the 60 problems of seed 0 that published figures were measured on
CHOSEN = {
    "infilling-multi": "7a432a06a1c55ceb9a74d70901e71b20d461fead1b97766680a6748bc004f1a7",
    "infilling-single": "87a3aeaf529fadd2a82af71d256c81aaa56e25dd38e6df82acfa1751f169c4e1",
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
def test_the_chosen_problems_are_those_of_the_published_figures(name, folder):
    ids = "\n".join(problem.task_id for problem in load_benchmark(name, folder, limit=60))
    assert hashlib.sha256(ids.encode()).hexdigest() == CHOSEN[name]


def test_gpqa_keeps_its_canary(folder):
    assert all(problem.canary for problem in load_benchmark("gpqa", folder))


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("name", ["humaneval", "mbpp", "mbpp-sanitized"])
def test_some_published_solutions_pass(name, folder):
    problems = load_benchmark(name, folder, limit=4)
    assert [judge(problem, [problem.solution])[0].kind for problem in problems] == ["pass"] * 4
