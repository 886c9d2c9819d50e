"""Settings of a living front: files that change, clients that say new ones, what a workspace hides."""

from pathlib import Path

import pytest

from spa_lsp import paths
from spa_lsp.adapters.selection import select_set
from spa_lsp.adapters.writing import write_set
from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.outcomes.file import write
from spa_lsp.outcomes.records import Outcome
from spa_lsp.server import configuration
from spa_lsp.server.configuration import Configuration, first_section, section_of
from spa_lsp.workspace import ignores
from spa_lsp.workspace.folders import folder_of
from tests.fakes import SOME_TEXTS, FakeCompleter, beside, engine_status
from tests.server.conftest import eventually
from tests.server.front import CAPABILITIES, Front
from tests.tiny_set import make_adapters, make_set

LARGE = "qwen2.5-coder-1.5b-instruct"
CODE = "def add(a, b):\n    \n"
ASKED = {**CAPABILITIES, "workspace": {"configuration": True}}


@pytest.fixture(autouse=True)
def fresh():
    ignores.forget()


async def max_tokens(client, completer):
    """What the next request says; another place each time, so that nothing is cached."""
    client.open(CODE)
    await client.items(1, 4)
    return completer.asked[-1].max_tokens


async def test_a_file_in_the_workspace_counts_and_its_changes_too(front, tmp_path):
    completer = FakeCompleter()
    (tmp_path / ".spa-lsp.toml").write_text("max_tokens = 9\n")
    client = await front(completer, root=tmp_path)
    assert await max_tokens(client, completer) == 9
    (tmp_path / ".spa-lsp.toml").write_text("max_tokens = 10\n")
    client.close_document()
    assert await max_tokens(client, completer) == 10


async def test_new_settings_of_the_client_count_at_once(front):
    completer = FakeCompleter()
    client = await front(completer)
    client.notify("workspace/didChangeConfiguration", {"settings": {"spaLsp": {"maxTokens": 7, "base": "fake-base"}}})
    await eventually(lambda: client.server.settings.max_tokens == 7)
    assert await max_tokens(client, completer) == 7


# #15
async def test_what_a_client_has_from_a_folder_may_set_no_more_than_a_file_there(front):
    theirs = {
        "maxTokens": 8,
        "ignore": ["!mine", "b/"],
        "recordOutcomes": "text",
        "contextChars": {"diff": 9},
        "base": "b",
    }
    client = await front(
        settings={"ignore": ["mine"], "maxTokens": 7, "workspace": {**theirs, "disabledLanguages": ["c"]}}
    )
    kept = client.server.settings
    assert (kept.max_tokens, kept.ignore, kept.disabled_languages) == (8, ("mine",), ("c",))
    assert (kept.base, kept.record_outcomes, kept.diff_chars) == ("fake-base", True, 0)
    assert len(client.messages) == 4


# #15
async def test_the_lines_of_a_folder_in_a_client_add_up_with_the_users(front):
    client = await front(settings={"ignore": ["a/"], "workspace": {"ignore": ["b/"]}})
    assert client.server.settings.ignore == ("a/", "b/") and client.messages == []


async def test_a_client_that_gives_nothing_is_asked_at_the_start():
    client = Front()
    client.replies["workspace/configuration"] = [{"maxTokens": 8, "trace": {"server": "off"}}, None, None]
    await client.call("initialize", {"processId": None, "rootUri": None, "capabilities": ASKED})
    client.notify("initialized", {})
    await eventually(lambda: client.server.settings.max_tokens == 8)
    assert client.messages == []


# issue 15: they were left out as unknown, a project's privacy with them
async def test_what_a_client_has_from_a_folder_counts_when_it_is_asked():
    client = Front()
    theirs = {"recordOutcomes": False, "ignore": ["*.x"]}
    client.replies["workspace/configuration"] = [{"workspace": theirs, "maxTokens": 5}, None, None]
    await client.initialize(capabilities=ASKED)
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    await eventually(lambda: client.server.settings.max_tokens == 5)
    kept = client.server.settings
    assert (kept.record_outcomes, kept.ignore, client.messages) == (False, ("*.x",), [])


async def test_a_client_that_says_only_that_something_changed_is_asked():
    client = Front()
    client.replies["workspace/configuration"] = [None, {"stop": "single"}, None]
    await client.initialize(capabilities=ASKED)
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    await eventually(lambda: client.server.settings.stop == "single")


async def test_another_base_is_another_engine(front):
    client = await front()
    before = client.server.link
    client.notify("workspace/didChangeConfiguration", {"settings": {"base": "other"}})
    await eventually(lambda: client.server.link is not before)


