"""A file is there whole or as it was; a stamp tells that it changed."""

import pytest

from spa_lsp.storage.whole_files import file_stamp, written_whole


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


def test_a_stamp_is_another_for_other_content_and_none_for_no_file(tmp_path):
    path = tmp_path / "a.json"
    none = file_stamp(path)
    path.write_text("a")
    one = file_stamp(path)
    path.write_text("ab")
    assert none is None and one is not None and one != file_stamp(path)
