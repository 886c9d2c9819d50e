"""`trainer partition check`: parts of separable topics have an own-part advantage, and random ones have none. (#14)"""

import json
import signal
from contextlib import closing

import pytest

from spa_lsp import paths
from spa_lsp.storage.store import open_store
from tests.trainer.cli.running import sentence, trainer, trainer_json
from tests.trainer.pipeline.test_finetune import killed

TOPICS = {
    "words": "def quote_{n}(quality):\n    q = quality.upper()\n    unique = q.split('{n}')\n    return unique\n",
    "sums": "def f_{n}(x, y):\n    z = x * {n} + 7 * y\n    w = 9 * z - 3 * x\n    return w * 5 + {n}\n",
}
SHORT = ["--base", "tiny-qwen2", "--max-tokens", "400", "--rank", "2", "--alpha", "4", "--accumulate", "2"]
SHORT += ["--learning-rate", "0.05"]

pytestmark = pytest.mark.usefixtures("tiny_base")


@pytest.fixture
def anchors(tmp_path):
    """An anchor for each topic, of three items."""
    fields = {"layout": "infill", "instruction": "", "suffix": ""}
    rows = (
        {"anchor": name, "label": name, "prefix": "", "completion": form.format(n=n), **fields}
        for name, form in TOPICS.items()
        for n in (90, 91, 92)
    )
    path = tmp_path / "anchors.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def imported(tmp_path):
    """Twenty samples of each topic."""
    rows = (
        {"lang": "python", "problem": f"{name} {n}", "solution": f"```python\n{form.format(n=n)}```"}
        for n in range(20)
        for name, form in TOPICS.items()
    )
    path = tmp_path / "samples.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    trainer("import", path)


@pytest.fixture
def by_topic(imported, anchors):
    trainer_json("attribute", "--method", "bm25", "--anchors", anchors)
    return trainer_json("partition", "--k", "2")[0]


def test_topics_show_more_than_chance(by_topic):
    run = trainer_json("partition", "check", *SHORT)[0]
    figures = run["figures"]
    assert "the partition gives more than chance, as far as 8 held-out tasks tell: own-part" in figures["verdict"]
    assert run["parents"]["partition_run"] == by_topic["id"] and run["config"]["finetune"]["steps"] == 8
    assert figures["is_more_than_chance"] and figures["low"] > max(figures["random"])
    assert len(figures["random"]) == 3 and all(value > 0 for value in figures["parts"].values())


def test_random_parts_show_no_more_than_chance_and_what_is_better_is_proposed(imported, anchors):
    trainer("attribute", "--method", "random", "--anchors", anchors, "--seed", "1")  # of twenty seeds one may pass
    trainer("partition", "--k", "2")
    result = trainer("partition", "check", *SHORT)
    said = result.stdout.splitlines()[-1]
    assert "the partition gives no more than chance" in said and "`trainer partition" in said and result.exit_code == 0


def test_a_check_is_found_again_and_keeps_nothing_beside_its_figures(by_topic):
    asked = ["partition", "check", *SHORT, "--steps", "1", "--random", "1"]
    first, again = trainer_json(*asked)[0], trainer_json(*asked)[0]
    assert again["was_done"] and again["figures"] == first["figures"]
    assert not (paths.cache_dir() / "runs" / first["id"]).exists()
    assert f"check {first['id'][:12]}: finished" in trainer("status").stdout


def test_a_check_trains_as_many_adapters_at_once_as_were_asked_for(by_topic):
    result = trainer("partition", "check", *SHORT, "--steps", "1", "--random", "1", "--at-once", "1")
    assert "finetune 2 adapters, 1 at once" in result.stderr


def test_another_check_of_fewer_samples_is_another_run(by_topic):
    asked = ["partition", "check", *SHORT, "--steps", "1", "--random", "1"]
    few = trainer_json(*asked, "--limit", "10", "--held-out", "3")[0]
    assert few["figures"]["n_held_out"] == 3 and few["config"]["limit"] == 10


@pytest.mark.slow
@pytest.mark.resume
def test_a_check_killed_in_its_second_division_goes_on_and_says_the_same(by_topic):
    asked = ["partition", "check", *SHORT, "--steps", "2", "--random", "1", "--seed", "3"]
    whole = trainer_json(*asked)[0]
    with closing(open_store(write=True)) as db:
        db.table("runs").delete(whole["id"])
    assert killed(4, *asked) == -signal.SIGKILL
    assert len(list((paths.cache_dir() / "runs").glob("*/partition-0/trained.json"))) == 1
    resumed = trainer_json(*asked)[0]
    assert not resumed["was_done"] and resumed["figures"] == whole["figures"]


def test_without_a_division_there_is_nothing_to_check(by_topic):
    trainer("partition", "--k", "2", "--method", "whole")
    assert "divided nothing" in sentence(trainer("partition", "check", *SHORT))


def test_too_few_samples_are_told(by_topic):
    trainer("partition", "--k", "2", "--limit", "8")
    assert "there are too few samples to hold some out (8 " in sentence(trainer("partition", "check", *SHORT))


def test_a_part_whose_samples_are_all_held_out_is_told_before_the_work(by_topic):
    trainer("partition", "--k", "40", "--method", "kmeans")
    said = sentence(trainer("partition", "check", *SHORT))
    assert "a part has only samples that are held out; choose a smaller --k" in said


def test_samples_that_are_all_too_long_are_told(by_topic):
    assert "raise --max-tokens" in sentence(trainer("partition", "check", *SHORT, "--max-tokens", "16"))
