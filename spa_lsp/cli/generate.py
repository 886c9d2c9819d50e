"""`spa-lsp generate`: k programs from one instruction."""

import json
import sys

import click

from spa_lsp.cli import _completer as shared
from spa_lsp.cli.complete import to_json, to_lines
from spa_lsp.completion import CompletionRequest
from spa_lsp.errors import BadInput

MAX_TOKENS = 400  # a program of some 40 lines


@click.command()
@click.argument("text", metavar="[TEXT | -]", required=False)
@shared.k_option
@shared.max_tokens_option(MAX_TOKENS)
@shared.temperature_option
@shared.model_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def generate(
    text: str | None,
    k: int | None,
    max_tokens: int,
    temperature: float | None,
    base_id: str | None,
    set_name: str | None,
    quantization: str | None,
    engine: str | None,
    is_local: bool,
    as_json: bool,
) -> None:
    """Print what each adapter answers to an instruction; it is read from standard input when TEXT is - or left out.

    Answers are printed whole, with what the model says around its code.

    \b
        spa-lsp generate "Write a Python function that merges two sorted lists."
        spa-lsp generate - -k 3 < task.md
    """
    request = CompletionRequest(
        prefix=_read(text), layout="instruct", k=k, max_tokens=max_tokens, temperature=temperature, stop="none"
    )
    model = shared.choose_model(base_id, set_name, quantization, engine=engine, is_local=is_local)
    with shared.open_completer(model) as ready:
        result = shared.ask(ready, request)
    if as_json:
        click.echo(json.dumps(to_json(result), indent=1))
    else:
        from spa_lsp.text.shown import shown_answers

        shared.say(to_lines(result, shown_answers(result.alternatives)))


def _read(text: str | None) -> str:
    if text is None and sys.stdin.isatty():
        raise click.UsageError("give an instruction, or - to read it from standard input")
    if text is None or text == "-":
        text = _decode(sys.stdin.buffer.read())
    if not text.strip():
        raise BadInput("the instruction is empty; say what to write")
    return text.strip()


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"standard input is not UTF-8 text: byte 0x{data[error.start]:02x} at offset {error.start}"
        raise BadInput(f"{what}; convert it, as in: iconv -f latin1 -t utf-8") from None
