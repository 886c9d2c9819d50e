"""`spa-lsp demo`: alternatives at marked cursors, to cycle through on a terminal, or printed once."""

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spa_lsp.cli import _completer as shared
from spa_lsp.cli._ignored import refuse_ignored
from spa_lsp.cli.complete import to_json
from spa_lsp.completion import Alternative, CompletionRequest, CompletionResult
from spa_lsp.text.marked_text import MarkedText, bundled_texts, find_text, is_bundled

if TYPE_CHECKING:
    from rich.console import Console

    from spa_lsp.cli._demo_view import DemoState, Key
    from spa_lsp.cli._terminal import Keyboard

MAX_TOKENS = 96  # the gaps of the bundled files are 2 to 8 lines
FILE_S = 20.0  # to compute one file's alternatives on two cores; the next file is said to take as long as the last
_REDRAW_S = 0.25  # how soon a new size of the window is noticed


@click.command()
@click.option(
    "--file", "name", metavar="NAME|PATH", help="Only this bundled file, or your own with ‸ where the cursor is."
)
@shared.k_option
@shared.max_tokens_option(MAX_TOKENS)
@shared.model_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list with one object per file.")
def demo(
    name: str | None,
    k: int | None,
    max_tokens: int,
    base_id: str | None,
    set_name: str | None,
    quantization: str | None,
    engine: str | None,
    is_local: bool,
    as_json: bool,
) -> None:
    """Show the alternatives at a marked cursor of a few small files.

    On a terminal ] and [ (or the arrow keys) cycle, Tab accepts and prints the file, n goes to the next one, q leaves.
    Elsewhere everything is printed once.

    \b
        spa-lsp demo
        spa-lsp demo --file settings.py -k 3
    """
    from spa_lsp.bases.choice import what_larger_brings
    from spa_lsp.cli._terminal import is_terminal

    if name and not is_bundled(name):
        refuse_ignored(Path(name))
    texts = [find_text(name)] if name else bundled_texts()
    model = shared.choose_model(base_id, set_name, quantization, engine=engine, is_local=is_local)
    with shared.open_completer(model) as ready:
        view = _Demo(ready, k=k, max_tokens=max_tokens)
        if as_json:
            click.echo(json.dumps(view.to_json(texts), indent=1))
        elif is_terminal():
            accepted = view.cycle(texts)
            shared.say([accepted] if accepted is not None else [])
        else:
            view.print_all(texts)
    if not as_json and (larger := what_larger_brings()):
        click.echo(larger, err=True)


class _Demo:
    """A completer and how it is asked."""

    def __init__(self, ready: shared.ReadyCompleter, *, k: int | None, max_tokens: int) -> None:
        self._ready = ready
        self._k = k
        self._max_tokens = max_tokens
        self._states: dict[str, DemoState] = {}  # by file: going round computes nothing twice

    def to_json(self, texts: Sequence[MarkedText]) -> list[dict[str, object]]:
        """Each result as `complete --json` prints it, with the file's name and how many alternatives differ."""
        return [
            {"file": text.name, "n_distinct": len(_state(text, result).choices), **to_json(result)}
            for text, result in self._results(texts)
        ]

    def print_all(self, texts: Sequence[MarkedText]) -> None:
        """Every file with all its alternatives, as they are computed."""
        from spa_lsp.cli._demo_view import plain

        for text, result in self._results(texts):
            shared.say(plain(_state(text, result)))

    def _results(self, texts: Sequence[MarkedText]) -> Iterator[tuple[MarkedText, CompletionResult]]:
        """Each file with its result, computed when it is asked for; who waits is told for what."""
        about_s = FILE_S
        for number, text in enumerate(texts, 1):
            began = time.monotonic()
            with shared.computing(f"{text.name}, file {number} of {len(texts)}", about_s):
                result = shared.ask(self._ready, self._request(text))
            about_s = time.monotonic() - began
            yield text, result

    def cycle(self, texts: Sequence[MarkedText]) -> str | None:
        """Look at the files until one alternative is accepted, whose file comes back, or the person leaves."""
        from rich.console import Console

        from spa_lsp.cli._demo_view import accepted
        from spa_lsp.cli._terminal import full_screen

        console = Console()
        with full_screen(console) as keyboard:
            for text in itertools.cycle(texts):
                state = self._compute(text, console, keyboard)
                if state is None:
                    return None
                state, key = _follow_keys(state, console, keyboard)
                if key != "file":
                    return accepted(state) if key == "accept" else None
        raise AssertionError("unreachable: texts are never empty")

    def _compute(self, text: MarkedText, console: "Console", keyboard: "Keyboard") -> "DemoState | None":
        """The state with its alternatives; None when the person left meanwhile."""
        from spa_lsp.cli._demo_view import DemoState, read_keys

        n_ready = 0
        is_leaving = False

        def count(_: Alternative) -> None:
            nonlocal n_ready
            n_ready += 1
            _show(DemoState(text=text, n_all=n_ready), console)

        def wants_to_leave() -> bool:
            nonlocal is_leaving
            is_leaving = is_leaving or "leave" in read_keys(keyboard.read(0))
            return is_leaving

        if text.name in self._states:
            return self._states[text.name]
        _show(DemoState(text=text), console)
        result = self._ready.complete(self._request(text), on_alternative=count, is_cancelled=wants_to_leave)
        if is_leaving or result.is_cancelled:
            return None
        return self._states.setdefault(text.name, _state(text, result))

    def _request(self, text: MarkedText) -> CompletionRequest:
        return CompletionRequest(
            prefix=text.prefix,
            suffix=text.suffix,
            language=text.language,
            k=self._k,
            max_tokens=self._max_tokens,
            lead_first=True,
        )


def _state(text: MarkedText, result: CompletionResult) -> "DemoState":
    from spa_lsp.cli._demo_view import DemoState, with_result
    from spa_lsp.text.shown import setting, shown_infills

    shown = shown_infills(result.alternatives, text)
    return with_result(DemoState(text=text), shown, result.timing, setting(result))


def _follow_keys(state: "DemoState", console: "Console", keyboard: "Keyboard") -> "tuple[DemoState, Key]":
    """Show the state and follow the keys, up to the one that leaves this file."""
    from spa_lsp.cli._demo_view import read_keys, turn

    size = None
    while True:
        if console.size != size:
            size = console.size
            _show(state, console)
        for key in read_keys(keyboard.read(_REDRAW_S)):
            if key in ("file", "leave") or (key == "accept" and state.choices):
                return state, key
            state = turn(state, key)
            _show(state, console)


def _show(state: "DemoState", console: "Console") -> None:
    from spa_lsp.cli._demo_view import draw

    width, height = console.size
    console.clear()
    console.print(draw(state, width=width, height=height), end="", no_wrap=True, overflow="crop")
