"""`trainer synthesize`, `run --from` and `forget` on a tiny base that babbles: what passes is the seeds' own code."""

import pytest

from spa_lsp.adapters.finding import find_set
from tests.trainer.cli.running import sentence, trainer, trainer_json

pytestmark = pytest.mark.usefixtures("sandbox", "tiny_base")
TINY = ("--base", "tiny-qwen2")


@pytest.fixture(autouse=True)
def short_answers(monkeypatch):
    monkeypatch.setattr("trainer.synthesize.prompts.CODE_TOKENS", 8)


def test_it_prints_one_object_with_the_figures(project):
    (record,) = trainer_json("synthesize", "--from", project, "--recipe", "behaviour", "--responses", 2, *TINY)
    assert (record["stage"], record["was_done"], record["figures"]["n_tasks"]) == ("synthesize", False, 2)


def test_it_says_what_was_made_and_what_was_left_out(project):
    result = trainer("synthesize", "--from", project, "--recipe", "behaviour", "--responses", 2, *TINY)
    assert "2 samples of 2 tasks" in result.stdout and "files: not Python 1" in result.stdout
    assert "not compared with" in result.stdout


def test_it_wants_to_know_of_what():
    assert trainer("synthesize").exit_code == 2


def test_a_folder_that_is_no_repository_is_one_sentence(tmp_path):
    assert "in no Git repository" in sentence(trainer("synthesize", "--from", tmp_path, *TINY))


def test_a_base_that_is_not_there_is_one_sentence(project):
    assert "spa-lsp models pull" in sentence(trainer("synthesize", "--from", project))


def test_run_goes_from_a_repository_to_a_published_set(project):
    options = ("--method", "random", "--k", 1, "--steps", 1, "--rank", 2, "--infill-share", 1, "--max-tokens", 500)
    records = trainer_json("run", "--from", project, "--seeds", 2, *options, "--name", "mine", *TINY)
    stages = ["synthesize", "attribute", "partition", "finetune", "publish"]
    assert [record["stage"] for record in records] == stages
    assert find_set("mine", "tiny-qwen2").data["n_samples"] == 2


def test_forget_says_what_went_and_what_to_train_anew(project):
    trainer("synthesize", "--from", project, "--recipe", "behaviour", "--responses", 2, *TINY)
    trainer("attribute", "--method", "random")
    (record,) = trainer_json("forget", "--repo", project)
    assert (record["n_samples"], record["again"]) == (2, ["attribute"])


def test_forget_names_the_commands_that_train_anew_with_the_options_they_had(project):  # #14
    trainer("synthesize", "--from", project, "--recipe", "behaviour", "--responses", 2, *TINY)
    trainer("attribute", "--method", "random", "--seed", 3)
    trainer("partition", "--method", "argmax", "--k", 1)
    said = trainer("forget", "--repo", project).stdout.splitlines()
    assert said[said.index("to train anew:") + 1 :] == [
        "  trainer attribute --method random --seed 3",
        "  trainer partition --method argmax --k 1",
    ]


def test_forget_of_what_is_not_there_names_what_is(project, tmp_path):  # #14
    trainer("synthesize", "--from", project, "--recipe", "behaviour", "--responses", 2, *TINY)
    said = trainer("forget", "--repo", tmp_path / "typo").stdout
    assert said == f"nothing in the store is of {tmp_path / 'typo'}; it has samples of {project}\n"


def test_a_folder_of_benchmarks_that_is_not_there_is_refused(project, tmp_path):  # #14
    asked = ("synthesize", "--from", project, "--data", tmp_path / "typo", *TINY)
    assert "there is no folder of benchmarks" in sentence(trainer(*asked))


def test_forget_wants_one_thing():
    assert trainer("forget").exit_code == 2
