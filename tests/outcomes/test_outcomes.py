import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from click.testing import CliRunner

from spa_lsp import paths
from spa_lsp.cli import main
from spa_lsp.outcomes import file as outcomes
from spa_lsp.outcomes.metrics import summarize
from spa_lsp.outcomes.records import Answered, Outcome

DAY = "2026-01-01"


def outcome(kind="accepted", **changes):
    return Outcome(**{"kind": kind, "set_id": "s", "index": 0, "adapter": "a1", "language": "python", **changes})


def answered(**changes):
    return Answered(
        **{"set_id": "s", "language": "python", "latency_ms": 10.0, "n_items": 3, "is_cached": False, **changes}
    )


def test_outcomes_and_answers_read_back_in_order():
    outcomes.write([outcome(adapter="a3", language="c++"), answered(latency_ms=1.5), outcome("shown", index=2)])
    assert [(row["kind"], row["index"], row["adapter"], row["language"]) for row in outcomes.read_outcomes()] == [
        ("accepted", 0, "a3", "c++"),
        ("shown", 2, "a1", "python"),
    ]
    assert outcomes.read_answers()[0]["latency_ms"] == 1.5


def test_nothing_noted_is_an_empty_list():
    assert outcomes.read_outcomes() == outcomes.read_answers() == [] and outcomes.accepted_counts() == {}


@pytest.mark.parametrize(
    "bad", [{"language": "def f():"}, {"language": "x" * 81}, {"adapter": "a\n"}, {"set_id": "a b"}, {"kind": "a/b"}]
)
def test_code_cannot_get_into_names(bad):
    with pytest.raises(ValueError, match="plain name"):
        outcomes.write([outcome(), outcome(**bad)])
    assert outcomes.read_outcomes() == []


def test_text_is_kept_when_it_is_given_and_cut_at_the_cursor(monkeypatch):
    monkeypatch.setattr(outcomes, "MAX_TEXT_CHARS", 4)
    outcomes.write([outcome(prefix="x = 1\nab", text="cd"), outcome()])
    rows = outcomes.read_outcomes()
    assert [(row["prefix"], row["text"]) for row in rows] == [("1\nab", "cd"), (None, None)]


def test_the_oldest_rows_go_when_the_file_is_full(monkeypatch):
    monkeypatch.setattr(outcomes, "MAX_BYTES", 0)
    for n in range(12):
        outcomes.write([outcome(index=n), answered()])
    indices = [row["index"] for row in outcomes.read_outcomes()]
    assert indices[-1] == 11 and len(indices) < 12 and len(outcomes.read_answers()) < 12


def test_the_oldest_rows_go_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(outcomes, "MAX_ROWS", 3)
    outcomes.write([outcome(index=n) for n in range(5)])
    assert [row["index"] for row in outcomes.read_outcomes()] == [2, 3, 4]


def test_the_file_is_private():
    outcomes.write([outcome()])
    assert (paths.data_dir() / "outcomes.db").stat().st_mode & 0o777 == 0o600


