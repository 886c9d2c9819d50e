"""Messages at the edge of the protocol, besides the torture cases, which are in `test_torture.py`."""

import asyncio
import json

import pytest

from tests.server.front import Front


@pytest.fixture
async def client():
    client = Front()
    await client.initialize()
    return client


def errors(client):
    return [(refusal["id"], refusal["error"]["code"]) for refusal in client.refusals]


async def test_p1_a_notification_before_initialize_is_dropped():
    client = Front()
    client.open("x")
    assert client.server.protocol.documents.get("file:///a.py") is None


async def test_initialize_comes_only_once(client):
    assert (await client.ask("initialize", {"capabilities": {}}))["error"]["code"] == -32600


async def test_an_unknown_method_is_answered_and_an_unknown_notification_ignored(client):
    client.notify("$/unknown", {})
    assert (await client.ask("textDocument/unknown", {}))["error"]["code"] == -32601
    assert client.notifications == []


async def test_a_cancel_of_an_unknown_request_is_ignored(client):
    client.notify("$/cancelRequest", {"id": 99})
    assert client.refusals == [] and client.notifications == []


@pytest.mark.parametrize("method", ["textDocument/didOpen", "textDocument/didChange", "initialized"])
async def test_a_notification_that_has_an_id_is_answered(client, method):
    assert (await client.ask(method, {"id": 1}))["error"]["code"] == -32600


async def test_an_initialize_that_cannot_be_read_may_be_repeated():
    client = Front()
    assert (await client.ask("initialize", {"capabilities": 3}))["error"]["code"] == -32602
    assert "capabilities" in await client.call("initialize", {"capabilities": {}})


async def test_a_document_of_which_a_change_cannot_be_read_is_not_used(client):
    client.open("x = 1\n")
    place = {"line": -1, "character": 0}
    client.change({"range": {"start": place, "end": place}, "text": "y"}, version=2)
    assert client.server.protocol.documents.get("file:///a.py").is_desynced


@pytest.mark.parametrize("params", [None, [], {"textDocument": 3}, {"textDocument": {"uri": "file:///b.py"}}])
async def test_a_change_that_does_not_say_of_what_is_ignored(client, params):
    client.notify("textDocument/didChange", params)
    assert client.refusals == [] and client.notifications == []


async def test_a_result_that_cannot_be_sent_is_an_internal_error(client):
    client.server.feature("spa-lsp/odd")(lambda ls, params: {"a set": {1, 2}})
    assert (await client.ask("spa-lsp/odd", {}))["error"]["code"] == -32603


async def test_a_shutdown_in_the_middle_of_a_command_is_answered_and_so_is_the_command(client):
    async def wait(ls, *arguments):
        await asyncio.sleep(60)

    client.server.command("spa-lsp.wait")(wait)
    command = client.ask("workspace/executeCommand", {"command": "spa-lsp.wait", "arguments": []})
    assert await client.call("shutdown") is None
    assert (await command)["error"]["code"] == -32800


async def test_parameters_nested_too_deep_are_answered(client):
    params = {"arguments": json.loads("[" * 900 + "]" * 900), "command": "spa-lsp.accept"}
    assert "id" in await client.ask("workspace/executeCommand", params)