@pytest.fixture
def here(monkeypatch):
    """The bases that count as pulled."""
    ids = {DEFAULT_BASE}
    monkeypatch.setattr("spa_lsp.bases.choice.is_ready", lambda base: base.id in ids)
    return ids


async def auto_front():
    client = Front()
    await client.initialize(settings={"base": "auto"})
    client.open(CODE)
    return client


# issue 15: `models pull` says that it is served from now on
async def test_a_base_that_was_pulled_meanwhile_is_served_soon(here, monkeypatch):
    monkeypatch.setattr(configuration, "LOOK_EVERY_S", 0.0)
    client = await auto_front()
    assert client.server.settings.base == DEFAULT_BASE
    here.add(LARGE)
    (paths.bases_dir() / LARGE).mkdir(parents=True)
    await client.items(1, 4)
    assert client.server.settings.base == LARGE


# issue 15
async def test_a_set_that_was_chosen_meanwhile_decides_about_the_base(here, monkeypatch):
    monkeypatch.setattr(configuration, "LOOK_EVERY_S", 0.0)
    here.add(LARGE)
    client = await auto_front()
    before = client.server.link
    select_set(make_set(make_adapters(), base_id=DEFAULT_BASE))
    await client.items(1, 4)
    assert client.server.settings.base == DEFAULT_BASE and client.server.link is not before


# issue 15
@pytest.mark.parametrize("command", ["reloadAdapters", "restartEngine"])
async def test_these_commands_look_for_the_base_though_no_file_is_another(here, command):
    client = await auto_front()
    here.add(LARGE)
    await client.call("workspace/executeCommand", {"command": f"spa-lsp.{command}", "arguments": []})
    assert client.server.settings.base == LARGE


async def test_the_same_complaint_is_shown_once(front, tmp_path):
    (tmp_path / ".spa-lsp.toml").write_text('quantization = "nf4"\n')
    client = await front(root=tmp_path)
    client.open(CODE)
    await client.items(1, 4)
    (tmp_path / ".spa-lsp.toml").write_text('quantization = "nf4" \n')
    await client.items(1, 3)
    assert len(client.messages) == 1 and "cannot be set by a workspace" in client.messages[0]


async def test_on_demand_means_only_when_asked(front):
    client = await front(settings={"trigger": "manual"})
    client.open(CODE)
    assert await client.items(1, 4, triggerKind=2) == [] and await client.items(1, 4, triggerKind=1)


@pytest.mark.parametrize("name", [".env", "hidden.py", "private/a.py"])
async def test_an_ignored_document_gets_nothing(front, tmp_path, name):
    (tmp_path / ".gitignore").write_text("hidden.py\n")
    client = await front(root=tmp_path, settings={"ignore": ["/private/"]})
    client.open(CODE, uri=(tmp_path / name).as_uri())
    client.open(CODE, uri=(tmp_path / "shown.py").as_uri())
    assert await client.items(1, 4, uri=(tmp_path / name).as_uri()) == []
    assert await client.items(1, 4, uri=(tmp_path / "shown.py").as_uri())


async def test_the_users_own_file_is_read(front):
    paths.config_dir().mkdir()
    (paths.config_dir() / "config.toml").write_text('disabled_languages = ["python"]\n')
    client = await front()
    client.open(CODE)
    assert await client.items(1, 4) == []


@pytest.mark.parametrize(
    ("values", "found"),
    [({"spa_lsp": {"a": 1}}, {"a": 1}), ({"maxTokens": 3}, {"maxTokens": 3}), ({}, None), (None, None), (3, 3)],
)
def test_our_section_is_found(values, found):
    assert section_of(values) == found


def test_settings_of_an_extension_beside_ours_are_left_out():
    assert first_section([None, {"maxTokens": 3, "trace.server": "off"}]) == {"maxTokens": 3}


async def test_a_setting_counts_where_something_was_answered_before(front):
    completer = FakeCompleter()
    client = await front(completer)
    client.open(CODE)
    await client.items(1, 4)
    client.notify("workspace/didChangeConfiguration", {"settings": {"maxTokens": 7, "base": "fake-base"}})
    await eventually(lambda: client.server.settings.max_tokens == 7)
    await client.items(1, 4)
    assert [request.max_tokens for request in completer.asked] == [64, 7]


