"""The demo's screen: what is looked at, what a key does to it, and how it is drawn. Pure; the terminal is `cli`'s."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich.text import Text

from spa_lsp.completion import Timing
from spa_lsp.text.indentation import indent_of_cursor
from spa_lsp.text.marked_text import MarkedText
from spa_lsp.text.shown import Offer, differing, distinct, times

Key = Literal["next", "previous", "accept", "file", "leave"]

HELP = "] next   [ previous   Tab accept   n next file   q leave"
_CONTEXT_LINES = 14  # before the cursor in the plain view
_AFTER_LINES = 4
_KEYS: tuple[tuple[bytes, Key], ...] = (  # the longest first: escape sequences hold the other keys
    (b"\x1b[C", "next"),
    (b"\x1bOC", "next"),
    (b"\x1b[D", "previous"),
    (b"\x1bOD", "previous"),
    (b"\x1b]", "next"),  # Alt+], as in editors
    (b"]", "next"),
    (b"[", "previous"),
    (b"\t", "accept"),
    (b"n", "file"),
    (b"q", "leave"),
    (b"\x03", "leave"),
    (b"\x04", "leave"),
)
_OTHER_SEQUENCE = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|O.)")


@dataclass(frozen=True, kw_only=True)
class DemoState:
    """One file and its alternatives; `choices` are those that really differ, none while they are computed."""

    text: MarkedText
    choices: tuple[Offer, ...] = ()
    index: int = 0
    n_all: int = 0  # alternatives that were computed
    timing: Timing | None = None  # None: still computing
    setting: str = ""  # base, set and precision

    @property
    def chosen(self) -> Offer | None:
        """What is looked at."""
        return self.choices[self.index] if self.choices else None


def with_result(state: DemoState, shown: Sequence[Offer], timing: Timing, setting: str) -> DemoState:
    """The state when the alternatives are there."""
    choices = tuple(distinct(shown))
    return replace(state, choices=choices, index=0, n_all=len(shown), timing=timing, setting=setting)


def turn(state: DemoState, key: Key) -> DemoState:
    """The state after `next` or `previous`, round and round; other keys change nothing here."""
    step = {"next": 1, "previous": -1}.get(key, 0)
    return replace(state, index=(state.index + step) % len(state.choices)) if state.choices else state


def accepted(state: DemoState) -> str | None:
    """The whole file with the alternative in it; None when there is none."""
    if state.chosen is None:
        return None
    return state.text.prefix + state.chosen.text + state.text.suffix


def read_keys(data: bytes) -> list[Key]:
    """The keys in what a terminal sent; what means nothing here is left out, a lone Escape leaves."""
    keys: list[Key] = []
    while data:
        found = next(((code, key) for code, key in _KEYS if data.startswith(code)), None)
        if found:
            keys.append(found[1])
            data = data[len(found[0]) :]
        elif other := _OTHER_SEQUENCE.match(data):
            data = data[other.end() :]
        elif data == b"\x1b[":  # Alt+[
            keys.append("previous")
            data = b""
        else:
            if data == b"\x1b":
                keys.append("leave")
            data = data[1:]
    return keys


def draw(state: DemoState, *, width: int, height: int) -> Text:
    """The screen: title, code around the cursor with the alternative in it, timings, keys; as many lines as fit."""
    room = max(height - 4, 1)
    body = _fit(_code(state), state.text.prefix.count("\n"), room)
    lines = [_headline(state), Text("─" * width, style="dim"), *body, Text(_footer(state), style="dim")]
    for line in lines:
        line.truncate(width)
    return Text("\n").join([*lines[: height - 1], Text(HELP[:width], style="bold")])


def plain(state: DemoState) -> list[str]:
    """The same for a printer: the code with its cursor, then every choice; `~` marks lines that the first has not."""
    before = (state.text.prefix + "‸").split("\n")[-_CONTEXT_LINES:]
    after = state.text.suffix.split("\n")[:_AFTER_LINES]
    lines = [f"━━ {state.text.name} ".ljust(80, "━"), *before[:-1], *_joined(before[-1], after)]
    texts = [indent_of_cursor(state.text.prefix) + choice.text for choice in state.choices]
    for index, text in enumerate(texts):
        lines += [f"── {_label(state, index)} ".ljust(80, "─"), *_marked(text, texts[0])]
    return [*lines, "─" * 80, summary(state), ""]


def summary(state: DemoState) -> str:
    """`5 of 8 differ · prefill … · base, set, precision`."""
    assert state.timing is not None
    return f"{len(state.choices)} of {state.n_all} differ · {times(state.timing)} · {state.setting}"


def _headline(state: DemoState) -> Text:
    line = Text(state.text.name, style="bold")
    if state.choices:
        line.append("   ").append(_label(state, state.index))
    elif state.timing:
        line.append("   no alternative")
    return line


def _label(state: DemoState, index: int) -> str:
    """`2/5 · comprehensions (a2, also a4)`; rows of the base are all called so."""
    choice = state.choices[index]
    own = choice.alternative
    also = ", ".join(each.adapter for each in choice.same if each.adapter != own.adapter)
    names = f"{own.adapter}, also {also}" if also else own.adapter
    said = own.label if names == own.label else f"{own.label} ({names})"
    return f"{index + 1}/{len(state.choices)} · {said}"


def _footer(state: DemoState) -> str:
    return summary(state) if state.timing else f"computing … {state.n_all or ''}".rstrip()


def _code(state: DemoState) -> list[Text]:
    """All lines of the file with the alternative at the cursor; its pieces that the first one lacks stand out."""
    code = Text(state.text.prefix, style="dim")
    if state.chosen is None:
        code.append("‸", style="bold")
    else:
        first = state.choices[0].text
        for piece, is_other in differing(state.chosen.text, first):
            code.append(piece, style="bold black on yellow" if is_other and piece.strip() else "not dim bold cyan")
    return list(code.append(state.text.suffix, style="dim").split("\n", allow_blank=True))


def _fit(lines: list[Text], cursor: int, room: int) -> list[Text]:
    """As many lines as there is room for, the cursor's in the upper half."""
    start = max(0, min(cursor - room // 3, len(lines) - room))
    return lines[start : start + room]


def _joined(line: str, after: list[str]) -> list[str]:
    return [line + after[0], *after[1:]] if after else [line]


def _marked(text: str, first: str) -> list[str]:
    """Lines behind a margin that has `~` where the first alternative has something else."""
    code = Text()
    for piece, is_other in differing(text, first):
        code.append(piece, style="other" if is_other and piece.strip() else "")
    return [
        ("~ " if any(span.style == "other" for span in line.spans) else "  ") + line.plain
        for line in code.split("\n", allow_blank=True)
    ]
