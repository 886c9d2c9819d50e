import json

from click.testing import CliRunner

from tests.conftest import TINY_ID
from trainer.cli.bench import bench


def test_three_gains_are_measured_each_beside_the_plain_way(tiny_base):
    result = CliRunner().invoke(bench, ["train", "--base", TINY_ID, "--k", "2", "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert [*figures] == ["stacked", "on_completion", "batched_gradients"]
    assert all(each["ratio"] == each["ours"] / each["plain"] > 0 for each in figures.values())
