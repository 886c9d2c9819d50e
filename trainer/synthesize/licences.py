"""Under which licence code stands, and whether that allows making samples of it. What is not known is not allowed.

A package is judged by its metadata alone, a repository (a person's own) is only labelled.
"""

import re
from collections.abc import Sequence
from importlib.metadata import PackageMetadata

UNKNOWN = "unknown"
PERMISSIVE = frozenset(
    "0BSD Apache-2.0 BlueOak-1.0.0 BSD-2-Clause BSD-3-Clause CC0-1.0 HPND ISC MIT MIT-0 MIT-CMU PSF-2.0 Python-2.0 "
    "Unlicense Zlib ZPL-2.1".split()
)
# how metadata of before PEP 639 spell them
_SPELLINGS = {
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache software": "Apache-2.0",
    "apache version 2.0": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd 3 clause": "BSD-3-Clause",
    "bsd 2 clause": "BSD-2-Clause",
    "new bsd": "BSD-3-Clause",
    "isc": "ISC",
    "isc iscl": "ISC",
    "mit": "MIT",
    "mit no attribution mit 0": "MIT-0",
    "psf": "PSF-2.0",
    "python software foundation": "PSF-2.0",
    "the unlicense unlicense": "Unlicense",
    "unlicense": "Unlicense",
}
_AMBIGUOUS = frozenset({"apache", "apache software", "bsd"})  # as free text: of which version is not said
_CLASSIFIER = "License :: OSI Approved :: "
# a sentence that only this licence has, in the order in which they are looked for
_SENTENCES = (
    ("GPL", r"GNU (?:Affero |Lesser |Library )?General Public License"),
    ("MPL-2.0", r"Mozilla Public License"),
    ("Apache-2.0", r"Apache License,?\s+Version 2\.0"),
    ("MIT", r"Permission is hereby granted, free of charge"),
    ("ISC", r"Permission to use, copy, modify, and/?(?:or)? distribute this software for any purpose"),
    ("BSD-3-Clause", r"Neither the name of"),
    ("BSD-2-Clause", r"Redistribution and use in source and binary forms"),
    ("Unlicense", r"This is free and unencumbered software"),
)


def licence_of_package(metadata: PackageMetadata) -> str:
    """The SPDX expression that a distribution's metadata amount to; `unknown` where they say nothing that is known.

    The first of these that is there decides, known or not: an expression, classifiers, the free text.
    """
    if "License-Expression" in metadata:
        return metadata["License-Expression"].strip() or UNKNOWN
    lines = [line.strip() for line in metadata.get_all("Classifier") or [] if line.startswith("License :: ")]
    if classifiers := [line for line in lines if line != _CLASSIFIER.strip(": ")]:  # that one heads the others
        return _known([line.removeprefix(_CLASSIFIER) for line in classifiers]) or UNKNOWN
    text = metadata["License"] if "License" in metadata else ""
    return UNKNOWN if _words(text).removeprefix("the ") in _AMBIGUOUS else _known([text]) or UNKNOWN


def is_permissive(expression: str) -> bool:
    """Whether every licence that one must keep to is a permissive one; of `A OR B` one may choose."""
    if not expression or expression == UNKNOWN or re.search(r"\bWITH\b", expression):
        return False
    text = expression.replace("(", " ( ").replace(")", " ) ")
    return _any_of(text.split())


def licence_of_text(text: str) -> str:
    """The licence whose words these are; `unknown` when they are none's."""
    flat = " ".join(text.split())
    return next((name for name, sentence in _SENTENCES if re.search(sentence, flat, re.IGNORECASE)), UNKNOWN)


def _known(lines: Sequence[str]) -> str:
    """All of these as one expression; empty when one of them, or nothing, is known."""
    found = [_spdx(line) for line in lines if line.strip()]
    return " AND ".join(dict.fromkeys(found)) if found and all(found) else ""


def _spdx(name: str) -> str:
    if name.strip() in PERMISSIVE:
        return name.strip()
    words = _words(name)
    return _SPELLINGS.get(words.removeprefix("the ") if words not in _SPELLINGS else words, "")


def _words(name: str) -> str:
    words = " ".join(re.sub(r"[^a-z0-9.]+", " ", name.lower()).split())
    return words.replace(" license", "").replace(" licence", "")


def _any_of(tokens: Sequence[str]) -> bool:
    return any(_all_of(part) for part in _split(tokens, "OR"))


def _all_of(tokens: Sequence[str]) -> bool:
    parts = _split(tokens, "AND")
    return bool(parts) and all(_one(part) for part in parts)


def _one(tokens: Sequence[str]) -> bool:
    if tokens[:1] == ["("] and tokens[-1:] == [")"]:
        return _any_of(tokens[1:-1])
    return len(tokens) == 1 and tokens[0] in PERMISSIVE


def _split(tokens: Sequence[str], word: str) -> list[list[str]]:
    """The tokens between this word, where it stands in no brackets."""
    parts: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token == "(") - (token == ")")
        if token.upper() == word and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts
