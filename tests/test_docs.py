"""The pages that a user reads name every command, option, setting, variable and message; the first one is short."""

import re
from pathlib import Path

import click
import pytest

from spa_lsp.cli import main as spa_lsp
from spa_lsp.server import commands as server_commands
from spa_lsp.server import feedback, panel, status
from spa_lsp.settings.schema import WORKSPACE_KEYS, names, to_camel_case
from trainer.cli import main as trainer

ROOT = Path(__file__).parent.parent
MAX_LINES = 150  # of the first page
PAGES = (
    "README.md",
    "spa_lsp/README.md",
    "trainer/README.md",
    "trainer/evaluate/README.md",
    "editor-clients/protocol.md",
)
MEASURED = ("spa_lsp/MEASURED.md", "trainer/MEASURED.md")
README, SERVER, TRAINER, EVALUATE, PROTOCOL = ((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
OF_PROGRAM = {"spa-lsp": SERVER + PROTOCOL, "trainer": TRAINER + EVALUATE}


def commands(command, path):
    """Every command below this one that does something, by the words that call it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        yield from commands(command.get_command(context, name), f"{path} {name}")


COMMANDS = dict([*commands(spa_lsp, "spa-lsp"), *commands(trainer, "trainer")])


@pytest.mark.parametrize("path", COMMANDS)
def test_command_stands_on_its_programs_page(path):
    assert path in OF_PROGRAM[path.split()[0]]


@pytest.mark.parametrize("path", COMMANDS)
def test_options_stand_on_its_programs_page(path):
    page = OF_PROGRAM[path.split()[0]]
    options = {name for option in COMMANDS[path].params if isinstance(option, click.Option) for name in option.opts}
    assert [name for name in sorted(options) if not re.search(rf"{name}\b", page)] == []


@pytest.mark.parametrize("name", names())
def test_setting_stands_on_the_servers_page(name):
    assert f"| `{to_camel_case(name)}` |" in SERVER


@pytest.mark.parametrize("name", ["SPA_HOME", "SPA_CACHE", "SPA_CONFIG", "SPA_MODELS", "SPA_DATA", "XDG_RUNTIME_DIR"])
def test_variable_stands_on_the_servers_page(name):
    assert f"`${name}" in SERVER or f"`{name}`" in SERVER


@pytest.mark.parametrize("path", COMMANDS)
def test_help_of_a_command_ends_in_an_example(path):
    assert COMMANDS[path].help.rstrip().splitlines()[-1].strip().startswith(path.split()[0])


@pytest.mark.parametrize("name", [*server_commands.COMMANDS, *feedback.NOTIFICATIONS, panel.REQUEST, status.STATUS])
def test_message_between_client_and_server_stands_in_the_protocol(name):
    assert f"`{name}`" in PROTOCOL


@pytest.mark.parametrize("name", names())
def test_what_a_workspace_may_set_is_marked(name):
    (line,) = [line for line in SERVER.splitlines() if line.startswith(f"| `{to_camel_case(name)}` |")]
    assert line.endswith(" ᵂ |") == (name in WORKSPACE_KEYS - {"record_outcomes"})


def test_the_first_page_is_short():
    assert len(README.splitlines()) <= MAX_LINES


@pytest.mark.parametrize("page", [*PAGES, *MEASURED])
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (ROOT / page).parent.joinpath(link).exists()] == []
