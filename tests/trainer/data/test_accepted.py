"""What was accepted in editors becomes samples."""

import json

import pytest
from click.testing import CliRunner

from spa_lsp.outcomes import file as outcomes
from spa_lsp.outcomes.records import Outcome
from trainer.cli import main
from trainer.data.accepted import write_accepted
from trainer.data.fences import fenced_blocks

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
