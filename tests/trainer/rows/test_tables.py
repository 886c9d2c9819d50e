import json

import pytest
from sqlite_utils import Database

from trainer.configs import SynthesizeConfig
from trainer.data.samples import load_samples
from trainer.rows.records import canonical
from trainer.rows.runs import begin_run
from trainer.rows.stages import SYNTHESIZE, SynthesizeParents, SynthesizeSettings
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


SEED = dict.fromkeys(("kind", "commit_id", "licence", "outcome"), "x") | dict.fromkeys(
    ("first_line", "last_line", "n_answers", "n_unreadable", "n_wrong", "n_masked", "n_tokens", "seconds", "ask_s"), 0
)


def synthesized(db, run_id, sources, *seed_ids):
    config = {"synthesize": SynthesizeConfig(), "sources": sources, "base": "b", "quantization": "auto"}
    said = {
        "config": canonical(config),
        "inputs": '{"base":"sha"}',
        "versions": "{}",
        "figures": "{}",
        "started": run_id,
    }
    db.table("runs").insert({"id": run_id, "stage": "synthesize", "seed": 0, "status": "finished", **said})
    db.table("datasets").insert({"id": run_id, "name": f"synthesized from {sources}", "n_bytes": 0, "imported": "x"})
    for seed_id in seed_ids:
        place = {"run_id": run_id, "id": seed_id, "repository": sources[0], "path": "a.py"}
        db.table("seed_snippets").insert({**place, **SEED})
        extra = json.dumps({"origin": {"run": run_id}})
        sample = {**dict.fromkeys(("problem", "solution", "problem_key", "solution_key"), seed_id), "extra": extra}
        db.table("samples").insert({"id": seed_id, "lang": "python", **sample}, ignore=True)
        db.table("dataset_samples").insert({"dataset_id": run_id, "sample_id": seed_id})


@pytest.fixture
def by_source():
    """A store whose synthesize runs have their sources in the key: of one repository, and of two; and an import."""
    db = Database(memory=True)
    db.execute("PRAGMA foreign_keys = ON")
    MIGRATIONS.apply(db, stop_before="m010_sources_are_no_key")
    synthesized(db, "r1", ["/home/jane/a"], "s1")
    synthesized(db, "r2", ["/home/jane/a", "/home/jane/b"], "s1", "s2")
    db.table("datasets").insert({"id": "i", "name": "rows.jsonl", "n_bytes": 9, "imported": "x"})
    db.table("dataset_samples").insert({"dataset_id": "i", "sample_id": "s2"})
    imported = {**dict.fromkeys(("problem", "solution", "problem_key", "solution_key"), "own"), "extra": '{"x": NaN}'}
    db.table("samples").insert({"id": "s3", "lang": "python", **imported})
    db.table("dataset_samples").insert({"dataset_id": "i", "sample_id": "s3"})
    return db


# #14
def test_runs_of_several_sources_become_the_run_of_their_settings(by_source):
    MIGRATIONS.apply(by_source)
    settings = SynthesizeSettings(synthesize=SynthesizeConfig(), base="b", quantization="auto")
    run = begin_run(by_source, SYNTHESIZE, settings, parents=SynthesizeParents(base="sha"), seed=0)
    assert [row["id"] for row in by_source.table("runs").rows] == [run.id] and not run.is_finished
    assert [row["id"] for row in by_source.table("seed_snippets").rows_where("run_id = ?", [run.id])] == ["s1", "s2"]


# #14
def test_no_run_and_no_data_set_names_a_folder_any_more(by_source):
    MIGRATIONS.apply(by_source)
    assert {row["name"] for row in by_source.table("datasets").rows} == {"synthesized", "rows.jsonl"}
    assert "jane" not in str([*by_source.table("runs").rows, *by_source.table("datasets").rows])


# #14
def test_an_import_no_longer_keeps_a_synthesized_sample(by_source):
    MIGRATIONS.apply(by_source)
    (run,) = by_source.table("runs").rows
    places = {(row["dataset_id"], row["sample_id"]) for row in by_source.table("dataset_samples").rows}
    assert places == {(run["id"], "s1"), (run["id"], "s2"), ("i", "s3")}
    extras = [json.loads(row["extra"]) for row in by_source.table("samples").rows_where("id != 's3'")]
    assert [extra["origin"]["run"] for extra in extras] == 2 * [run["id"]]


def test_members_of_parts_are_taken_over_and_may_then_be_in_several():  # (#14)
    db = Database(memory=True)
    MIGRATIONS.apply(db, stop_before="m011_members_of_several_parts")
    run = dict.fromkeys(("stage", "config", "inputs", "versions", "figures", "started"), "")
    db.table("runs").insert({"id": "r1", "status": "finished", "seed": 0, **run})
    db.table("part_members").insert({"run_id": "r1", "sample_id": "s", "part": 3})
    MIGRATIONS.apply(db)
    db.table("part_members").insert({"run_id": "r1", "sample_id": "s", "part": 4})
    assert [row["part"] for row in db.table("part_members").rows] == [3, 4]


def test_what_an_old_import_kept_becomes_json():  # (#14)
    db = Database(memory=True)
    MIGRATIONS.apply(db, stop_before="m012_extra_is_json")
    for n, extra in enumerate(['{"score": [NaN, 1.5], "low": -Infinity}', '{"seed": "NaN"}']):
        texts = dict.fromkeys(("problem", "solution", "problem_key", "solution_key"), f"{n}")
        db.table("samples").insert({"id": f"s{n}", "lang": "python", **texts, "extra": extra})
    MIGRATIONS.apply(db)
    assert [sample.weight for sample in load_samples(db)] == [1.0, 1.0]
    extras = [json.loads(row["extra"]) for row in db.query("SELECT extra FROM samples ORDER BY n")]
    assert extras == [{"score": [None, 1.5], "low": None}, {"seed": "NaN"}]
