"""A file is there whole or as it was; a stamp tells that it changed."""

import os
from pathlib import Path

import pytest

from spa_lsp.storage.whole_files import file_stamp, put_in_place, written_whole


def test_a_file_appears_with_its_folder(tmp_path):
    with written_whole(tmp_path / "new" / "a.json") as unfinished:
        unfinished.write_text("whole")
    assert (tmp_path / "new" / "a.json").read_text() == "whole"


def test_what_stood_there_stays_when_writing_fails(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("before")
    with pytest.raises(OSError, match="full"), written_whole(path) as unfinished:
        unfinished.write_text("ha")
        raise OSError("full")
    assert (path.read_text(), [each.name for each in tmp_path.iterdir()]) == ("before", ["a.json"])


def test_what_is_no_file_is_not_replaced(tmp_path):  # #14
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OSError, match="is no file"), written_whole(path) as unfinished:
        unfinished.write_text("ha")
    assert path.is_fifo()


@pytest.fixture
def two_folders(tmp_path):
    """A finished folder, and the one whose place it is to take."""
    for name in ("new", "mine"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / name).touch()
    return tmp_path / "new", tmp_path / "mine"


# #11
def test_a_folder_takes_the_place_of_another(two_folders, tmp_path):
    put_in_place(*two_folders)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "inner", "new"]


# #11
def test_the_folder_that_stood_there_stays_when_the_new_one_cannot_take_its_place(two_folders, tmp_path, monkeypatch):
    new, old = two_folders
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda path, target: rename(tmp_path / "none" if path == new else path, target))
    with pytest.raises(OSError, match="none"):
        put_in_place(new, old)
    assert (old / "inner" / "mine").exists() and sorted(path.name for path in tmp_path.iterdir()) == ["mine", "new"]


def test_a_stamp_is_another_for_other_content_and_none_for_no_file(tmp_path):
    path = tmp_path / "a.json"
    none = file_stamp(path)
    path.write_text("a")
    one = file_stamp(path)
    path.write_text("ab")
    assert none is None and one is not None and one != file_stamp(path)
