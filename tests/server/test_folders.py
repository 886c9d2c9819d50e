"""Several folders in one window: each document goes by its own. Issue 13."""

import threading

from spa_lsp import paths
from spa_lsp.outcomes import file as outcomes
from spa_lsp.server.neighbours import Neighbours
from spa_lsp.workspace import ignores
from tests.fakes import PATIENCE_S, FakeCompleter
from tests.server.conftest import eventually
from tests.server.test_neighbours import LIBRARY, document, pieces

CODE = "def add(a, b):\n    \n"


def folders(tmp_path, **settings):
    """Folders of these names with these settings."""
    for name, text in settings.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / ".spa-lsp.toml").write_text(text)
    return [tmp_path / name for name in settings]


def change(client, *, added=(), removed=()):
    event = {
        "added": [{"uri": each.as_uri(), "name": each.name} for each in added],
        "removed": [{"uri": each.as_uri(), "name": each.name} for each in removed],
    }
    client.notify("workspace/didChangeWorkspaceFolders", {"event": event})


async def asked_tokens(client, completer, path):
    client.open(CODE, uri=path.as_uri())
    await client.items(1, 4, uri=path.as_uri())
    return completer.asked[-1].max_tokens


async def test_a_document_goes_by_the_settings_of_its_folder(front, tmp_path):
    completer = FakeCompleter()
    one, two = folders(tmp_path, one="max_tokens = 9", two="max_tokens = 10")
    client = await front(completer, root=one)
    change(client, added=[two])
    assert await asked_tokens(client, completer, two / "a.py") == 10
    assert await asked_tokens(client, completer, one / "a.py") == 9


# #15
async def test_a_rule_counts_as_soon_as_its_file_is_saved(front, tmp_path):
    client = await front(root=tmp_path)
    uri = (tmp_path / "a.py").as_uri()
    client.open(CODE, uri=uri)
    assert await client.items(1, 4, uri=uri)
    (tmp_path / ".gitignore").write_text("a.py\n")
    client.notify("textDocument/didSave", {"textDocument": {"uri": (tmp_path / ".gitignore").as_uri()}})
    assert not await client.items(1, 4, uri=uri)


async def test_the_innermost_folder_counts(front, tmp_path):
    completer = FakeCompleter()
    one, two = folders(tmp_path, **{"one": "max_tokens = 9", "one/two": "max_tokens = 10"})
    client = await front(completer, root=one)
    change(client, added=[two])
    assert await asked_tokens(client, completer, two / "a.py") == 10


async def test_the_first_folder_does_not_rule_the_others(front, tmp_path):
    one, two = folders(tmp_path, one='disabled_languages = ["python"]\nignore = ["b.py"]', two="")
    client = await front(root=one)
    change(client, added=[two])
    client.open(CODE, uri=(two / "b.py").as_uri())
    assert await client.items(1, 4, uri=(two / "b.py").as_uri())


async def test_what_the_second_folder_ignores_is_left_alone(front, tmp_path):
    one, two = folders(tmp_path, one="", two='ignore = ["private/"]')
    client = await front(root=one)
    change(client, added=[two])
    client.open(CODE, uri=(two / "private" / "a.py").as_uri())
    assert await client.items(1, 4, uri=(two / "private" / "a.py").as_uri()) == []


async def test_a_changed_file_of_the_second_folder_counts_at_once(front, tmp_path):
    one, two = folders(tmp_path, one="", two="")
    client = await front(root=one)
    change(client, added=[two])
    client.open(CODE, uri=(two / "a.py").as_uri())
    assert await client.items(1, 4, uri=(two / "a.py").as_uri())
    (two / ".spa-lsp.toml").write_text('disabled_languages = ["python"]')
    assert await client.items(1, 4, uri=(two / "a.py").as_uri()) == []


async def test_what_a_folder_said_goes_with_it(front, tmp_path):
    one, two = folders(tmp_path, one="", two='ignore = ["a.py"]')
    client = await front(root=one)
    change(client, added=[two])
    client.open(CODE, uri=(two / "a.py").as_uri())
    assert await client.items(1, 4, uri=(two / "a.py").as_uri()) == []
    change(client, removed=[two])
    assert await client.items(1, 4, uri=(two / "a.py").as_uri())


async def test_a_folder_that_wants_nothing_recorded_gets_its_way(front, tmp_path, monkeypatch):
    one, two = folders(tmp_path, one="", two="record_outcomes = false")
    client = await front(root=one)
    change(client, added=[two])
    noted = []
    monkeypatch.setattr(client.server.recorder, "add", lambda outcome, **_: noted.append(outcome))
    monkeypatch.setattr(client.server.recorder, "note_answer", noted.append)
    client.open(CODE, uri=(two / "a.py").as_uri())
    items = await client.items(1, 4, uri=(two / "a.py").as_uri())
    await client.call("workspace/executeCommand", {"command": "spa-lsp.accept", **arguments_of(items[0])})
    assert noted == []


