import pytest
from sqlite_utils import Database

from trainer.rows.tables import MIGRATIONS


@pytest.fixture
def old():
    """A store of before completions were apart from their judgements, with one attempt."""
    db = Database(memory=True)
    MIGRATIONS.apply(db, stop_before="m007_completions")
    run = dict.fromkeys(("stage", "config", "inputs", "versions", "figures", "started"), "")
    db.table("runs").insert({"id": "r1", "status": "finished", "seed": 0, **run})
    texts = dict.fromkeys(("task_id", "adapter", "label", "finish", "sandbox", "quantization", "device"), "x")
    numbers = dict.fromkeys(("place", "n_tokens", "mean_logprob", "seconds", "verdict_s"), 0)
    said = {"raw_text": "as it came", "shown_text": "as shown", "verdict": "pass", "raw_verdict": "fail"}
    db.table("attempts").insert({"run_id": "r1", "problem_id": "p1", **texts, **numbers, **said})
    return db


def test_completions_are_taken_over_and_verdicts_of_no_known_judge_are_not(old):
    MIGRATIONS.apply(old)
    assert [row["text"] for row in old.table("completions").rows] == ["as it came"]
    assert old.table("judgements").count == 0 and not {"attempts", "figures"} & {*old.table_names()}


def test_members_of_parts_are_taken_over_and_may_then_be_in_several():  # (#14)
    db = Database(memory=True)
    MIGRATIONS.apply(db, stop_before="m010_members_of_several_parts")
    run = dict.fromkeys(("stage", "config", "inputs", "versions", "figures", "started"), "")
    db.table("runs").insert({"id": "r1", "status": "finished", "seed": 0, **run})
    db.table("part_members").insert({"run_id": "r1", "sample_id": "s", "part": 3})
    MIGRATIONS.apply(db)
    db.table("part_members").insert({"run_id": "r1", "sample_id": "s", "part": 4})
    assert [row["part"] for row in db.table("part_members").rows] == [3, 4]
