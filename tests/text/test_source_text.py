import codecs
from pathlib import Path

import pytest

from spa_lsp.errors import BadInput, NotFound
from spa_lsp.text.source_text import MAX_BYTES, FilePlace, decode_text, language_of, offset_of, parse_place, read_text


def at(line, column, path="f.py"):
    return FilePlace(path=Path(path), line=line, column=column)


@pytest.mark.parametrize("text", ["a.py:3:5", "dir/a b.py:3:5", "c:\\x:y.py:3:5", "a:1:2.py:3:5"])
def test_place_is_read_from_the_right(text):
    assert parse_place(text) == at(3, 5, text.removesuffix(":3:5"))


@pytest.mark.parametrize(
    "text", ["a.py", "a.py:3", "a.py:3:", "a.py:x:5", ":3:5", "a.py:-1:5", "a.py:٣:5", "a.py:3:5:", "a:1:" + "9" * 5000]
)
def test_another_form_is_no_place(text):
    with pytest.raises(ValueError, match="is not FILE:LINE:COL"):
        parse_place(text)


def test_columns_count_characters_and_may_stand_behind_the_last_one():
    assert offset_of("äöü\n𝒳y", at(2, 3)) == 6


def test_the_only_place_in_an_empty_file_is_its_beginning():
    assert offset_of("", at(1, 1)) == 0


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        (3, 1, "line 3 is outside f.py, which has 2 lines; choose 1 to 2"),
        (0, 1, "line 0 is outside f.py"),
        (1, 5, "column 5 is outside line 1 of f.py, which has 3 characters; choose 1 to 4"),
        (2, 2, "column 2 is outside line 2 of f.py, which has 0 characters; choose 1"),
        (1, 0, "column 0 is outside line 1"),
    ],
)
def test_a_place_outside_says_how_far_the_file_goes(line, column, message):
    with pytest.raises(BadInput, match=message):
        offset_of("abc\n", at(line, column))


@pytest.mark.parametrize("data", [b"a\r\nb", b"a\rb", b"a\nb"])
def test_every_line_end_becomes_the_same(data):
    assert decode_text(data, "f") == "a\nb"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides_and_is_no_character(encoding):
    assert decode_text("ä = 1".encode(encoding), "f") == "ä = 1"


def test_the_mark_of_the_other_byte_order_decides_too():
    assert decode_text(codecs.BOM_UTF16_BE + "ä".encode("utf-16-be"), "f") == "ä"


def test_a_coding_comment_decides():
    text = "#!/usr/bin/python\n# -*- coding: latin-1 -*-\né = 1\n"
    assert decode_text(text.encode("latin-1"), "f") == text


@pytest.mark.parametrize("name", ["hex", "nonsense", "undefined", "utf-8-unix"])
def test_a_coding_comment_that_names_no_encoding_of_text_is_a_comment(name):
    assert decode_text(f"# coding: {name}\né".encode(), "f").endswith("é")


def test_other_bytes_are_refused_with_their_place_and_the_way_out():
    with pytest.raises(BadInput, match=r"f\.py is not UTF-8 text: byte 0xe9 at offset 8, in line 2; .*iconv.*coding"):
        decode_text("x = 1\n# é".encode("latin-1"), "f.py")


def test_binary_content_is_refused():
    with pytest.raises(BadInput, match="NUL"):
        decode_text(b"a\0b", "f")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(NotFound, match="there is no file .*none.py"):
        read_text(tmp_path / "none.py")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(BadInput, match="is a folder"):
        read_text(tmp_path)


def test_a_device_is_refused():
    with pytest.raises(BadInput, match="not a regular file"):
        read_text(Path("/dev/zero"))


def test_a_file_in_a_file_is_refused(tmp_path):
    (tmp_path / "f").touch()
    with pytest.raises(BadInput, match="cannot be read"):
        read_text(tmp_path / "f" / "g.py")


def test_a_file_that_nobody_edits_by_hand_is_refused(tmp_path):
    with (tmp_path / "big").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(BadInput, match="67,108,865 bytes"):
        read_text(tmp_path / "big")


def test_the_language_is_known_by_the_name():
    assert [language_of(Path(name)) for name in ("a.PY", "b.yml", "c", "Makefile")] == [
        "python",
        "yaml",
        "",
        "makefile",
    ]
