"""Runs: the digest key, beginning again, the latest one."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from sqlite_utils import Database

from spa_lsp.errors import Damaged
from trainer.configs import AttributeConfig, FinetuneConfig, ItemsConfig, PartitionConfig
from trainer.rows.records import canonical, content_id, plain, read_record
from trainer.rows.runs import begin_run, find_run, finish_run, latest_run, list_records
from trainer.rows.stages import (
    ATTRIBUTE,
    EVALUATE,
    FINETUNE,
    PARTITION,
    AdapterFigures,
    AttributeParents,
    AttributeSettings,
    EvaluateParents,
    EvaluateSettings,
    FinetuneFigures,
    FinetuneParents,
    FinetuneSettings,
    PartitionFigures,
    PartitionParents,
    PartitionSettings,
)
from trainer.rows.tables import MIGRATIONS


@pytest.fixture
def db():
    database = Database(memory=True)
    MIGRATIONS.apply(database)
    return database


PARTS = PartitionFigures(
    sizes={"x": 1, "y": 2}, smallest_share=1 / 3, largest_share=2 / 3, names=("x", "y"), labels=("X", "Y"),
    attribute_method="bm25",
)  # fmt: skip


def begin(db, config=None, *, parents=None, seed=0, stage=PARTITION, **options):
    settings = PartitionSettings(partition=config or PartitionConfig())
    return begin_run(db, stage, settings, parents=parents or PartitionParents(attribute_run="a"), seed=seed, **options)


def train(db, **options):
    settings = FinetuneSettings(finetune=FinetuneConfig(**options), items=ItemsConfig(), base="tiny")
    return begin_run(db, FINETUNE, settings, parents=FinetuneParents(partition_run="p", base="b"), seed=0)


def old_id(stage, config, inputs):
    """The id of a run from before parents had names."""
    return content_id({"stage": stage, "format": 1, "config": config, "inputs": inputs, "seed": 0})


def test_digest_does_not_depend_on_the_order_of_keys():
    assert content_id({"a": 1, "b": (2, 3)}) == content_id({"b": [2, 3], "a": 1})


def test_digest_of_a_dataclass_is_that_of_its_fields():
    assert content_id(PartitionConfig(k=3)) == content_id({"method": "balanced", "normalize": "contrast", "k": 3})


def test_digest_refuses_what_is_not_a_number():
    with pytest.raises(ValueError):
        content_id(float("nan"))


def test_the_same_run_is_found_again(db):
    assert begin(db) == begin(db)
    assert len(list(list_records(db))) == 1


@pytest.mark.parametrize(
    "other",
    [{"config": PartitionConfig(k=3)}, {"parents": PartitionParents(attribute_run="b")}, {"seed": 1}],
    ids=["config", "parents", "seed"],
)
def test_another_input_is_another_run(db, other):
    assert begin(db).id != begin(db, **other).id


def test_how_often_a_checkpoint_is_written_is_not_part_of_the_key(db):
    assert train(db, checkpoint_every=1).id == train(db, checkpoint_every=9).id


def test_a_run_begins_unfinished_and_keeps_its_config(db):
    run = begin(db, PartitionConfig(k=5), seed=7)
    assert (run.is_finished, run.settings.partition.k, run.seed, run.found) == (False, 5, 7, None)
    assert run.parents == PartitionParents(attribute_run="a")


def test_a_run_names_the_versions_it_was_made_with(db):
    assert begin(db).versions["numpy"] == np.__version__


def test_a_finished_run_has_its_figures(db):
    finished = finish_run(db, begin(db), replace(PARTS, stability=np.float32(0.5)))
    assert (finished.is_finished, finished.figures) == (True, replace(PARTS, stability=0.5))
    assert begin(db) == finished == find_run(db, PARTITION, finished.id)


def test_the_latest_run_is_the_one_that_was_asked_for_last(db):
    first, second = begin(db, seed=1), begin(db, seed=2)
    for run in (first, second):
        finish_run(db, run, PARTS)
    assert latest_run(db, PARTITION).id == second.id
    begin(db, seed=1)
    assert latest_run(db, PARTITION).id == first.id


def test_an_unfinished_run_is_never_the_latest(db):
    begin(db)
    assert latest_run(db, PARTITION) is None


def test_a_figure_that_is_no_number_is_kept_as_null(db):
    own = AdapterFigures(held_out_own=float("nan"))
    figures = FinetuneFigures(
        files={0: "a"}, sha256={0: "f"}, adapters={0: own}, held_out_matrix=((float("inf"), 1.0),)
    )
    finished = finish_run(db, train(db), figures)
    assert finished.figures == replace(figures, adapters={0: AdapterFigures()}, held_out_matrix=((None, 1.0),))


def test_a_run_says_how_many_seconds_it_took(db):
    run = begin(db)
    assert run.record["seconds"] is None
    finish_run(db, run, PARTS)
    times = {"started": "2026-01-01T12:00:00+00:00", "finished": "2026-01-01T12:01:30.5+00:00"}
    db.table("runs").update(run.id, times)
    assert find_run(db, PARTITION, run.id).record["seconds"] == 90.5


def test_the_git_commit_is_kept_when_the_source_tree_has_one(db):
    commit = begin(db).git_commit
    assert commit is None or len(commit) == 40


# --- what older versions wrote (#14)


def test_a_partition_from_before_parents_had_names_is_found_again(db):
    config = {"partition": {"method": "balanced", "normalize": "contrast", "k": 8}, "limit": None}
    assert begin(db).id == old_id("partition", config, ["a"])


def test_a_second_parent_counts_as_it_did_when_it_had_no_name(db):
    config = {"partition": {"method": "balanced", "normalize": "contrast", "k": 8}, "limit": None}
    parents = PartitionParents(attribute_run="a", within_run="w")
    assert begin(db, parents=parents).id == old_id("partition", config, ["a", "w"])


def test_parents_without_names_are_read_in_their_order(db):
    run = begin(db, parents=PartitionParents(attribute_run="a", within_run="w"))
    db.table("runs").update(run.id, {"inputs": '["a","w"]'})
    assert find_run(db, PARTITION, run.id).parents == run.parents


def test_a_parent_that_an_older_run_had_not_is_none(db):
    parents = AttributeParents(samples="s", anchors="a")
    settings = AttributeSettings(attribute=FIRST_ATTRIBUTE, items=ItemsConfig())
    run = begin_run(db, ATTRIBUTE, settings, parents=parents, seed=0)
    db.table("runs").update(run.id, {"inputs": '["s","a"]'})
    assert find_run(db, ATTRIBUTE, run.id).parents == parents


FIRST_ATTRIBUTE = AttributeConfig(method="bm25")
ATTEMPTS = EvaluateSettings(
    arm="base", benchmark="b", layout="infill", k=1, temperature=0.0, top_p=1.0, max_tokens=9, stop="multi", base="q",
    quantization="fp32", adapter_set="s",
)  # fmt: skip


def test_the_adapters_of_an_older_evaluation_are_read(db):
    run = begin_run(db, EVALUATE, ATTEMPTS, parents=EvaluateParents(adapters=("x", "y")), seed=0)
    assert run.id == old_id(
        "evaluate", {name: v for name, v in vars(ATTEMPTS).items() if v not in ("", ())}, ["x", "y"]
    )
    db.table("runs").update(run.id, {"inputs": '["x","y"]'})
    assert find_run(db, EVALUATE, run.id).parents.adapters == ("x", "y")


def test_figures_that_an_older_run_lacks_are_unknown(db):
    run = finish_run(db, begin(db), PARTS)
    known = {name: value for name, value in plain(PARTS).items() if name != "stability_by_chance"}
    db.table("runs").update(run.id, {"figures": canonical({**known, "no_longer_known": 1})})
    assert find_run(db, PARTITION, run.id).figures == PARTS


def test_a_run_that_cannot_be_read_says_what_to_do(db):
    run = finish_run(db, begin(db), PARTS)
    db.table("runs").update(run.id, {"figures": '{"sizes": 3}'})
    with pytest.raises(Damaged, match="partition run .* was written by another version .* run that stage again"):
        find_run(db, PARTITION, run.id)


def test_an_option_that_was_added_counts_only_where_it_is_not_the_default():
    @dataclass(frozen=True)
    class Config:
        rank: int = 4
        core: int = field(default=0, metadata={"is_added": True})

    assert canonical(Config()) == canonical({"rank": 4})
    assert canonical(Config(core=2)) == canonical({"rank": 4, "core": 2})


def test_a_float_that_is_null_is_not_a_number():
    @dataclass(frozen=True)
    class Figures:
        loss: float

    assert np.isnan(read_record(Figures, {"loss": None}, of="it").loss)
