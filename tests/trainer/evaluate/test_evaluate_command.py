import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from spa_lsp.errors import BadInput, NotFound
from trainer.evaluate.command import evaluate


def invoke(*arguments):
    return CliRunner().invoke(evaluate, arguments)


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("SPA_DATA", raising=False)


def test_help_ends_in_an_example():
    assert "trainer evaluate --data" in invoke("-h").output


def test_no_folder_says_how_to_get_one():
    error = invoke().exception
    assert isinstance(error, NotFound)
    assert "openai/human-eval-infilling" in str(error)


def test_an_empty_folder_says_how_to_fill_it(tmp_path):
    assert isinstance(invoke("--data", str(tmp_path)).exception, NotFound)


def test_an_unknown_arm_is_misuse():
    assert invoke("--arm", "base").exit_code == 2


def test_sampling_at_temperature_zero_is_refused(tmp_path):
    error = invoke("--data", str(tmp_path), "--arm", "base-sampled", "--temperature", "0").exception
    assert isinstance(error, BadInput)


def test_a_temperature_for_greedy_is_refused(tmp_path):
    error = invoke("--data", str(tmp_path), "--arm", "base-greedy", "--temperature", "0.5").exception
    assert isinstance(error, BadInput)


def test_running_without_a_sandbox_must_be_asked_for(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("trainer.evaluate.command.allow_no_sandbox", lambda: asked.append(1))
    monkeypatch.setattr("trainer.evaluate.command.load_infilling", lambda *_, **__: [])
    monkeypatch.setattr("trainer.evaluate.command.require_sandbox", lambda: 1 / 0)
    for options in ([], ["--unsafe-no-sandbox"]):
        invoke("--data", str(tmp_path), *options)
    assert asked == [1]


def test_importing_the_command_loads_no_torch():
    code = "import sys, trainer.evaluate.command; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.usefixtures("sandbox", "tiny_base")
def test_a_real_base_gives_the_figures_and_the_second_time_asks_it_nothing(data_dir):
    options = [
        "--base",
        "tiny-qwen2",
        "--arm",
        "base-sampled",
        "--limit",
        "1",
        "--k",
        "2",
        "--max-tokens",
        "4",
        "--json",
    ]
    first, second = (invoke("--data", str(data_dir), *options) for _ in range(2))
    assert first.exit_code == 0, first.exception
    figures = json.loads(first.stdout)
    assert (figures["base"], figures["k"], figures["n_problems"], figures["temperature"]) == ("tiny-qwen2", 2, 1, 0.8)
    assert json.loads(second.stdout) == figures


@pytest.mark.usefixtures("sandbox", "tiny_base")
def test_without_json_the_figures_are_a_table(data_dir):
    options = [
        "--base",
        "tiny-qwen2",
        "--arm",
        "base-greedy",
        "--limit",
        "2",
        "--max-tokens",
        "2",
        "--quantization",
        "fp32",
    ]
    result = invoke("--data", str(data_dir), *options)
    assert "base-greedy, multi, 2 problems, k=1" in result.stdout
    assert "dc_at_k         0.000 ± 0.000" in result.stdout
