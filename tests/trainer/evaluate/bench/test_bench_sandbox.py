import json

import pytest
from click.testing import CliRunner

from trainer.cli.bench import bench

pytestmark = pytest.mark.usefixtures("sandbox")


def test_the_figures_name_the_sandbox_and_what_it_costs(sandbox):
    result = CliRunner().invoke(bench, ["sandbox", "--runs", "3", "--workers", "1", "--json"])
    figures = json.loads(result.output)
    assert (figures["sandbox"], figures["runs"], figures["workers"]) == (sandbox, 3, 1)
    assert figures["sandboxed_ms"] > 0 and figures["programs_per_s"] > 0 and figures["judged_per_s"] > 0


def test_without_json_each_figure_is_a_line():
    output = CliRunner().invoke(bench, ["sandbox", "--runs", "1"]).output
    assert len(output.splitlines()) == 8 and "extra_ms" in output
