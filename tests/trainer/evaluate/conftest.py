"""A problem of our own, the benchmarks' folder and the sandbox's back ends; what is not there skips with a reason."""

import os
from pathlib import Path

import pytest

from tests.trainer.evaluate.benchmarks.tiny_benchmarks import tiny_data  # noqa: F401  a fixture
from trainer.evaluate.benchmarks.problems import FILES, FOLDER, Problem
from trainer.evaluate.sandbox import Backend
from trainer.evaluate.sandbox.backend import find_backends, find_problem

BESIDE_THE_PROJECT = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture(scope="session")
def problems() -> dict[str, str]:
    """Why a back end does not work on this machine, empty where it does, by its kind."""
    return {"bubblewrap": "there is no bwrap", **{backend.kind: find_problem(backend) for backend in find_backends()}}


@pytest.fixture(scope="session")
def backends(problems) -> dict[str, Backend]:
    """The back ends that work on this machine, by their kind."""
    return {backend.kind: backend for backend in find_backends() if not problems[backend.kind]}


@pytest.fixture(scope="session")
def need(problems, backends):
    """Ask for a back end by its kind; the test is skipped, with the reason, where it does not work."""

    def need(kind: str) -> Backend:
        if kind not in backends:
            pytest.skip(f"{kind} does not work on this machine: {problems[kind]}")
        return backends[kind]

    return need


@pytest.fixture(params=["bubblewrap", "landlock"])
def backend(request, need) -> Backend:
    return need(request.param)


@pytest.fixture
def data_dir() -> Path:
    folder = Path(os.environ.get("SPA_DATA", BESIDE_THE_PROJECT))
    if not (folder / FOLDER / FILES["multi"][0]).exists():
        pytest.skip(f"no HumanEval-Infilling in {folder}: set SPA_DATA")
    return folder


@pytest.fixture
def problem() -> Problem:
    return Problem(
        task_id="Own/total/L0_L2",
        entry_point="total",
        prefix='def total(numbers):\n    """Sum."""\n',
        suffix="    return result\n",
        solution="    result = 0\n    for number in numbers:\n        result += number\n",
        test="def check(candidate):\n    assert candidate([1, 2]) == 3\n    assert candidate([]) == 0\n",
    )
