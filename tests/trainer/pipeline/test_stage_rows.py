"""The rows between stages."""

import numpy as np
import pytest
from sqlite_utils import Database

from spa_lsp.errors import BadInput, NotFound
from trainer.configs import AttributeConfig, ItemsConfig, PartitionConfig
from trainer.pipeline.stage_rows import data_record, finish_with_rows, load_influence, load_parts, source_run
from trainer.rows.runs import begin_run, finish_run
from trainer.rows.stages import (
    ATTRIBUTE,
    AttributeFigures,
    AttributeParents,
    AttributeSettings,
    PartitionFigures,
    PartitionParents,
    PartitionSettings,
)
from trainer.rows.stages import (
    PARTITION as STAGE,
)
from trainer.rows.tables import MIGRATIONS

PARTITION = PartitionConfig()
ASKED = AttributeSettings(attribute=AttributeConfig(method="bm25"), items=ItemsConfig())
INFLUENCE = AttributeFigures(
    method="bm25", language="python", n_samples=3, n_skipped=0, anchors=("q",), labels=("Q",), n_items=1, correlation=0
)


@pytest.fixture
def db():
    database = Database(memory=True)
    MIGRATIONS.apply(database)
    for n, name in enumerate("abc"):
        fields = {"lang": "python", "problem": name, "solution": name, "extra": "{}"}
        database.table("samples").insert({"n": n, "id": name, **fields, "problem_key": name, "solution_key": name})
    return database


def divide(db, rows, *, names=("x", "y"), config=PARTITION):
    return finish_with_rows(db, begin(db, config), figures(names), "part_members", "part", rows)


def begin(db, config=PARTITION, *, seed=0):
    parents = PartitionParents(attribute_run="i")
    return begin_run(db, STAGE, PartitionSettings(partition=config), parents=parents, seed=seed)


def figures(names=("x", "y")):
    return PartitionFigures(
        sizes=dict.fromkeys(names, 1), smallest_share=0.5, largest_share=0.5, names=names, labels=names,
        attribute_method="bm25",
    )  # fmt: skip


def test_parts_come_back_in_the_order_of_import(db):
    parts = load_parts(db, divide(db, [("c", 0), ("b", 1), ("a", 0)]), None)
    assert {part: [sample.id for sample in own] for part, own in parts.items()} == {0: ["a", "c"], 1: ["b"]}


def test_a_limit_holds_for_each_part(db):
    parts = load_parts(db, divide(db, [("c", 0), ("b", 1), ("a", 0)]), 1)
    assert [len(own) for own in parts.values()] == [1, 1]


def test_what_a_limit_left_out_is_not_what_a_set_was_made_from(db):
    db.table("datasets").insert_all({"id": id, "name": id, "n_bytes": 1, "imported": "x"} for id in ("d", "e"))
    db.table("dataset_samples").insert_all({"dataset_id": own, "sample_id": id} for own, id in ("da", "db", "ec"))
    divided = divide(db, [("c", 0), ("b", 1), ("a", 0)])
    whole, part = data_record(db, divided), data_record(db, divided, 1)
    assert (whole["n_samples"], whole["datasets"]) == (3, [{"sha256": "d"}, {"sha256": "e"}])
    assert (part["n_samples"], part["datasets"]) == (2, [{"sha256": "d"}])


def test_an_empty_part_is_named_with_the_way_out(db):
    with pytest.raises(BadInput, match="part 'y' has no samples.*balanced"):
        load_parts(db, divide(db, [("a", 0)]), None)


def test_without_division_every_part_has_all_samples_in_their_order(db):
    divided = divide(db, [("c", 0), ("a", 0)], config=PartitionConfig(method="whole"))
    parts = load_parts(db, divided, None)
    assert {part: [sample.id for sample in own] for part, own in parts.items()} == {0: ["a", "c"], 1: ["a", "c"]}
    assert data_record(db, divided)["n_samples"] == 2


# #14
def test_what_is_published_tells_no_name_of_an_imported_file(db):
    db.table("datasets").insert({"id": "d", "name": "acme-bank", "n_bytes": 1, "imported": "x"})
    db.table("dataset_samples").insert({"dataset_id": "d", "sample_id": "a"})
    record = data_record(db, divide(db, [("c", 0), ("a", 0)]))
    assert record["datasets"] == [{"sha256": "d"}] and "acme" not in str(record)


def test_influence_can_be_restricted_to_the_samples_of_another_run(db):
    runs = []
    for seed, names in enumerate(("abc", "cb")):
        run = begin_run(db, ATTRIBUTE, ASKED, parents=AttributeParents(samples="s", anchors="a"), seed=seed)
        rows = [(name, np.float32([seed]).tobytes()) for name in names]
        runs.append(finish_with_rows(db, run, INFLUENCE, "influence", "data", rows))
    assert load_influence(db, runs[0], None)[0] == ["a", "b", "c"]
    assert load_influence(db, runs[0], None, within=runs[1].id)[0] == ["b", "c"]


def test_an_ambiguous_start_of_an_id_is_refused(db):
    for seed in range(40):  # sixteen first letters
        finish_run(db, begin(db, seed=seed), figures())
    letter = next(iter(db.query("SELECT substr(id, 1, 1) AS a FROM runs GROUP BY a HAVING count(*) > 1")))["a"]
    with pytest.raises(NotFound, match="runs begin"):
        source_run(db, STAGE, letter)
