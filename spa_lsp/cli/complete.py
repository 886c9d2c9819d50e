"""`spa-lsp complete`: the alternatives at a place in a file."""

import json
import shutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import click

from spa_lsp.cli import _completer as shared
from spa_lsp.cli._ignored import refuse_ignored
from spa_lsp.completion import CompletionRequest, CompletionResult, StopPolicy
from spa_lsp.settings.schema import AUTO, STOP_POLICIES, Settings
from spa_lsp.text.site import Site
from spa_lsp.text.source_text import FilePlace, language_of, offset_of, parse_place, read_text

if TYPE_CHECKING:
    from spa_lsp.text.shown import Offer


def _to_place(_ctx: click.Context, _parameter: click.Parameter, value: str) -> FilePlace:
    try:
        return parse_place(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.argument("place", metavar="FILE:LINE:COL", callback=_to_place)
@shared.k_option
@click.option(
    "--adapter",
    "adapters",
    metavar="NAME",
    multiple=True,
    help="Adapter of the set to ask; repeatable.  [default: all]",
)
@shared.max_tokens_option(Settings.max_tokens)
@shared.temperature_option
@click.option(
    "--stop",
    type=click.Choice(STOP_POLICIES),
    default=Settings.stop,
    show_default=True,
    help="End at the block's end, at the line's end, or where the model stops; auto is multi here.",
)
@shared.model_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the texts as the model wrote them.")
def complete(
    place: FilePlace,
    k: int | None,
    adapters: tuple[str, ...],
    max_tokens: int,
    temperature: float | None,
    stop: StopPolicy | Literal["auto"],
    base_id: str | None,
    set_name: str | None,
    quantization: str | None,
    engine: str | None,
    is_local: bool,
    as_json: bool,
) -> None:
    """Print the alternatives at a cursor; LINE and COL count from 1, COL in characters.

    Texts are printed as an editor would insert them, behind the indentation of the cursor's line; alternatives that
    are the same program are printed once.

    \b
        spa-lsp complete src/cart.py:12:5
        spa-lsp complete src/cart.py:12:5 -k 3 --json
    """
    refuse_ignored(place.path)
    text = read_text(place.path)
    site = _site(text, offset_of(text, place), language_of(place.path))
    request = CompletionRequest(
        prefix=site.prefix,
        suffix=site.suffix,
        language=site.language,
        k=k,
        adapters=adapters,
        max_tokens=max_tokens,
        temperature=temperature,
        stop="multi" if stop == AUTO else stop,
        lead_first=temperature is None,
    )
    model = shared.choose_model(base_id, set_name, quantization, engine=engine, is_local=is_local)
    with shared.open_completer(model) as ready:
        result = shared.ask(ready, request)
    if as_json:
        click.echo(json.dumps(to_json(result), indent=1))
    else:
        from spa_lsp.text.indentation import indent_of_cursor
        from spa_lsp.text.shown import shown_infills

        shown = shown_infills(result.alternatives, site)
        shared.say(to_lines(result, shown, indentation=indent_of_cursor(site.before)))


def to_json(result: CompletionResult) -> dict[str, object]:
    """What `--json` prints: the result, which is always whole here, without what only fronts need."""
    left_out = ("is_cancelled", "prompt_tokens_per_s")
    return {name: value for name, value in result.to_json().items() if name not in left_out}


def to_lines(result: CompletionResult, shown: Sequence["Offer"], *, indentation: str = "") -> Iterator[str]:
    """Each alternative under a rule, then one line of facts."""
    from spa_lsp.text.shown import facts, first_same, title

    width = min(shutil.get_terminal_size().columns, 100)
    for number, each in enumerate(shown, start=1):
        is_first = first_same(shown, number) == number
        yield click.style(rule(title(shown, number), width), bold=is_first)
        if each.text and is_first:
            yield indentation + each.text
    yield click.style(rule("", width), dim=True)
    yield click.style(facts(result, shown), dim=True)


def rule(text: str, width: int) -> str:
    """`── text ──────`."""
    return f"── {text} ".ljust(width, "─") if text else "─" * width


def _site(text: str, cursor: int, language: str) -> Site:
    """What an editor with the default settings would send of the file, but for context of other files."""
    from spa_lsp.server.context import make_site
    from spa_lsp.server.window_size import window_size

    size = window_size(Settings(context_chars=0), None)  # a person waits longer for a command than for a key
    return make_site(text, cursor, cursor, prefix_chars=size.prefix, suffix_chars=size.suffix, language=language)
