"""The three ways of sampling the same rows, on the tiny base."""

from dataclasses import replace

import pytest

from tests.conftest import TINY_ID


@pytest.mark.usefixtures("tiny_base")
def test_all_three_ways_are_timed_on_the_same_rows(problem):
    from trainer.evaluate.bench.throughput import measure_throughput

    passes = []
    problems = [replace(problem, task_id=f"Own/{n}") for n in range(3)]
    options = {"base_id": TINY_ID, "quantization": "fp32", "k": 2, "new_tokens": 4}
    found = measure_throughput(problems, **options, on_pass=lambda: passes.append(1))
    assert len(passes) == 3 and min(found.together, found.one_by_one, found.generate) > 0
    assert found.ratio == found.together / found.generate
