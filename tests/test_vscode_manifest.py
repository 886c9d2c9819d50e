"""The VS Code extension's manifest agrees with the server, and its README with the manifest."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from spa_lsp import __version__
from spa_lsp.settings.schema import OWN_FILE_KEYS, WORKSPACE_KEYS, Settings

CLIENT = Path(__file__).parent.parent / "editor-clients" / "vscode"
MANIFEST = json.loads((CLIENT / "package.json").read_text(encoding="utf-8"))
CONTRIBUTES = MANIFEST["contributes"]
PROPERTIES = CONTRIBUTES["configuration"]["properties"]
README = (CLIENT / "README.md").read_text(encoding="utf-8")
OWN = ("spaLsp.enabled", "spaLsp.server.path", "spaLsp.trace.server")


def camel_case(name):
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_settings_of_the_server_can_be_set_but_for_those_of_the_own_file(name):
    assert (f"spaLsp.{camel_case(name)}" in PROPERTIES) == (name not in OWN_FILE_KEYS)


@pytest.mark.parametrize("name", [name for name in PROPERTIES if name not in OWN])
def test_defaults_belong_to_the_server(name):
    assert PROPERTIES[name].get("default") is None


# #15
def test_a_folder_can_set_what_a_file_in_the_workspace_can():
    """Of which the server takes only what narrows privacy."""
    of_a_folder = {name for name, about in PROPERTIES.items() if about.get("scope", "window") == "window"}
    assert of_a_folder == {f"spaLsp.{camel_case(name)}" for name in WORKSPACE_KEYS} | {"spaLsp.enabled"}


def test_a_workspace_that_is_not_trusted_cannot_choose_the_program():
    limits = MANIFEST["capabilities"]["untrustedWorkspaces"]
    assert limits["supported"] == "limited" and "spaLsp.server.path" in limits["restrictedConfigurations"]


def test_the_version_is_that_of_the_server():
    assert MANIFEST["version"] == __version__


@pytest.mark.parametrize("command", [each["command"] for each in CONTRIBUTES["commands"]])
def test_commands_of_the_manifest_exist(command):
    source = (CLIENT / "src" / "commands.ts").read_text(encoding="utf-8")
    assert re.search(rf"^    {command.removeprefix('spaLsp.')}\b", source, re.MULTILINE)


@pytest.mark.parametrize("key", [each["key"] for each in CONTRIBUTES["keybindings"]])
def test_keys_stand_in_readme(key):
    assert key in README.lower()


@pytest.mark.parametrize("name", PROPERTIES)
def test_settings_stand_in_readme(name):
    assert f"`{name}`" in README or f"`{name.removeprefix('spaLsp.')}`" in README


def test_the_lock_names_no_registry():
    assert '"resolved"' not in (CLIENT / "package-lock.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted((CLIENT / "images").glob("*.png")), ids=lambda path: path.name)
def test_pictures_are_small(path):
    assert path.stat().st_size < 200_000
