"""How somebody might type a function: keys with pauses, slips that are taken back, alternatives that are looked at.

Made from a text and a seed, not recorded from a person. Pure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from spa_lsp.errors import BadInput

# A choice, not measured of anybody: some five keys per second, slower where one thinks.
KEY_S = 0.18  # median pause between two keys
SPREAD = 0.4  # of its logarithm
THINK_S = (0.8, 3.0)  # behind a new line, now and then
P_THINK = 0.7
P_SLIP = 0.03  # of a letter: a wrong one, seen and taken back
P_ACCEPT = 0.7  # of a pause for thought: what is shown is taken, looked at and undone

_KEY = re.compile(r"\n[ \t]*|.")  # an editor indents a new line by itself


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that is done to the document, and how long nothing is done after it.

    `accept` inserts the first alternative that is shown, if there is one, and takes it out again after the pause: so
    the trace goes on with the same text, whatever the adapters say.
    """

    kind: Literal["type", "erase", "accept"]
    pause_s: float
    text: str = ""

    @property
    def is_pause(self) -> bool:
        """Whether one who types stops behind it to think."""
        return self.kind == "type" and self.pause_s >= THINK_S[0]


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A document and what is typed at one place in it."""

    name: str
    language: str
    before: str
    after: str
    steps: tuple[Step, ...]


def make_trace(name: str, text: str, *, language: str, seed: int, n_keys: int | None = None) -> Trace:
    """Typing the last function of a Python text that has it already; the text without it is the document.

    Args:
        name: of the file.
        text: with a function at its left margin.
        language: LSP language id.
        seed: of pauses, slips and accepts.
        n_keys: only so many keys of it; None: all.

    Raises:
        BadInput: there is no such function.
    """
    start = max(text.rfind("\ndef "), text.rfind("\nasync def ")) + 1
    if not start:
        raise BadInput(f"{name} has no function at the left margin to be typed; choose another file")
    keys = _KEY.findall(text[start:].rstrip("\n"))[:n_keys]
    steps = tuple(_steps(keys, Random(f"{seed} {name}")))
    return Trace(name=name, language=language, before=text[:start], after="\n", steps=steps)


def _steps(keys: list[str], random: Random) -> Iterator[Step]:
    for key in keys:
        if key.isalpha() and random.random() < P_SLIP:
            yield Step(kind="type", text=random.choice("etaoinsr"), pause_s=_pause(random))
            yield Step(kind="erase", pause_s=_pause(random))
        thinks = key.startswith("\n") and random.random() < P_THINK
        yield Step(kind="type", text=key, pause_s=random.uniform(*THINK_S) if thinks else _pause(random))
        if thinks and random.random() < P_ACCEPT:
            yield Step(kind="accept", pause_s=random.uniform(*THINK_S))


def _pause(random: Random) -> float:
    return KEY_S * random.lognormvariate(0, SPREAD)
