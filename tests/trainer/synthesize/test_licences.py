"""Licences of packages, read out of their metadata: what is not known is not permissive."""

from email.message import Message

import pytest

from trainer.synthesize.licences import is_permissive, licence_of_package, licence_of_text


def metadata(**fields):
    message = Message()
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            message[name.replace("_", "-")] = one
    return message


@pytest.mark.parametrize(
    "expression",
    ["MIT", "Apache-2.0", "MIT AND BSD-3-Clause", "GPL-2.0-only OR MIT", "(MIT OR GPL-3.0-only) AND ISC"],
)
def test_what_one_may_choose_to_keep_to_permissively_is_permissive(expression):
    assert is_permissive(expression)


@pytest.mark.parametrize(
    "expression",
    ["", "unknown", "GPL-3.0-only", "MIT AND GPL-3.0-only", "LicenseRef-Proprietary", "Apache-2.0 WITH LLVM-exception"],
)
def test_anything_else_is_not(expression):
    assert not is_permissive(expression)


@pytest.mark.parametrize(
    "fields, licence",
    [
        ({"License_Expression": "MIT"}, "MIT"),
        ({"Classifier": ["License :: OSI Approved :: MIT License"]}, "MIT"),
        ({"Classifier": ["License :: OSI Approved :: Apache Software License"], "License": "GPL"}, "Apache-2.0"),
        ({"License": "BSD 3-Clause License"}, "BSD-3-Clause"),
        ({"License": "see the file LICENSE"}, "unknown"),
        ({"License": "UNKNOWN"}, "unknown"),
        ({"Classifier": ["License :: OSI Approved :: GNU General Public License v3 (GPLv3)"]}, "unknown"),
        (
            {"Classifier": [f"License :: OSI Approved :: {one}" for one in ("MIT License", "Mozilla Public License")]},
            "unknown",
        ),
        ({}, "unknown"),
        *(
            ({"Classifier": [f"License :: {one}"], "License": "MIT"}, "unknown")  # (#14)
            for one in ("Other/Proprietary License", "OSI Approved :: GNU General Public License v3 (GPLv3)")
        ),
        ({"Classifier": ["License :: OSI Approved"], "License": "MIT"}, "MIT"),
        ({"Classifier": [f"License :: OSI Approved{one}" for one in ("", " :: MIT License")]}, "MIT"),
        ({"Classifier": ["License :: OSI Approved :: BSD License"]}, "BSD-3-Clause"),
        ({"License": "BSD"}, "unknown"),
        ({"License": "The Apache Software License"}, "unknown"),
        ({"License": "MIT License\n\nbut not for companies"}, "unknown"),
        ({"License_Expression": " ", "License": "MIT"}, "unknown"),
    ],
)
def test_metadata_of_all_ages_are_read(fields, licence):
    assert licence_of_package(metadata(**fields)) == licence


def test_the_text_of_a_licence_is_known():
    assert licence_of_text("MIT License\n\nPermission is hereby\ngranted, free of charge") == "MIT"


def test_the_lesser_general_public_license_is_not_taken_for_another():
    assert (
        licence_of_text("GNU Lesser General Public License … Redistribution and use in source and binary forms")
        == "GPL"
    )
