"""`trainer evaluate` on the tiny base and two of our own gaps, from the options to the export."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from spa_lsp import paths
from spa_lsp.adapters.selection import select_set
from spa_lsp.errors import BadInput, NotFound
from tests.tiny_serving import install_set
from trainer.cli import main
from trainer.cli.evaluate import evaluate
from trainer.configs import FinetuneConfig
from trainer.evaluate.benchmarks.problems import FILES, FOLDER
from trainer.evaluate.figures.export import without_prompts
from trainer.evaluate.served import Served
from trainer.rows.kept_exports import find_evaluation


def invoke(*arguments):
    return CliRunner().invoke(evaluate, list(map(str, arguments)))


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("SPA_DATA", raising=False)


@pytest.fixture
def tiny_options():
    """No --data: our own gaps need none."""
    asked = ["--benchmarks", "own", "--limit", "2"]
    return [*asked, "--base", "tiny-qwen2", "--max-tokens", "4", "--quantization", "fp32"]


@pytest.fixture
def tiny_set(tiny_base, tiny_peft_adapters):
    """Three random adapters as the imported set `mine`."""
    return install_set("mine", list(tiny_peft_adapters.values())[:3])


def test_help_ends_in_an_example():
    assert "trainer evaluate --data" in invoke("-h").output


def test_no_folder_says_how_to_get_one():
    error = invoke().exception
    assert isinstance(error, NotFound) and "openai/human-eval-infilling" in str(error)


def test_an_empty_folder_says_how_to_fill_it(tmp_path):
    assert isinstance(invoke("--data", tmp_path).exception, NotFound)


def test_a_file_of_another_content_is_named_with_both_hashes(tmp_path):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / FILES["multi"][0]).write_bytes(b"other")
    result = CliRunner().invoke(main, ["evaluate", "--data", str(tmp_path)])
    assert result.exit_code == 1 and f"expected {FILES['multi'][1]}" in result.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--arms", "magic"], "unknown arm 'magic'"),
        (["--benchmarks", "codex"], "unknown benchmark 'codex'; choose from humaneval"),
        (["--benchmarks", ","], "--benchmarks names none"),
        (["--temperature", "-1"], "neither 0 nor between 0.01 and 2"),
    ],
)
def test_what_is_unknown_is_one_sentence(tmp_path, options, words):
    error = invoke("--data", tmp_path, *options).exception
    assert isinstance(error, BadInput) and words in str(error)


def test_running_without_a_sandbox_must_be_asked_for(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("trainer.cli.evaluate.load_benchmark", lambda *_, **__: [])
    monkeypatch.setattr("trainer.evaluate.sandbox.allow_no_sandbox", lambda: asked.append(1))
    monkeypatch.setattr("trainer.evaluate.sandbox.require_backend", lambda: 1 / 0)
    for options in ([], ["--unsafe-no-sandbox"]):
        invoke("--data", str(tmp_path), *options)
    assert asked == [1]


def test_a_precision_that_there_is_not_is_misuse(tmp_path):
    result = invoke("--data", tmp_path, "--quantization", "q9")
    assert result.exit_code == 2 and "'q9' is not one of 'auto', 'nf4'" in result.stderr


class Seen(Exception):
    """What an arm would be trained with."""


@pytest.fixture
def budget_of(monkeypatch, tmp_path):
    def see(*_, budget, **__):
        raise Seen(budget)

    monkeypatch.setattr("trainer.cli.evaluate.load_benchmark", lambda *_, **__: [])
    monkeypatch.setattr("trainer.evaluate.sandbox.require_sandbox", lambda **_: "none")
    monkeypatch.setattr("trainer.cli.evaluate._sets", see)
    return lambda *options: invoke("--data", tmp_path, *options).exception.args[0]


def test_the_seed_is_that_of_the_arms_too(budget_of):  # (#11)
    assert budget_of("--seed", 7).seed == 7


def test_a_rank_means_here_what_it_means_to_finetune(budget_of):  # (#11)
    assert budget_of("--rank", 8).finetune == FinetuneConfig(rank=8)
    assert budget_of("--rank", 8, "--alpha", 16).finetune == FinetuneConfig(rank=8, alpha=16)


def test_an_export_that_is_a_folder_is_refused_before_anything_is_asked(tmp_path):
    result = invoke("--data", tmp_path, "--export", tmp_path)
    assert result.exit_code == 2 and "is a directory" in result.stderr


def test_importing_the_command_loads_no_torch():
    code = "import sys, trainer.cli.evaluate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.usefixtures("sandbox", "tiny_set")
def test_base_and_set_end_in_figures_differences_and_an_export(tiny_options, tmp_path):
    options = [*tiny_options, "--arms", "base,base@0.8,influence=mine", "--k", "3", "--no-train"]
    result = invoke(*options, "--json", "--export", tmp_path / "out" / "figures.json")
    assert result.exit_code == 0, result.exception
    shown, exported = json.loads(result.stdout), json.loads((tmp_path / "out" / "figures.json").read_text())
    (benchmark,) = exported["benchmarks"]
    assert (benchmark["name"], benchmark["n_problems"]) == ("own", 2)
    assert [(arm["arm"], arm["k"], arm["adapter_set"]) for arm in benchmark["arms"]] == [
        ("base", 1, ""),
        ("base@0.8", 3, ""),
        ("influence=mine", 3, "mine"),
    ]
    arm = benchmark["arms"][2]
    assert arm["figures"]["average_kl"]["mean"] > 0 and [row["adapter"] for row in arm["by_adapter"]] == [
        "a1",
        "a2",
        "a3",
    ]
    assert [len(problem["alternatives"]) for problem in arm["problems"]] == [3, 3]
    assert {"text", "adapter", "verdict", "class_exact", "class_near"} <= arm["problems"][0]["alternatives"][0].keys()
    pairs = {(row["first"], row["second"]) for row in benchmark["differences"] if row["figure"] == "dc_ast"}
    assert pairs == {("base@0.8", "base"), ("influence=mine", "base"), ("influence=mine", "base@0.8")}
    assert shown["settings"] == exported["settings"] and "problems" not in shown["benchmarks"][0]["arms"][0]
    assert (shown["settings"]["base"], shown["settings"]["quantization"]) == ("tiny-qwen2", "fp32")
    kept = json.loads(find_evaluation(arm["run_id"][:8]).read_text())
    assert kept == without_prompts(exported) and kept["settings"] == shown["settings"]
    assert (
        {own["prompt"] for own in arm["problems"]}
        != {""}
        == {own["prompt"] for own in kept["benchmarks"][0]["arms"][2]["problems"]}
    )


@pytest.mark.usefixtures("sandbox", "tiny_set")
def test_all_arms_answer_some_problems_before_the_next_so_that_a_break_leaves_them_equal(tiny_options, monkeypatch):
    asked = []
    answer = Served.complete_many

    def noted(served, requests, **options):
        asked.append([(request.prefix, request.use_base) for request in requests])
        return answer(served, requests, **options)

    monkeypatch.setattr(Served, "complete_many", noted)
    monkeypatch.setattr("trainer.evaluate.served.BLOCK_PROBLEMS", 1)
    assert invoke(*tiny_options, "--arms", "base,influence=mine", "--k", "3", "--no-train").exit_code == 0
    first, second = (prefix for ((prefix, _),) in asked[::2])
    assert asked == [[(first, True)], [(first, False)], [(second, True)], [(second, False)]]


@pytest.mark.usefixtures("sandbox", "tiny_set")
def test_questions_are_scored_by_likelihood_too_for_the_base_and_for_a_set(tiny_options, tiny_data):
    options = [*tiny_options, "--data", tiny_data, "--benchmarks", "winogrande", "--arms", "base,influence=mine"]
    result = invoke(*options, "--k", "3", "--no-train", "--json")
    assert result.exit_code == 0, result.exception
    (benchmark,) = json.loads(result.stdout)["benchmarks"]
    shares = [arm["figures"]["accuracy_loglik"]["mean"] for arm in benchmark["arms"]]
    assert shares[0] in (0, 0.5, 1) and 0 <= shares[1] <= 1
    own = [row["accuracy_loglik"]["mean"] for row in benchmark["arms"][1]["by_adapter"]]
    assert sum(own) / 3 == pytest.approx(shares[1])


@pytest.mark.usefixtures("sandbox", "tiny_base")
def test_the_second_time_no_model_is_loaded_and_the_figures_are_the_same(tiny_options):
    first = invoke(*tiny_options, "--arms", "base", "--json")
    weights = paths.bases_dir() / "tiny-qwen2"
    weights.unlink()
    second = invoke(*tiny_options, "--arms", "base", "--json")
    assert json.loads(second.stdout)["benchmarks"] == json.loads(first.stdout)["benchmarks"]


@pytest.mark.usefixtures("sandbox", "tiny_base")
def test_an_export_that_cannot_be_written_takes_no_figure_along(tiny_options):
    options = [*map(str, tiny_options), "--arms", "base", "--export", "/proc/none/figures.json"]
    result = CliRunner().invoke(main, ["evaluate", *options])
    assert result.exit_code == 1 and "Error: /proc/none: " in result.stderr
    assert result.stdout.startswith("own, 2 problems")


@pytest.mark.usefixtures("sandbox", "tiny_base")
def test_without_json_an_arm_is_a_column(tiny_options):
    result = invoke(*tiny_options, "--arms", "base,base@0.8", "--k", "2")
    lines = result.stdout.splitlines()
    assert lines[0] == "own, 2 problems, ± is the standard error"
    assert lines[1].split() == ["base", "base@0.8"]
    assert [line.split()[0] for line in lines[2:]][:4] == ["dc_exact", "dc_ast", "dc_near", "dc_approach"]


@pytest.mark.usefixtures("sandbox")
def test_a_fresh_machine_has_the_set_in_use_and_no_samples(tiny_options, tiny_set):
    select_set(tiny_set)
    result = invoke(*tiny_options, "--arms", "influence", "--benchmarks", "humaneval", "--k", "2", "--json")
    assert result.exit_code == 0, result.exception
    (benchmark,) = json.loads(result.stdout)["benchmarks"]
    assert (benchmark["name"], benchmark["arms"][0]["adapter_set"]) == ("humaneval", "mine")


def test_infillings_are_asked_from_an_anchor_some_characters_back(tiny_options, tiny_set, monkeypatch):
    asked = []
    monkeypatch.setattr("trainer.cli.evaluate.anchor_back", lambda problem, most: asked.append(most) or problem)
    assert invoke(*tiny_options, "--arms", "base", "--begun-chars", "40").exit_code == 0
    assert asked == [40, 40]


# #15
@pytest.mark.usefixtures("sandbox", "tiny_base")
def test_an_evaluation_with_begun_characters_is_kept_beside_the_one_without(tiny_options):
    for options in ([], ["--begun-chars", "40"]):
        assert invoke(*tiny_options, "--arms", "base", *options).exit_code == 0
    kept = [json.loads(path.read_text()) for path in find_evaluation(None).parent.glob("*.json")]
    assert {own["settings"]["begun_chars"] for own in kept} == {None, 40}
    assert len({own["benchmarks"][0]["arms"][0]["run_id"] for own in kept}) == 1


# #15
@pytest.mark.usefixtures("sandbox", "tiny_set")
def test_kl_left_out_once_is_measured_by_a_call_without_no_kl(tiny_options):
    options = [*tiny_options, "--arms", "influence=mine", "--k", "3", "--no-train", "--json"]
    before, after = (json.loads(invoke(*options, *more).stdout) for more in (["--no-kl"], []))
    figures = [own["benchmarks"][0]["arms"][0]["figures"] for own in (before, after)]
    assert "average_kl" not in figures[0] and figures[1].pop("average_kl")["mean"] > 0
    assert figures[0] == figures[1]