async def test_what_was_taken_in_a_folder_that_wants_nothing_recorded_is_not_put_down_to_another(front, tmp_path):
    paths.config_dir().mkdir()
    (paths.config_dir() / "config.toml").write_text('record_outcomes = "text"\n')
    one, two = folders(tmp_path, one="record_outcomes = false", two="")
    client = await front(root=one)
    change(client, added=[two])
    first, other = (one / "a.py").as_uri(), (two / "b.py").as_uri()
    for uri in (first, other):
        client.open(CODE, uri=uri)
    for uri in (first, other, first):
        items = await client.items(1, 4, uri=uri)
    await client.call("workspace/executeCommand", {"command": "spa-lsp.accept", **arguments_of(items[0])})
    assert outcomes.read_outcomes() == []


def arguments_of(item):
    return {"arguments": item["command"]["arguments"]}


async def test_files_of_another_folder_are_no_context(tmp_path):
    one, two = folders(tmp_path, one="", two="")
    neighbours = Neighbours(lambda: [one, two], lambda uri: False)
    neighbours.opened(document(one, LIBRARY, "other.py"))
    assert await pieces(neighbours, document(two, "x = 1\n")) == []
    assert len(await pieces(neighbours, document(one, "x = 1\n"))) == 1


async def test_a_module_of_another_folder_is_not_imported(tmp_path):
    one, two = folders(tmp_path, one="", two="")
    (one / "library.py").write_text(LIBRARY)
    neighbours = Neighbours(lambda: [one, two], lambda uri: False)
    assert await pieces(neighbours, document(two, "from library import helper\n")) == []


async def test_the_label_of_a_document_is_its_path_in_the_innermost_folder(tmp_path):
    neighbours = Neighbours(lambda: [tmp_path, tmp_path / "one"], lambda uri: False)
    assert neighbours.label((tmp_path / "one" / "a.py").as_uri()) == "a.py"


async def test_while_an_ignore_file_is_read_other_messages_are_answered(front, tmp_path, monkeypatch):
    is_reading, gate, parse = threading.Event(), threading.Event(), ignores.parse_rules

    def slow(text, **options):
        is_reading.set()
        assert gate.wait(PATIENCE_S / 2)
        return parse(text, **options)

    client = await front(root=tmp_path)
    (tmp_path / ".gitignore").write_text("build/\n")
    ignores.forget()
    monkeypatch.setattr(ignores, "parse_rules", slow)
    client.open(CODE, uri=(tmp_path / "a.py").as_uri())
    asked = client.ask_items(1, 4, uri=(tmp_path / "a.py").as_uri())
    await eventually(is_reading.is_set)
    assert "error" in await client.ask("test/unknown", {})
    assert not gate.is_set()
    gate.set()
    assert (await asked)["result"]["items"]


async def test_an_ignore_file_is_parsed_once(front, tmp_path, monkeypatch):
    n_parsed, parse = [], ignores.parse_rules
    monkeypatch.setattr(ignores, "parse_rules", lambda text, **_: n_parsed.append(text) or parse(text))
    (tmp_path / ".gitignore").write_text("build-once/\n")
    client = await front(root=tmp_path)
    for name in "abc":
        client.open(CODE, uri=(tmp_path / f"{name}.py").as_uri())
        await client.items(1, 4, uri=(tmp_path / f"{name}.py").as_uri())
    assert n_parsed.count(b"build-once/\n") == 1


async def why_not(client, path):
    return await client.call("spa-lsp/whyNot", {"textDocument": {"uri": path.as_uri()}})


async def test_a_status_bar_is_told_why_a_file_gets_nothing(front, tmp_path):
    client = await front(root=tmp_path, settings={"ignore": ["/private/"]})
    client.open(CODE, uri=(tmp_path / "private" / "a.py").as_uri())
    told = {"reason": "ignored", "message": "this file is left alone (setting ignore: /private/)"}
    assert await why_not(client, tmp_path / "private" / "a.py") == told


async def test_of_a_file_that_is_served_a_status_bar_is_told_nothing(front, tmp_path):
    client = await front(root=tmp_path)
    client.open(CODE, uri=(tmp_path / "a.py").as_uri())
    assert await why_not(client, tmp_path / "a.py") == {"reason": "", "message": ""}
