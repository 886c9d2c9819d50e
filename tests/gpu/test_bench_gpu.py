"""The script for a machine with a GPU, where there is none: what it skips and says, with processes that are not run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpu import bench_gpu
from tests.gpu.bench_gpu import NO_CUDA, ROOT, Part, read_tests, run_parts

PART = Part(name="one", command=("-c", "pass"), limit_s=100)
OTHER = Part(name="two", command=("-c", "pass"), limit_s=100)


def gives(status=0, output="{}", errors=""):
    return lambda command, limit_s: (status, output, errors)


def test_what_a_part_prints_is_its_result():
    outcome = run_parts([PART], gives(output='{"ms": 3}'))["one"]
    assert (outcome.status, outcome.result) == ("done", {"ms": 3})


def test_a_part_that_fails_says_why_and_the_others_run():
    answers = iter([(1, "", "Traceback\nError: no room"), (0, "{}", "")])
    outcomes = run_parts([PART, OTHER], lambda command, limit_s: next(answers))
    assert (outcomes["one"].status, outcomes["one"].reason) == ("failed", "Error: no room")
    assert outcomes["two"].status == "done"


def test_a_part_that_takes_too_long_is_ended():
    def run(command, limit_s):
        raise subprocess.TimeoutExpired(command, limit_s)

    assert run_parts([PART], run)["one"].reason == "not done after 100 s"


def test_when_the_time_is_over_the_rest_is_skipped():
    clock = iter([0.0, 0.0, 0.0, 470.0, 470.0])
    outcomes = run_parts([PART, OTHER], gives(), now=lambda: next(clock))
    assert (outcomes["one"].status, outcomes["two"].status) == ("done", "skipped")
    assert outcomes["two"].reason == "480 s were over"


def test_a_part_gets_no_more_time_than_is_left():
    limits = []
    clock = iter([0.0, 450.0, 450.0, 460.0])

    def run(command, limit_s):
        limits.append(limit_s)
        return 0, "{}", ""

    run_parts([PART], run, now=lambda: next(clock))
    assert limits == [30.0]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (Part(name="p", command=(), limit_s=9, needs=("no_such_package",)), "no_such_package is not installed"),
        (Part(name="p", command=(), limit_s=9), "pull it"),
    ],
)
def test_what_is_not_there_is_a_reason_to_skip(part, reason):
    outcome = run_parts([part], gives(), missing_base="pull it")["p"]
    assert (outcome.status, outcome.reason) == ("skipped", reason)


def test_every_test_has_its_result(tmp_path):
    junit = tmp_path / "tests.xml"
    junit.write_text(
        '<testsuites><testsuite><testcase name="a"/><testcase name="b"><skipped message="no card"/></testcase>'
        '<testcase name="c"><failure message="2 != 3">…</failure></testcase></testsuite></testsuites>'
    )
    assert read_tests(junit) == {"a": "passed", "b": "skipped: no card", "c": "failure: 2 != 3"}


def test_without_a_device_one_sentence_says_so_and_nothing_has_failed(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu.bench_gpu"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    report = json.loads(done.stdout)
    assert report["device"] is None and done.stderr.strip().splitlines()[-1] == NO_CUDA
    assert {part["status"] for part in report["parts"].values()} == {"skipped"} and len(report["parts"]) == 6


def test_the_training_part_runs_on_a_processor_too(tiny_base, monkeypatch):
    monkeypatch.setattr("spa_lsp.bases.catalog.DEFAULT_BASE", "tiny-qwen2")
    found = bench_gpu.measure_training()
    assert (found["device"], len(found["step_ms"]), found["adapters"]) == ("cpu", 3, 8)


def test_every_command_is_one_that_there_is():
    commands = [part.command for part in bench_gpu.parts(Path("tests.xml"))]
    assert [command[1] for command in commands] == ["pytest", *["spa_lsp"] * 4, "tests.gpu.bench_gpu"]
