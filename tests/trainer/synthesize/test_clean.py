"""Personal data and licence headers: what goes, what stays, and that lines keep their places."""

import pytest

from trainer.synthesize.clean import drop_licence_header, mask_personal


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
