import json

import pytest
from click.testing import CliRunner
from command_engine import BASE, serving

from spa_lsp.cli import main


def generate(*arguments, status=0, **options):
    result = CliRunner().invoke(main, ["generate", *BASE, *map(str, arguments)], **options)
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def engine():
    with serving() as completer:
        yield completer


def test_the_instruction_is_asked_in_the_instruct_layout(engine):
    generate("add two numbers", "-k", 2, "--temperature", 0.5)
    (request,) = engine.asked
    assert (request.prefix, request.layout, request.k) == ("add two numbers", "instruct", 2)
    assert request.temperature == 0.5
    assert (request.max_tokens, request.stop) == (400, "none")


@pytest.mark.parametrize("arguments", [("-",), ()])
def test_the_instruction_can_come_from_standard_input(engine, arguments):
    generate(*arguments, input="add two numbers\n")
    assert engine.asked[0].prefix == "add two numbers"


def test_answers_are_printed_whole(engine):
    engine.texts = ("Sure:\n```python\nx = 1\n```", "y = 2")
    lines = generate("a task").stdout.splitlines()
    assert lines[0].startswith("── 1/2 · label of a1 (a1) ─")
    assert lines[1:5] == ["Sure:", "```python", "x = 1", "```"]
    assert lines[-1].startswith("2 of 2 differ")


def test_json_is_that_of_complete(engine):
    found = json.loads(generate("a task", "--json").stdout)
    assert [each["text"] for each in found["alternatives"]] == list(engine.texts)
    assert "is_cancelled" not in found


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_instruction_is_one_sentence(engine, text):
    assert "the instruction is empty; say what to write" in generate(text, status=1).output


def test_input_that_is_no_text_is_one_sentence(engine):
    result = generate("-", status=1, input=b"\xff\xfe\xfa")
    assert "standard input is not UTF-8 text: byte 0xff at offset 0" in result.output


def test_a_base_that_was_not_pulled_says_how_to_pull_it():
    result = CliRunner().invoke(main, ["generate", "a task"])
    assert result.exit_code == 1
    assert "spa-lsp models pull" in result.output
