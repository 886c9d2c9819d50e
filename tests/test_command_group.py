"""The border of both programs: what a person can fix is one sentence, and nothing else is hidden."""

import errno
import os

import click
import pytest
from click.testing import CliRunner

from spa_lsp.cli import main as spa_lsp
from spa_lsp.command_group import CommandGroup
from spa_lsp.errors import NotFound
from trainer.cli import main as trainer


def run(error):
    """The end of a command that raises this."""

    @click.group(cls=CommandGroup)
    def program():
        pass

    @program.command()
    def fail():
        raise error

    return CliRunner().invoke(program, ["fail"])


# #11
@pytest.mark.parametrize("program", [spa_lsp, trainer], ids=["spa-lsp", "trainer"])
def test_both_programs_have_the_same_border(program):
    assert type(program).invoke is CommandGroup.invoke


def test_threads_that_wait_give_their_core_back(monkeypatch):
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    run(NotFound("no such base"))
    assert os.environ["GOMP_SPINCOUNT"] == "2500"


def test_an_error_of_ours_is_one_sentence():
    done = run(NotFound("no such base"))
    assert (done.exit_code, done.stderr) == (1, "Error: no such base\n")


def test_an_error_of_the_system_names_the_file():
    done = run(PermissionError(errno.EACCES, "Permission denied", "/far/away"))
    assert (done.exit_code, done.stderr) == (1, "Error: /far/away: Permission denied\n")


def test_a_reader_that_has_left_is_no_error_to_tell():
    done = run(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert (done.exit_code, done.output) == (1, "")


def test_an_interrupt_is_one_line_and_the_status_that_shells_give():
    done = run(KeyboardInterrupt())
    assert (done.exit_code, done.stderr) == (130, "program: stopped\n")


def test_a_bug_shows_where_it_is():
    assert isinstance(run(ZeroDivisionError("a bug")).exception, ZeroDivisionError)
