"""Messages at the edge of the protocol; the numbers are those of the torture cases in the design's research."""

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


async def test_p1_a_request_before_initialize_is_refused():
    client = Front()
    assert (await client.ask("textDocument/inlineCompletion", {}))["error"]["code"] == -32002


async def test_p1_a_notification_before_initialize_is_dropped():
    client = Front()
    client.open("x")
    assert client.server.protocol.documents.get("file:///a.py") is None


async def test_initialize_comes_only_once(client):
    assert (await client.ask("initialize", {"capabilities": {}}))["error"]["code"] == -32600


@pytest.mark.parametrize("body", [b"{not json", b'{"jsonrpc":"2.0","method":"\xff"}', b"[" * 100_000])
async def test_p2_p18_a_body_that_is_not_json_is_a_parse_error(client, body):
    client.server.protocol.receive(body)
    assert errors(client) == [(None, -32700)] and client.notifications == []


async def test_p3_parameters_that_do_not_fit_are_answered(client):
    answer = await client.ask("textDocument/inlineCompletion", {"textDocument": 3})
    assert answer["error"]["code"] == -32602 and client.notifications == []


@pytest.mark.parametrize("message", [[], "x", 1, None, {}, {"jsonrpc": "1.0", "method": "x"}, {"jsonrpc": "2.0"}])
async def test_p4_what_is_no_message_is_refused(client, message):
    client.server.protocol.receive(json.dumps(message).encode())
    assert errors(client) == [(None, -32600)] and client.notifications == []


async def test_p5_a_key_jsonrpc_deep_in_the_parameters_means_nothing(client):
    arguments = {"command": "spa-lsp.accept", "arguments": [{"jsonrpc": "2.0", "method": "exit"}]}
    assert (await client.ask("workspace/executeCommand", arguments))["result"] is None


async def test_p6_an_error_in_a_handler_stays_short(client):
    def fail(ls, params):
        raise RuntimeError("a secret of the user")

    client.server.feature("spa-lsp/fail")(fail)
    error = (await client.ask("spa-lsp/fail", {}))["error"]
    assert error["code"] == -32603 and "secret" not in json.dumps(error) and "Traceback" not in json.dumps(error)


async def test_p7_a_change_of_a_document_that_is_not_open_is_ignored(client):
    client.change({"text": "x"}, version=1)
    assert client.notifications == [] and client.refusals == []


async def test_p9_a_request_after_shutdown_is_refused(client):
    assert await client.call("shutdown") is None
    assert (await client.ask("textDocument/inlineCompletion", {}))["error"]["code"] == -32600


async def test_p20_a_document_is_never_read_from_the_disk(client, tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    assert await client.items(0, 0, uri=(tmp_path / "a.py").as_uri()) == []


async def test_p26_an_id_that_is_in_use_is_refused(client):
    async def wait(ls, params):
        import asyncio

        await asyncio.sleep(0.05)

    client.server.feature("spa-lsp/wait")(wait)
    first = client.ask("spa-lsp/wait", {})
    client.send({"id": 2, "method": "spa-lsp/wait", "params": {}})
    assert (await first)["error"]["code"] == -32600


async def test_an_unknown_method_is_answered_and_an_unknown_notification_ignored(client):
    client.notify("$/unknown", {})
    assert (await client.ask("textDocument/unknown", {}))["error"]["code"] == -32601
    assert client.notifications == []


async def test_a_cancel_of_an_unknown_request_is_ignored(client):
    client.notify("$/cancelRequest", {"id": 99})
    assert client.refusals == [] and client.notifications == []
