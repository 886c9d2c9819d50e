"""Runs: the digest key, beginning again, the latest one."""

import numpy as np
import pytest
from sqlite_utils import Database

from trainer.configs import FinetuneConfig, PartitionConfig
from trainer.rows.runs import begin_run, content_id, find_run, finish_run, latest_run, list_runs, run_record
from trainer.rows.tables import MIGRATIONS


@pytest.fixture
def db():
    database = Database(memory=True)
    MIGRATIONS.apply(database)
    return database


def begin(db, config=None, *, inputs=("a",), seed=0, stage="partition"):
    return begin_run(db, stage, config or PartitionConfig(), inputs=inputs, seed=seed)


def test_digest_does_not_depend_on_the_order_of_keys():
    assert content_id({"a": 1, "b": (2, 3)}) == content_id({"b": [2, 3], "a": 1})


def test_digest_of_a_dataclass_is_that_of_its_fields():
    assert content_id(PartitionConfig(k=3)) == content_id({"method": "balanced", "normalize": "contrast", "k": 3})


def test_digest_refuses_what_is_not_a_number():
    with pytest.raises(ValueError):
        content_id(float("nan"))


def test_the_same_run_is_found_again(db):
    assert begin(db) == begin(db)
    assert len(list_runs(db)) == 1


@pytest.mark.parametrize(
    "other",
    [{"config": PartitionConfig(k=3)}, {"inputs": ("b",)}, {"seed": 1}, {"stage": "attribute"}],
    ids=["config", "inputs", "seed", "stage"],
)
def test_another_input_is_another_run(db, other):
    assert begin(db).id != begin(db, **other).id


def test_how_often_a_checkpoint_is_written_is_not_part_of_the_key(db):
    often, seldom = FinetuneConfig(checkpoint_every=1), FinetuneConfig(checkpoint_every=9)
    assert begin(db, {"finetune": often}).id == begin(db, {"finetune": seldom}).id


def test_a_run_begins_unfinished_and_keeps_its_config(db):
    run = begin(db, PartitionConfig(k=5), seed=7)
    assert (run.is_finished, run.config["k"], run.seed, run.inputs, run.finished) == (False, 5, 7, ("a",), "")


def test_a_run_names_the_versions_it_was_made_with(db):
    assert begin(db).versions["numpy"] == np.__version__


def test_a_finished_run_has_its_figures(db):
    finished = finish_run(db, begin(db), {"loss": np.float32(0.5), "sizes": (1, 2)})
    assert (finished.is_finished, finished.figures) == (True, {"loss": 0.5, "sizes": [1, 2]})
    assert begin(db) == finished == find_run(db, finished.id)


def test_the_latest_run_is_the_one_that_was_asked_for_last(db):
    first, second = begin(db, seed=1), begin(db, seed=2)
    for run in (first, second):
        finish_run(db, run, {})
    assert latest_run(db, "partition").id == second.id
    begin(db, seed=1)
    assert latest_run(db, "partition").id == first.id


def test_an_unfinished_run_is_never_the_latest(db):
    begin(db)
    assert latest_run(db, "partition") is None


def test_a_figure_that_is_no_number_is_kept_as_null(db):
    finished = finish_run(db, begin(db), {"loss": float("nan"), "rows": [[np.float32("inf"), 1.0]], "name": "a"})
    assert finished.figures == {"loss": None, "rows": [[None, 1.0]], "name": "a"}


def test_a_run_says_how_many_seconds_it_took(db):
    assert run_record(begin(db))["seconds"] is None
    assert run_record(finish_run(db, begin(db), {}))["seconds"] >= 0


def test_the_git_commit_is_kept_when_the_source_tree_has_one(db):
    commit = begin(db).git_commit
    assert commit is None or len(commit) == 40
