"""What clients tell of alternatives, and what is noted of it."""

import pytest

from spa_lsp import paths
from spa_lsp.outcomes import file as outcomes
from spa_lsp.server import commands, feedback
from tests.fakes import FakeCompleter
from tests.server.front import Front

CODE = "def add(a, b):\n    \n"
NAMED = {"setId": "s", "index": 1, "adapter": "a2", "language": "python"}


async def noted(client):
    """What stands in the file, of a front that was told something."""
    client.server.recorder.flush()
    return [(row["kind"], row["adapter"], row["n_chars"]) for row in outcomes.read_outcomes()]


@pytest.mark.parametrize(
    ("method", "params", "row"),
    [
        ("spa-lsp/didShow", NAMED, ("shown", "a2", None)),
        ("spa-lsp/didPartiallyAccept", {**NAMED, "acceptedLength": 5}, ("partial", "a2", 5)),
        ("spa-lsp/didDismiss", NAMED, ("dismissed", "a2", None)),
        ("textDocument/didShowCompletion", {"item": {"command": {"arguments": [NAMED]}}}, ("shown", "a2", None)),
        (
            "textDocument/didPartiallyAcceptCompletion",
            {"item": {"command": {"arguments": [NAMED]}}, "acceptedLength": 2},
            ("partial", "a2", 2),
        ),
    ],
)
async def test_what_a_client_tells_is_noted(method, params, row):
    client = Front()
    await client.initialize()
    client.notify(method, params)
    assert await noted(client) == [row]


@pytest.mark.parametrize("method", feedback.NOTIFICATIONS)
@pytest.mark.parametrize("params", [None, [], {}, {**NAMED, "adapter": "x = 1\n"}, {"item": {"command": {}}}])
async def test_what_cannot_be_read_harms_nothing(method, params):
    client = Front()
    await client.initialize()
    client.notify(method, params)
    assert await noted(client) == [] and client.notifications == []


async def test_nothing_is_noted_when_the_user_does_not_want_it(front):
    client = await front(settings={"recordOutcomes": False})
    client.open(CODE)
    await client.items(1, 4)
    client.notify("spa-lsp/didShow", NAMED)
    assert await noted(client) == [] and outcomes.read_answers() == []


@pytest.mark.parametrize("method", ["spa-lsp/didShow", "spa-lsp/didPartiallyAccept"])
async def test_what_a_client_shows_stays_first_when_the_user_types_on(front, method):
    client = await front(settings={"recordOutcomes": False})
    client.open(CODE)
    second = (await client.items(1, 4))[1]
    client.notify(method, second["command"]["arguments"][0])
    client.change({"text": "def add(a, b):\n    return \n"}, version=2)
    assert [item["command"] for item in await client.items(1, 11)][0] == second["command"]


async def test_what_stays_on_the_screen_untouched_is_rejected(monkeypatch):
    monkeypatch.setattr(feedback, "REJECTED_AFTER_S", 0.0)
    client = Front()
    await client.initialize()
    client.notify("spa-lsp/didShow", NAMED)
    await client.ask("no/such")  # a turn of the event loop
    assert await noted(client) == [("shown", "a2", None), ("rejected", "a2", None)]


async def test_what_was_taken_is_not_rejected(monkeypatch):
    monkeypatch.setattr(feedback, "REJECTED_AFTER_S", 0.0)
    client = Front()
    await client.initialize()
    client.notify("spa-lsp/didShow", NAMED)
    client.notify("spa-lsp/didPartiallyAccept", NAMED)
    await client.ask("no/such")
    assert [row[0] for row in await noted(client)] == ["shown", "partial"]


@pytest.mark.parametrize(("setting", "text"), [(True, None), ("text", "return a + b")])
async def test_text_is_stored_only_when_the_user_lets_it(front, setting, text):
    client = await front(settings={"recordOutcomes": setting})
    client.open(CODE)
    command = (await client.items(1, 4))[0]["command"]
    await client.call("workspace/executeCommand", {"command": command["command"], "arguments": command["arguments"]})
    (row,) = outcomes.read_outcomes()
    assert row["text"] == text and row["prefix"] == (CODE[:-1] if text else None)


# issue 14
@pytest.mark.parametrize(
    ("line", "setting", "kinds"),
    [
        ("return a + b", "text", ["accepted"]),
        ("return b + a", "text", ["accepted", "edited"]),
        ("return b + a", True, ["accepted"]),
    ],
)
async def test_what_is_edited_soon_after_it_was_accepted_is_noted(front, monkeypatch, line, setting, kinds):
    monkeypatch.setattr("spa_lsp.server.feedback.KEPT_AFTER_S", 0)
    client = await front(settings={"recordOutcomes": setting})
    client.open(CODE)
    command = (await client.items(1, 4))[0]["command"]
    client.change({"text": f"{CODE.rstrip()} {line}\n"}, version=2)
    await client.call("workspace/executeCommand", {"command": command["command"], "arguments": command["arguments"]})
    client.server.recorder.flush()
    rows = outcomes.read_outcomes()
    assert [row["kind"] for row in rows] == kinds and {row["text"] for row in rows} <= {"return a + b", None}


# issue 15
@pytest.mark.parametrize("setting", ["true", "false"])
async def test_text_that_was_forbidden_meanwhile_is_not_stored(front, monkeypatch, tmp_path, setting):
    monkeypatch.setattr(feedback, "KEPT_AFTER_S", 0)
    own = paths.config_dir() / "config.toml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text('record_outcomes = "text"\n')
    client = await front()
    client.open(CODE)
    command = (await client.items(1, 4))[0]["command"]
    commands.tell("accepted", client.server, command["arguments"][0])
    own.write_text(f"record_outcomes = {setting}\n")
    await client.ask("no/such")  # a turn of the event loop
    client.server.recorder.flush()
    assert [row["kind"] for row in outcomes.read_outcomes()] == ["accepted"]


# issue 15
async def test_nothing_is_rejected_when_the_user_has_forbidden_it_meanwhile(monkeypatch):
    monkeypatch.setattr(feedback, "REJECTED_AFTER_S", 0.0)
    client = Front()
    await client.initialize()
    client.notify("spa-lsp/didShow", NAMED)
    client.notify("workspace/didChangeConfiguration", {"settings": {"recordOutcomes": False}})
    await client.ask("no/such")  # a turn of the event loop
    assert await noted(client) == [("shown", "a2", None)]


async def test_answers_are_noted_with_their_time(front):
    client = await front()
    client.open(CODE)
    await client.items(1, 4)
    await client.items(1, 4)
    client.server.recorder.flush()
    rows = outcomes.read_answers()
    assert [(row["language"], row["n_items"], row["is_cached"]) for row in rows] == [("python", 3, 0), ("python", 3, 1)]
    assert all(row["latency_ms"] > 0 for row in rows)


# #11
async def test_what_is_noted_says_which_of_the_sets_of_that_name_it_was(front):
    client = await front(FakeCompleter(set_sha256="1" * 64))
    client.open(CODE)
    command = (await client.items(1, 4))[0]["command"]
    await client.call("workspace/executeCommand", {"command": command["command"], "arguments": command["arguments"]})
    assert [row["set_sha256"] for row in outcomes.read_outcomes()] == ["1" * 64]
    assert [row["set_sha256"] for row in outcomes.read_answers()] == ["1" * 64]
