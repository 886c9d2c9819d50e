"""Which of a problem's completions are the same, at four levels, each laxer about what still counts as different.

`exact`: the text, as the paper has it. `ast`: the program without comments, docstrings, annotations and names of
locals. `near`: not even a few changed tokens. `approach`: the same means. Only `exact` counts what does not parse.
Classes of `ast` lie within those of `near` and of `approach`; those two look at different things.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trainer.evaluate.sameness.approach import approach_key
from trainer.evaluate.sameness.normalize import ast_key
from trainer.evaluate.sameness.winnowing import near_classes

Level = Literal["exact", "ast", "near", "approach"]
LEVELS: tuple[Level, ...] = ("exact", "ast", "near", "approach")

# for every level the class of each completion, numbered by its first member; None: it belongs to no class
Classes = dict[Level, list[int | None]]


@dataclass(frozen=True, kw_only=True)
class ComparedText:
    """One completion: its text, the code in it, and the program that this makes of its problem.

    There is no program where a broken adapter gave nothing.
    """

    text: str
    code: str
    program: str | None


def classify(candidates: Sequence[ComparedText], entry_point: str) -> Classes:
    """The classes of these completions of one problem at all levels."""
    programs = [candidate.program for candidate in candidates]
    ast_keys = [None if program is None else ast_key(program, entry_point) for program in programs]
    approaches: dict[str, str | None] = {}
    for program, key in zip(programs, ast_keys, strict=True):
        if program is not None and key is not None and key not in approaches:
            approaches[key] = approach_key(program, entry_point)
    return {
        "exact": numbered([candidate.text for candidate in candidates]),
        "ast": numbered(ast_keys),
        "near": near_classes([candidate.code for candidate in candidates], ast_keys),
        "approach": numbered([None if key is None else approaches[key] for key in ast_keys]),
    }


def numbered(keys: Sequence[str | None]) -> list[int | None]:
    """Each key as the number of its first appearance among the different ones."""
    order = {key: number for number, key in enumerate(dict.fromkeys(key for key in keys if key is not None))}
    return [None if key is None else order[key] for key in keys]
