import json

from click.testing import CliRunner

from tests.conftest import TINY_ID
from trainer.cli.bench import bench
from trainer.pipeline.speed import synthesis_requests


def test_three_gains_are_measured_each_beside_the_plain_way(tiny_base):
    result = CliRunner().invoke(bench, ["train", "--base", TINY_ID, "--k", "2", "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert [*figures] == ["stacked", "on_completion", "batched_gradients"]
    assert all(each["ratio"] == each["ours"] / each["plain"] > 0 for each in figures.values())


def test_synthesis_is_measured_beside_plain_generate(tiny_base):
    options = ["--exercises", "2", "--responses", "3", "--new-tokens", "4", "--quantization", "fp32"]
    result = CliRunner().invoke(bench, ["synthesize", "--base", TINY_ID, *options, "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["ratio"] == figures["together"] / figures["generate"] > 0


def test_synthesis_is_measured_with_the_questions_that_it_asks():
    requests = synthesis_requests(2, responses=3, new_tokens=4)
    assert [request.k for request in requests] == [2, 1, 2, 1] and len({request.prefix for request in requests}) == 4
    assert all(request.begun.startswith("```python\ndef ") and request.temperature == 0.9 for request in requests)
