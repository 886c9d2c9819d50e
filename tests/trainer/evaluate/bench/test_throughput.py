"""The three ways of sampling the same rows, on the tiny base."""

import pytest

from spa_lsp.completion import CompletionRequest
from tests.conftest import TINY_ID


@pytest.mark.usefixtures("tiny_base")
def test_all_three_ways_are_timed_on_the_same_rows(problem):
    from trainer.evaluate.bench.throughput import measure_throughput

    passes = []
    requests = [
        CompletionRequest(prefix=problem.prefix + " " * n, k=2, use_base=True, max_tokens=4, temperature=0.8)
        for n in range(3)
    ]
    found = measure_throughput(requests, base_id=TINY_ID, quantization="fp32", on_pass=lambda: passes.append(1))
    assert len(passes) == 3 and min(found.together, found.one_by_one, found.generate) > 0
    assert found.ratio == found.together / found.generate
