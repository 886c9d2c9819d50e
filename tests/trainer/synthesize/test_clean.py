"""Personal data and licence headers: what goes, what stays, and that lines keep their places."""

import pytest

from trainer.synthesize.clean import drop_licence_header, mask_code, mask_personal


@pytest.mark.parametrize(
    "text, masked",
    [
        ("write to jane.doe@corp-mail.de", "write to user@example.com"),
        ("host = '8.8.4.4'", "host = '192.0.2.1'"),
        ("call +49 (0)30 1234 5678 now", "call +1 555 0100 now"),
        ("open('/home/jane/x')", "open('/home/user/x')"),
        ("__author__ = 'Jane Doe'\nx = 1", "\nx = 1"),
    ],
)
def test_personal_data_are_masked_and_counted(text, masked):
    assert mask_personal(text) == (masked, 1)


@pytest.mark.parametrize(
    "text", ["user@example.com", "127.0.0.1", "10.0.0.7", "@property", "a = b@c", "version 1.2.3", "x = +1 - 2"]
)
def test_what_is_nobodys_stays(text):
    assert mask_personal(text) == (text, 0)


def test_masking_twice_masks_nothing_more():
    text, _ = mask_personal("jane@corp.de 8.8.8.8 +49 30 1234 5678 /home/jane/x")
    assert mask_personal(text) == (text, 0)


@pytest.mark.parametrize(
    "header",
    [
        "# Copyright (c) 2020 Somebody\n#\n# All rights reserved.\n",
        '"""A module.\n\nLicensed under the MIT licence.\n"""\n',
        "#!/usr/bin/env python\n# SPDX-License-Identifier: MIT\n",
    ],
)
def test_a_header_that_speaks_of_rights_is_blanked(header):
    assert drop_licence_header(header + "x = 1\n") == ("\n" * header.count("\n") + "x = 1\n", True)


@pytest.mark.parametrize("text", ["# Helpers for numbers.\nx = 1\n", '"""A module."""\nx = 1\n', "x = 1\n", ""])
def test_another_header_stays(text):
    assert drop_licence_header(text) == (text, False)


def test_a_docstring_without_an_end_costs_nothing_else():
    assert drop_licence_header('"""copyright\n' + "x = 1\n" * 100)[0].count("x = 1") == 100


# #14
@pytest.mark.parametrize(
    "code",
    [
        "from dataclasses import dataclass\n\n\n@dataclass\nclass Book:\n    author: str\n    title: str\n",
        "book = dict(\n    author=1,\n)\n",
        "total = base +100-20-30\n",
        "total = base +49 -3012 -4567\n",
        f"huge = 0x{'f' * 6000}  # a number\n",
    ],
)
def test_code_that_only_looks_personal_stays(code):
    assert mask_code(code) == (code, 0)


# #14
@pytest.mark.parametrize(
    "code, masked",
    [
        ("x = 1  # ask jane@corp.de\n", "x = 1  # ask user@example.com\n"),
        ('def f():\n    """Mine.\n\n    :author: Jane\n    """\n', 'def f():\n    """Mine.\n\n\n    """\n'),
        ("x = 1\n# Authors: Jane Doe\n", "x = 1\n\n"),
        ("hosts = ['8.8.4.4', 0]\n", "hosts = ['192.0.2.1', 0]\n"),
        (f"x = 0x{'f' * 6000}  # jane@corp.de\n", f"x = 0x{'f' * 6000}  # user@example.com\n"),
    ],
)
def test_only_comments_and_texts_of_code_are_masked(code, masked):
    assert mask_code(code) == (masked, 1)


# #14
@pytest.mark.parametrize(
    "code", ["x = '\\njane@corp.de'\n", "__credits__ = ['Jane', 'Joe']\n", "__author__ = (\n    'Jane')\n"]
)
def test_a_program_that_masking_would_change_is_none(code):
    assert mask_code(code) is None


# #14
def test_a_piece_of_a_program_is_masked_as_text():
    assert mask_code("  and so on jane@corp.de\nreturn (\n") == ("  and so on user@example.com\nreturn (\n", 1)


# #14
def test_what_an_f_string_computes_stays():
    masked = mask_code("text = f'{base +100-20-30} jane@corp.de'\n")  # up to Python 3.11 it is one text, not masked
    assert masked in (None, ("text = f'{base +100-20-30} user@example.com'\n", 1))
