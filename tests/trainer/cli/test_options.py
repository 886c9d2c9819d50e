"""Options made of a config's fields: default, help and bounds stand there and nowhere else. (#14)"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
import pytest
from click.testing import CliRunner

from trainer.cli.options import of_config
from trainer.configs import option


@dataclass(frozen=True, kw_only=True)
class Config:
    rank: int = option(4, "Rank.", low=1, high=9)
    rate: float = option(0.5, "Rate.", low=0, is_open=True, flag="--learning-rate")
    method: Literal["all"] | Literal["a", "b"] = option("all", "Method.")
    name: str | None = option(None, "Name.", metavar="NAME")
    folders: tuple[Path, ...] = option((), "Folders.")
    steps: int = option(20, "Steps.", low=1)
    inner: int = 7
    points: int = option(4, "a: points.", low=1, only_with=("method", ("a",)))


def ask(*arguments, **options):
    """The config that a command gets, or the output when it gets none."""
    got = []

    @click.command()
    @of_config(Config, "config", **options)
    @click.option("--seed", type=int, default=0)
    def command(config, seed):
        got.append(config)

    result = CliRunner().invoke(command, arguments)
    return got[0] if got else result.output


def test_without_options_a_command_gets_the_defaults():
    assert ask() == Config()


def test_every_kind_of_field_is_an_option():
    given = ask(
        "--rank", "9", "--learning-rate", "0.1", "--method", "b", "--name", "n", "--folders", "x", "--folders", "y"
    )
    assert given == Config(rank=9, rate=0.1, method="b", name="n", folders=(Path("x"), Path("y")))


@pytest.mark.parametrize("wrong", [("--rank", "10"), ("--learning-rate", "0"), ("--method", "c"), ("--inner", "1")])
def test_what_a_field_does_not_allow_is_misuse(wrong):
    assert "Usage:" in ask(*wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (("--learning-rate", "nan"), "no finite number"),
        (("--learning-rate", "inf"), "no finite number"),
        (("--steps", "9223372036854775808"), "is more than"),
        (("--folders", ""), "it is empty"),
    ],
)
def test_what_can_be_no_value_is_misuse(wrong, words):  # #14
    assert words in ask(*wrong)


def test_what_does_nothing_beside_the_others_is_misuse():  # #14
    assert ask("--points", "2", "--method", "a").points == 2
    assert "--points does nothing with --method b; leave it out, or pass --method a" in ask(
        "--points", "4", "--method", "b"
    )


def test_a_command_may_take_some_fields_and_rename_them():
    assert ask("--partition-method", "a", only=("method",), flags={"method": "--partition-method"}).method == "a"
    assert "No such option" in ask("--rank", "2", only=("method",))


def test_help_has_the_bounds_and_the_default():
    assert "[default: 4; 1<=x<=9]" in ask("--help")
