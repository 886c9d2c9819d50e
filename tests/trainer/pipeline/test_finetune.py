"""The finetune stage through the store: going on from a set, weights of samples, kill -9 at any step."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
from contextlib import closing

import pytest

from spa_lsp import paths
from spa_lsp.adapters.finding import find_set
from spa_lsp.storage.store import open_store
from tests.trainer.cli.running import sentence, trainer, trainer_json
from tests.trainer.cli.test_cli import row

BASE = ["--base", "tiny-qwen2", "--max-tokens", "400"]
SMALL = [*BASE, "--rank", "2", "--steps", "2", "--accumulate", "1"]

pytestmark = pytest.mark.usefixtures("tiny_base")


@pytest.fixture
def divided(tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_text("\n".join(row(n) for n in range(12)))
    trainer("import", path)
    trainer("attribute", "--method", "bm25")
    return trainer_json("partition", "--k", "2")[0]


@pytest.fixture
def published(divided):
    first = trainer_json("finetune", *SMALL)[0]
    trainer_json("publish", "--name", "mine")
    return first


def test_going_on_from_a_set_is_another_run_and_is_found_again(published):
    onward = [*BASE, "--steps", "2", "--accumulate", "1", "--init-from", "mine"]
    first = trainer_json("finetune", *onward)[0]
    assert first["id"] != published["id"] and first["parents"]["init_run"] == published["id"]
    assert first["config"]["finetune"]["rank"] == 2
    assert trainer_json("finetune", *onward)[0]["was_done"]


def test_going_on_begins_where_the_set_ended(divided):
    def first_loss(*asked):
        return trainer_json("finetune", *SMALL, *asked)[0]["figures"]["curve"][0]["train"]

    fresh = first_loss()
    trainer_json("finetune", *SMALL, "--learning-rate", "0.05")
    trainer_json("publish", "--name", "mine")
    assert max(map(abs, (a - b for a, b in zip(fresh, first_loss("--init-from", "mine"), strict=True)))) > 1e-3


# #14
def test_the_lead_of_a_set_is_left_out_with_one_note(published):
    trainer("lead", "mine", "--of", "mean", "--name", "led", "--base", "tiny-qwen2")
    result = trainer("finetune", *BASE, "--steps", "1", "--accumulate", "1", "--init-from", "led")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("'lead' of led was made to lead and has learned no part") == 1


# #15
def test_an_adapter_of_all_samples_is_not_called_by_chance(divided):
    trainer_json("partition", "--k", "1", "--method", "whole")
    trainer_json("finetune", *SMALL)
    assert re.fullmatch("whole-[0-9a-f]{8}", trainer_json("publish")[0]["figures"]["name"])


def test_a_set_that_is_not_there_is_named_before_any_work(divided):
    assert "no adapter set 'other'" in sentence(trainer("finetune", *SMALL, "--init-from", "other"))


def test_a_set_of_another_rank_is_refused(published):
    assert "rank 2, not 16" in sentence(trainer("finetune", *BASE, "--rank", "16", "--init-from", "mine"))


def test_a_curve_of_both_losses_stands_in_the_figures(divided):
    figures = trainer_json("finetune", *SMALL, "--evaluate-every", "1")[0]["figures"]
    assert [point["step"] for point in figures["curve"]] == [1, 2]
    assert all(len(point["train"]) == len(point["held_out"]) == 2 for point in figures["curve"])
    assert figures["curve"][-1]["held_out"] == [figures["held_out_matrix"][k][k] for k in range(2)]


def test_the_text_shows_the_curve(divided):
    lines = trainer("finetune", *SMALL, "--evaluate-every", "1").stdout.splitlines()
    assert [line.split(":")[0].strip() for line in lines if "held out" in line] == ["step 1", "step 2"]


def test_no_held_out_loss_is_shown_where_nothing_is_held_out(divided):  # #14
    lines = trainer("finetune", *SMALL, "--limit", "4", "--evaluate-every", "1").stdout.splitlines()
    assert [line.split(":")[0].strip() for line in lines if "loss" in line] == ["step 1", "step 2"]
    assert not [line for line in lines if "held out" in line or "nan" in line]


def test_a_set_tells_how_many_samples_its_adapters_learned(divided):
    trainer("finetune", *SMALL, "--limit", "4")
    trainer("publish", "--name", "mine")
    found = find_set("mine", "tiny-qwen2")
    assert [info.figures["n_samples"] for info in found.adapters] == [4, 4] and found.data["n_samples"] == 8


def test_weights_of_samples_are_part_of_the_runs_key(divided, tmp_path):
    first = trainer_json("finetune", *SMALL)[0]
    weighed = [row(n, sample_weight=1 + n) for n in range(12)]  # all: which are drawn depends on the processor
    (tmp_path / "again.jsonl").write_text("\n".join(weighed))
    trainer("import", tmp_path / "again.jsonl")
    again = trainer_json("finetune", *SMALL)[0]
    assert (first["parents"]["weights"], again["was_done"]) == (None, False)
    assert first["figures"]["sha256"] != again["figures"]["sha256"]


# --- kill -9

N_ROUNDS = int(os.environ.get("SPA_KILLS", "5")) // 5
KILLED = [*BASE, "--rank", "2", "--steps", "12", "--accumulate", "1", "--checkpoint-every", "2"]
KILLED += ["--evaluate-every", "1", "--patience", "12"]
_DRIVER = """
import os, sys
from trainer.train import training
from trainer.cli import main
kill_at = int(sys.argv[1])
learn = training._Step.run
n_steps = 0
def run(self, *arguments):
    global n_steps
    n_steps += 1
    if n_steps == kill_at:
        os.kill(os.getpid(), 9)
    return learn(self, *arguments)
training._Step.run = run
main(sys.argv[2:])
"""


def killed(step, *arguments):
    """A trainer that is killed at this of its steps; its exit status."""
    command = [sys.executable, "-c", _DRIVER, str(step), *arguments]
    return subprocess.run(command, capture_output=True, env=os.environ, timeout=900).returncode


def adapters(run):
    folder = paths.cache_dir() / "runs" / run["id"]
    return {path.name: path.read_bytes() for path in folder.glob("part-*.safetensors")}


def begin_anew(run):
    """As if the run had never been."""
    shutil.rmtree(paths.cache_dir() / "runs" / run["id"])
    with closing(open_store(write=True)) as db:
        db.table("runs").delete(run["id"])


@pytest.mark.slow
@pytest.mark.resume
@pytest.mark.parametrize("objective", ["parts", "mcl"])
def test_a_trainer_killed_at_any_step_ends_with_the_same_adapters(divided, objective, tally):
    asked = [*KILLED, "--objective", objective]
    whole = trainer_json("finetune", *asked)[0]
    expected = adapters(whole)
    rng = random.Random(objective)
    for _ in range({"parts": 3, "mcl": 2}[objective] * N_ROUNDS):
        begin_anew(whole)
        assert killed(rng.randint(2, 12), "finetune", *asked) == -signal.SIGKILL
        again = trainer_json("finetune", *asked)[0]
        is_same = adapters(again) == expected and again["figures"]["curve"] == whole["figures"]["curve"]
        tally("kill -9 while training", 1, not is_same)
        assert is_same
