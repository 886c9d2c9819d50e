"""Errors that a full, read-only or foreign file system gives: one sentence with the way out, wherever they come up."""

import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from spa_lsp import paths
from spa_lsp.cli import main as spa_lsp
from spa_lsp.errors import Busy, Damaged, NoSpace, SpaError, Unavailable
from spa_lsp.outcomes import file as outcomes
from spa_lsp.storage.sqlite_errors import explain
from spa_lsp.storage.sqlite_file import explained
from trainer.cli import main as trainer

KINDS = {
    "locking protocol": Unavailable,
    "disk I/O error": Unavailable,
    "attempt to write a readonly database": Unavailable,
    "unable to open database file": Unavailable,
    "database or disk is full": NoSpace,
    "database is locked": Busy,
    "database table is locked": Busy,
    "file is not a database": Damaged,
    "database disk image is malformed": Damaged,
}


# #11
@pytest.mark.parametrize("text", KINDS)
def test_what_a_file_system_gives_is_told_with_the_file_and_the_way_out(text):
    with pytest.raises(SpaError, match="spa.db.*; .*SPA_HOME") as caught, explained(Path("/mnt/spa.db")):
        raise sqlite3.OperationalError(text)
    assert type(caught.value) is KINDS[text] and "\n" not in str(caught.value)


# #14  a reader's first write is the index of the log, of which SQLite says no more than this
def test_on_a_full_disk_an_error_of_io_is_no_space(monkeypatch, tmp_path):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=4096))
    for path in (tmp_path, tmp_path / "spa.db"):
        assert isinstance(explain(sqlite3.OperationalError("disk I/O error"), path), NoSpace)


# #11
@pytest.mark.parametrize(("program", "arguments"), [(spa_lsp, ["metrics"]), (trainer, ["status"])])
def test_a_command_ends_with_that_sentence_wherever_it_comes_up(monkeypatch, program, arguments):
    def fail(*_, **__):
        raise sqlite3.OperationalError("locking protocol")

    monkeypatch.setattr("trainer.pipeline.stage_rows.open_store", fail)
    monkeypatch.setattr(outcomes, "read_outcomes", fail)
    done = CliRunner().invoke(program, arguments)
    assert done.exit_code == 1 and f"{paths.data_dir()} cannot be locked" in done.stderr


def test_a_bug_in_a_query_is_not_explained_away():
    assert explain(sqlite3.OperationalError("no such column: x"), Path("spa.db")) is None
    assert explain(ValueError("database is locked"), Path("spa.db")) is None
