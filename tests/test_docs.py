"""The pages that a user reads name every command, option, setting, variable and message; the first one is short.

Links lead somewhere on all pages.
"""

import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest
from markdown_it import MarkdownIt

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


PROGRAMS = {"spa-lsp": spa_lsp, "trainer": trainer}
COMMANDS = dict(each for name, program in PROGRAMS.items() for each in commands(program, name))


@pytest.mark.parametrize("path", COMMANDS)
def test_command_stands_on_its_programs_page(path):
    assert path in OF_PROGRAM[path.split()[0]]


def options_of(command):
    options = [option for option in command.params if isinstance(option, click.Option)]
    return {name for option in options for name in (*option.opts, *option.secondary_opts)}


@pytest.mark.parametrize("path", COMMANDS)
def test_options_stand_on_its_programs_page(path):
    page, options = OF_PROGRAM[path.split()[0]], options_of(COMMANDS[path])
    assert [name for name in sorted(options) if not re.search(rf"(?<![\w-]){name}(?![\w-])", page)] == []


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


# --- links and what one types, on every page (#15)

LINKING = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "editor-clients/*.md", "editor-clients/*/*.md", "editor-clients/vscode/media/*.md",
                    "models/**/*.md", "spa_lsp/**/*.md", "trainer/**/README.md")
    for path in ROOT.glob(pattern)
)  # fmt: skip


def typed_options(text):
    """The options in each call of a program, with the command that the call names."""
    for call in re.findall(r"(?<![\w./-])(?:spa-lsp|trainer) [^`#|;&\n]*", text):
        named = [path for path in COMMANDS if f"{call} ".startswith(f"{path} ")]
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", call):
            yield max(named, key=len, default=call.split()[0]), option


def takes(path, option):
    program = PROGRAMS[path.split()[0]]
    return option in {"--help"} | options_of(program) | options_of(COMMANDS.get(path, program))


@pytest.mark.parametrize("page", LINKING)
def test_what_one_types_has_options_of_the_command_that_it_names(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [call for call in typed_options(text) if not takes(*call)] == []


def test_an_option_of_another_command_is_found():
    (call,) = typed_options("    trainer partition check --patience 3  # --k\n")
    assert call == ("trainer partition check", "--patience") and not takes(*call)


@cache
def parsed(path):
    return MarkdownIt().enable("table").parse(path.read_text(encoding="utf-8"))


def links(page):
    for block in parsed(ROOT / page):
        for token in block.children or ():
            if target := token.attrs.get("href") or token.attrs.get("src"):
                yield str(target)
            yield from re.findall(r'(?:href|src)="([^"]+)"', token.content if token.type == "html_inline" else "")
        yield from re.findall(r'(?:href|src)="([^"]+)"', block.content if block.type == "html_block" else "")


@cache
def anchors(path):
    """What headings are called in links, as GitHub does it; the second of a name is numbered."""
    found = []
    for heading, text in pairwise(parsed(path)):
        if heading.type == "heading_open":
            words = "".join(each.content for each in text.children)
            name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            n_same = sum(1 for other in found if re.fullmatch(rf"{re.escape(name)}(-\d+)?", other))
            found.append(f"{name}-{n_same}" if n_same else name)
    return found


def leads_somewhere(page, link):
    path, _, anchor = unquote(link).partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    return target.exists() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize("page", LINKING)
def test_links_lead_somewhere(page):
    own = [link for link in links(page) if not urlsplit(link).scheme]
    assert [link for link in own if not leads_somewhere(page, link)] == []


def test_links_are_found_with_their_headings():
    assert "spa_lsp/README.md#how-it-works" in links("README.md")
    assert "how-it-works" in anchors(ROOT / "spa_lsp/README.md")
    assert not leads_somewhere("README.md", "spa_lsp/README.md#no-such-heading")