def test_two_processes_write_at_once():
    note = "from spa_lsp.outcomes.file import Outcome, write\nfor n in range(10):\n    "
    note += "write([Outcome(kind='accepted', set_id='s', index=n, adapter='a1', language='python')])"
    processes = [subprocess.Popen([sys.executable, "-c", note]) for _ in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert len(outcomes.read_outcomes()) == 20


def test_a_file_of_the_first_version_goes_on():
    paths.data_dir().mkdir(parents=True)
    with closing(sqlite3.connect(paths.data_dir() / "outcomes.db")) as connection, connection:
        connection.execute(
            'CREATE TABLE outcomes (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, set_id TEXT NOT NULL, "index" INTEGER '
            "NOT NULL, adapter TEXT NOT NULL, language TEXT NOT NULL, created TEXT NOT NULL) STRICT"
        )
        connection.execute("INSERT INTO outcomes VALUES (1, 'accepted', 's', 0, 'a1', 'python', '2026-01-01')")
    assert len(outcomes.read_outcomes()) == 1 and outcomes.read_answers() == []
    outcomes.write([outcome(n_chars=3), answered()])
    assert [row["n_chars"] for row in outcomes.read_outcomes()] == [None, 3]


# #11
def test_a_file_whose_sets_were_only_named_goes_on_and_the_sets_are_told_apart():
    outcomes.write([outcome(), answered()])
    with closing(sqlite3.connect(paths.data_dir() / "outcomes.db")) as connection, connection:
        for table in ("outcomes", "answers"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN set_sha256")
    outcomes.write([outcome(set_sha256="1" * 64), answered(set_sha256="1" * 64)])
    assert [row["set_sha256"] for row in outcomes.read_outcomes()] == [None, "1" * 64]
    assert [row["set_sha256"] for row in outcomes.read_answers()] == [None, "1" * 64]
    assert [row["set_sha256"] for row in summarize(outcomes.read_outcomes(), [])["adapters"]] == ["", "1" * 64]


def test_accepts_are_counted_by_language_and_adapter():
    outcomes.write([outcome(), outcome(), outcome("shown"), outcome(adapter="a2"), outcome(language="go")])
    assert outcomes.accepted_counts() == {"python": {"a1": 2, "a2": 1}, "go": {"a1": 1}}


def row(kind="accepted", adapter="a1", language="python"):
    return {"kind": kind, "set_id": "s", "adapter": adapter, "language": language, "created": DAY}


def answer_row(latency_ms, *, n_items=1, is_cached=0, language="python"):
    return {
        "language": language,
        "latency_ms": latency_ms,
        "n_items": n_items,
        "is_cached": is_cached,
        "created": DAY,
    }


def test_acceptance_is_accepted_of_shown_per_adapter_and_language():
    rows = [row("shown"), row("shown"), row("accepted"), row("shown", "a2"), row("accepted", "a2", "go")]
    found = {(each["adapter"], each["language"]): each["acceptance"] for each in summarize(rows, [])["adapters"]}
    assert found == {("a1", "python"): 0.5, ("a2", "python"): 0.0, ("a2", "go"): None}


# #11
def test_a_set_that_was_published_anew_under_its_name_has_figures_of_its_own():
    rows = [{**row(kind), "set_sha256": made} for kind, made in [("shown", "1"), ("accepted", "1"), ("shown", "2")]]
    found = {each["set_sha256"]: each["acceptance"] for each in summarize(rows, [])["adapters"]}
    assert found == {"1": 1.0, "2": 0.0}


def test_percentiles_are_of_answers_that_the_engine_gave():
    answers = [answer_row(float(n)) for n in range(1, 101)] + [answer_row(0.1, is_cached=1) for _ in range(100)]
    total = summarize([], answers)["total"]
    assert (total["p50_ms"], total["p95_ms"], total["cache_share"]) == (50.0, 95.0, 0.5)


def test_acceptance_of_a_language_counts_answers_with_alternatives():
    answers = [answer_row(1), answer_row(1), answer_row(1, n_items=0), answer_row(1, language="go")]
    python = summarize([row()], answers)["languages"][1]
    assert (python["language"], python["acceptance"], python["answers"]) == ("python", 0.5, 3)


def test_the_command_prints_figures_and_forgets_them():
    outcomes.write([outcome("shown"), outcome(), answered(latency_ms=12.0), answered(is_cached=True)])
    run = CliRunner().invoke
    assert "a1" in run(main, ["metrics"]).output and "p50 12 ms" in run(main, ["metrics"]).output
    assert json.loads(run(main, ["metrics", "--json"]).stdout)["total"]["accepted"] == 1
    assert run(main, ["metrics", "--reset"]).stdout == "nothing was noted yet\n"
    assert outcomes.read_outcomes() == []
