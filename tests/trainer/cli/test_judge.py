import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from spa_lsp.errors import BadInput, NotFound
from tests.trainer.evaluate.benchmarks import tiny_benchmarks
from trainer.cli.judge import judge_command


def invoke(*arguments):
    return CliRunner().invoke(judge_command, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("SPA_DATA", raising=False)


@pytest.fixture
def wrong_solution(monkeypatch):
    wrong = {**tiny_benchmarks.HUMANEVAL[0], "canonical_solution": "    return 7\n"}
    monkeypatch.setattr(tiny_benchmarks, "HUMANEVAL", [wrong, tiny_benchmarks.HUMANEVAL[1]])


@pytest.mark.usefixtures("sandbox")
def test_all_solutions_pass(tiny_data):
    result = invoke("--canonical", "humaneval", "--data", tiny_data, "--json")
    assert result.exit_code == 0, result.exception
    figures = json.loads(result.stdout)
    assert (figures["benchmark"], figures["n_passed"], figures["n_problems"]) == ("humaneval", 2, 2)
    assert figures["exceptions"] == []


@pytest.mark.usefixtures("sandbox", "wrong_solution")
def test_a_solution_that_fails_is_listed_with_its_reason_and_the_status_is_one(request):
    result = invoke("--canonical", "humaneval", "--data", request.getfixturevalue("tiny_data"), "--json")
    assert result.exit_code == 1
    figures = json.loads(result.stdout)
    [exception] = figures["exceptions"]
    assert (exception["task_id"], exception["kind"]) == ("HumanEval/0", "fail")
    assert exception["reason"].startswith("AssertionError")
    assert figures["n_passed"] == 1


@pytest.mark.usefixtures("sandbox", "wrong_solution")
def test_without_json_it_is_text(request):
    result = invoke("--canonical", "humaneval", "--data", request.getfixturevalue("tiny_data"))
    first, second = result.stdout.splitlines()
    assert first.startswith("humaneval: 1/2 solutions pass, ")
    assert second.startswith("HumanEval/0 total: fail, AssertionError")


# #13
@pytest.mark.usefixtures("sandbox")
def test_a_solution_that_needs_a_package_is_counted_apart_and_is_no_exception(monkeypatch, request):
    body = "    import no_such_package\n    return no_such_package.f()\n"
    needing = {**tiny_benchmarks.HUMANEVAL[0], "canonical_solution": body}
    monkeypatch.setattr(tiny_benchmarks, "HUMANEVAL", [needing, tiny_benchmarks.HUMANEVAL[1]])
    data = request.getfixturevalue("tiny_data")
    result = invoke("--canonical", "humaneval", "--data", data, "--json")
    figures = json.loads(result.stdout)
    assert (result.exit_code, figures["n_passed"], figures["exceptions"]) == (0, 1, [])
    assert figures["needs"] == {"no_such_package": 1}
    assert "not judged: 1 need no_such_package" in invoke("--canonical", "humaneval", "--data", data).stdout


# #13
@pytest.mark.usefixtures("sandbox")
def test_a_package_that_is_not_installed_is_refused(tiny_data):
    error = invoke("--canonical", "humaneval", "--data", tiny_data, "--allow-package", "no_such_package").exception
    assert isinstance(error, BadInput) and "pip install no_such_package" in str(error)


@pytest.mark.usefixtures("sandbox")
def test_the_limit_limits(tiny_data):
    result = invoke("--canonical", "mbpp", "--data", tiny_data, "--limit", "1", "--json")
    assert json.loads(result.stdout)["n_problems"] == 1


@pytest.mark.parametrize("name", ["gpqa", "nothing"])
def test_what_has_no_programs_is_misuse(name):
    assert invoke("--canonical", name).exit_code == 2


def test_no_folder_says_how_to_get_one():
    error = invoke("--canonical", "mbpp-plus").exception
    assert isinstance(error, NotFound)
    assert "evalplus/mbppplus_release" in str(error)


def test_importing_the_command_loads_no_torch():
    code = "import sys, trainer.cli.judge; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