async def test_the_learned_order_counts_when_it_is_switched_on_later(front):
    write([Outcome(kind="accepted", set_id="fake-set", index=2, adapter="a3", language="python")])
    client = await front(settings={"learnedOrder": False})
    client.open(CODE)
    assert (await client.texts(1, 4))[1] == SOME_TEXTS[1]
    client.notify("workspace/didChangeConfiguration", {"settings": {"learnedOrder": True, "base": "fake-base"}})
    await eventually(lambda: client.server.offering.learned.of("python"))
    assert (await client.texts(1, 4))[1] == SOME_TEXTS[2]  # behind the lead


async def test_a_new_idle_time_is_that_of_the_engine_that_runs(front):
    client = await front()
    client.notify("workspace/didChangeConfiguration", {"settings": {"engineIdleS": 1, "base": "fake-base"}})
    await eventually(lambda: client.server.settings.engine_idle_s == 1)
    await eventually(lambda: client.server.link.is_connected)
    client.server.link.close()
    await eventually(lambda: beside(engine_status) is None)


async def test_folders_that_the_client_opens_and_closes_count(front, tmp_path):
    (tmp_path / ".spa-lsp.toml").write_text('disabled_languages = ["python"]\n')
    client = await front()
    client.open(CODE)
    folder = {"uri": tmp_path.as_uri(), "name": "x"}
    client.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [folder], "removed": []}})
    assert await client.items(1, 4) == []
    client.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": [folder]}})
    assert await client.items(1, 4)


# #13
@pytest.mark.parametrize(
    ("folders", "text", "hidden"),
    [
        (["/w", "/w/secret-client"], "/w/secret-client/.spa-lsp.toml: no", "<workspace>/.spa-lsp.toml: no"),
        (["/w/app", "/w/app2"], "in /w/app2: no", "in <workspace>: no"),
        (["/w/app"], "in '/w/app' and /w/app.", "in '<workspace>' and <workspace>."),
        (["/w"], "/home/w/app", "/home/w/app"),
        ([], "/w/app", "/w/app"),
    ],
)
def test_a_log_holds_no_path_below_the_workspace(folders, text, hidden):
    configuration = Configuration()
    configuration.folders = [Path(folder) for folder in folders]
    assert configuration.without_folders(text) == hidden


# #13
def test_a_document_of_another_machine_lies_in_no_folder_of_this_one():
    assert folder_of("vscode-remote://ssh-remote+host/w/a.py", [Path("/w")]) is None
    assert folder_of("vscode-notebook-cell:/w/a.ipynb#W1", [Path("/w")]) == Path("/w")


def place_set(base_id, name):
    adapters = make_adapters()
    made = make_set(adapters, base_id=base_id, name=name)
    write_set(paths.user_sets_dir() / base_id / name, made, adapters)


# #15
@pytest.mark.parametrize("is_file", [True, False])
async def test_a_set_that_a_folder_asks_for_does_not_change_the_base(here, tmp_path, is_file):
    here.add(LARGE)
    place_set(DEFAULT_BASE, "small")
    (tmp_path / ".spa-lsp.toml").write_text('adapter_set = "small"\n' if is_file else "")
    client = Front()
    theirs = {} if is_file else {"workspace": {"adapterSet": "small"}}
    await client.initialize(settings={"base": "auto", **theirs}, root=tmp_path)
    assert (client.server.settings.base, client.server.settings.adapter_set) == (LARGE, None)
    (message,) = client.messages
    assert f"'small' was made for {DEFAULT_BASE}, the base is {LARGE}; the one in use is kept" in message


# #15
async def test_a_set_that_a_folder_asks_for_and_that_fits_is_served(here, tmp_path):
    here.add(LARGE)
    place_set(LARGE, "large")
    (tmp_path / ".spa-lsp.toml").write_text('adapter_set = "large"\n')
    client = Front()
    await client.initialize(settings={"base": "auto"}, root=tmp_path)
    assert (client.server.settings.base, client.server.settings.adapter_set) == (LARGE, "large")
    assert client.messages == []


# #15
async def test_a_set_that_the_user_asks_for_changes_the_base_whatever_the_folder_says(here, tmp_path):
    here.add(LARGE)
    place_set(DEFAULT_BASE, "small")
    paths.config_dir().mkdir(parents=True)
    (paths.config_dir() / "config.toml").write_text('adapter_set = "small"\n')
    (tmp_path / ".spa-lsp.toml").write_text('adapter_set = ""\n')
    client = Front()
    await client.initialize(settings={"base": "auto"}, root=tmp_path)
    assert (client.server.settings.base, client.server.settings.adapter_set) == (DEFAULT_BASE, "")
