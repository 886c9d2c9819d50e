"""The trainer's commands, called in this process."""

import json

from click.testing import CliRunner

from trainer.cli import main


def trainer(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def trainer_json(*arguments):
    result = trainer(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def sentence(result):
    """The one line that a failed command says on stderr, after its progress."""
    assert result.exit_code == 1 and "Traceback" not in result.output
    return result.stderr.strip().splitlines()[-1]
