"""What was accepted in editors becomes samples."""

import json
from contextlib import closing

import pytest
from click.testing import CliRunner

from spa_lsp.outcomes import file as outcomes
from spa_lsp.outcomes.records import Outcome
from spa_lsp.storage.store import apply_migrations, open_store
from trainer.cli import main
from trainer.configs import ItemsConfig
from trainer.data.accepted import write_accepted
from trainer.data.fences import fenced_blocks
from trainer.data.samples import import_file, load_samples, make_items
from trainer.rows.tables import MIGRATIONS

NAMED = {"set_id": "s", "index": 0, "adapter": "a1", "language": "python"}


def trainer(*words):
    return CliRunner().invoke(main, ["import", *words])


def test_accepted_text_becomes_samples_once():
    prefix = "def add(a, b):\n    "
    outcomes.write(
        [
            Outcome(kind="accepted", **NAMED, prefix=prefix, text="return a + b"),
            Outcome(kind="accepted", **NAMED),
            Outcome(kind="shown", **NAMED, prefix=prefix, text="pass"),
        ]
    )
    reports = [json.loads(trainer("--from-outcomes", "--json").stdout) for _ in range(2)]
    assert [(report["new"], report["known"]) for report in reports] == [(1, 0), (0, 1)]


def written(tmp_path, *records):
    outcomes.write([Outcome(**{**NAMED, "kind": kind, "prefix": "x = ", "text": text}) for kind, text in records])
    write_accepted(tmp_path / "a.jsonl")
    return [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]


# issue 14
def test_what_was_kept_counts_more_than_what_was_edited(tmp_path):
    rows = written(tmp_path, ("accepted", "1"), ("accepted", "2"), ("edited", "2"))
    assert [(row["accepted_text"], row["sample_weight"]) for row in rows] == [("1", 1.0), ("2", 0.5)]


# issue 14
def test_what_was_kept_once_counts_as_kept(tmp_path):
    (row,) = written(tmp_path, ("accepted", "1"), ("edited", "1"), ("accepted", "1"))
    assert row["sample_weight"] == 1.0


# issue 14
def test_what_was_only_rejected_is_no_sample(tmp_path):
    assert [row["accepted_text"] for row in written(tmp_path, ("accepted", "1"), ("rejected", "2"))] == ["1"]


# issue 14
def test_what_is_learned_is_the_accepted_text_at_its_cursor(tmp_path):
    prefix = "y = 1  # far above\n" * 60 + "def add(a, b):\n    return "
    outcomes.write([Outcome(kind="accepted", **NAMED, prefix=prefix, text="a + b")])
    write_accepted(tmp_path / "a.jsonl")
    with closing(store_with_samples(tmp_path / "a.jsonl")) as db:
        (sample,) = load_samples(db)
    (item,) = make_items(sample, config=ItemsConfig(), seed=0)
    assert item.prefix.endswith("def add(a, b):\n    return ") and prefix.endswith(item.prefix)
    assert (item.suffix, item.completion, item.layout) == ("", "a + b", "infill") and len(item.prefix) <= 700


def store_with_samples(path):
    db = open_store(write=True)
    apply_migrations(db, MIGRATIONS)
    import_file(db, path)
    return db


# issue 14
def test_importing_again_takes_over_the_new_weight(tmp_path):
    written(tmp_path, ("accepted", "1"))
    store_with_samples(tmp_path / "a.jsonl").close()
    written(tmp_path, ("edited", "1"))
    with closing(store_with_samples(tmp_path / "a.jsonl")) as db:
        assert [sample.weight for sample in load_samples(db)] == [0.5]


# issue 14
def test_two_texts_that_were_accepted_at_one_cursor_are_both_learned(tmp_path):
    written(tmp_path, ("accepted", "f(1)"), ("accepted", "g(2)"))
    with closing(store_with_samples(tmp_path / "a.jsonl")) as db:
        items = [make_items(sample, config=ItemsConfig(), seed=0) for sample in load_samples(db)]
    assert [(item.prefix, item.completion) for own in items for item in own] == [("x = ", "f(1)"), ("x = ", "g(2)")]


# issue 14
def test_one_text_that_was_accepted_from_two_cursors_is_learned_at_both(tmp_path):
    for prefix, text in (("x = ", "f(1)"), ("x = f", "(1)")):
        outcomes.write([Outcome(kind="accepted", **NAMED, prefix=prefix, text=text)])
    write_accepted(tmp_path / "a.jsonl")
    with closing(store_with_samples(tmp_path / "a.jsonl")) as db:
        assert [sample.accepted for sample in load_samples(db)] == ["f(1)", "(1)"]


# issue 13
def test_accepted_text_with_a_fence_in_it_is_one_block(tmp_path):
    prefix = 'def add(a, b):\n    """Adds.\n```\nadd(1, 2)\n```\n    """\n    '
    outcomes.write([Outcome(kind="accepted", **NAMED, prefix=prefix, text="return a + b")])
    write_accepted(tmp_path / "a.jsonl")
    (block,) = fenced_blocks(json.loads((tmp_path / "a.jsonl").read_text())["solution"])
    assert (block.language, block.code) == ("python", prefix + "return a + b\n")


def test_nothing_stored_is_told_with_the_way_out():
    outcomes.write([Outcome(kind="accepted", **NAMED)])
    result = trainer("--from-outcomes")
    assert result.exit_code == 1 and 'set recordOutcomes to "text"' in result.stderr


@pytest.mark.parametrize("words", [[], ["x.jsonl", "--from-outcomes"]])
def test_one_source_is_wanted(words):
    assert trainer(*words).exit_code == 2
