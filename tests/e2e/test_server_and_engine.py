"""The real server and the real engine with the default base and the set that is shipped with it, over LSP."""

import asyncio
import sys
import time

import pytest
import pytest_lsp
from lsprotocol import types
from pygls.exceptions import JsonRpcRequestCancelled
from pytest_lsp import ClientServerConfig, LanguageClient

from spa_lsp.adapters.finding import find_set
from spa_lsp.bases.catalog import DEFAULT_BASE, find_base, is_ready
from spa_lsp.engine.client import stop_engine
from spa_lsp.engine.supervisor import socket_path
from spa_lsp.errors import NotFound
from spa_lsp.outcomes.file import read_outcomes
from tests.fakes import beside, engine_status

pytestmark = pytest.mark.model

LOAD_TIMEOUT_S = 300
URI = "file:///cart.py"
CODE = '''def median(values):
    """The middle value of a list of numbers; the mean of the two in the middle when there is an even number."""
    ‸


print(median([3, 1, 2]))
'''
CURSOR = types.Position(line=2, character=4)
# what a slow machine answers counts, too; whatever other bases this machine has
OPTIONS = {"base": DEFAULT_BASE, "maxTokens": 24, "deadlineS": 120}


@pytest.fixture
def shipped_set():
    if not is_ready(find_base(DEFAULT_BASE)):
        pytest.skip(f"{DEFAULT_BASE} is not on this machine; run: spa-lsp models pull")
    try:
        return find_set(None, DEFAULT_BASE)
    except NotFound as error:
        pytest.skip(str(error))


@pytest_lsp.fixture(config=ClientServerConfig(server_command=[sys.executable, "-m", "spa_lsp", "--stdio"]))
async def client(lsp_client: LanguageClient, shipped_set):
    params = types.InitializeParams(capabilities=types.ClientCapabilities(), initialization_options=OPTIONS)
    result = await lsp_client.initialize_session(params)
    assert result.capabilities.inline_completion_provider is not None
    lsp_client.text_document_did_open(
        types.DidOpenTextDocumentParams(
            types.TextDocumentItem(uri=URI, language_id="python", version=1, text=CODE.replace("‸", ""))
        )
    )
    yield
    await lsp_client.shutdown_session()
    beside(stop_engine, socket_path(DEFAULT_BASE, "auto"))


def ask(client, position=CURSOR):
    context = types.InlineCompletionContext(trigger_kind=types.InlineCompletionTriggerKind.Automatic)
    document = types.TextDocumentIdentifier(URI)
    params = types.InlineCompletionParams(text_document=document, position=position, context=context)
    return client.text_document_inline_completion_async(params)


async def items_once_loaded(client):
    end = time.monotonic() + LOAD_TIMEOUT_S
    while not (items := (await ask(client)).items):
        assert time.monotonic() < end, "no alternatives in time"
        await asyncio.sleep(0.2)
    return items


async def test_an_editor_is_offered_different_alternatives_of_the_shipped_set(client, shipped_set):
    items = await items_once_loaded(client)
    arguments = [item.command.arguments[0] for item in items]
    assert 2 <= len(items) <= shipped_set.k
    assert len({item.insert_text for item in items}) == len(items)
    assert {each["setId"] for each in arguments} == {shipped_set.name}
    assert {each["adapter"] for each in arguments} <= {info.name for info in shipped_set.adapters}
    assert (await ask(client)).items == items

    command = types.ExecuteCommandParams(command=items[1].command.command, arguments=items[1].command.arguments)
    await client.workspace_execute_command_async(command)
    assert [outcome["adapter"] for outcome in read_outcomes()] == [arguments[1]["adapter"]]


async def test_a_newer_request_frees_the_engine_from_the_older_one(client, shipped_set):
    await items_once_loaded(client)
    older = asyncio.ensure_future(ask(client, types.Position(line=2, character=0)))
    await asyncio.sleep(0.2)
    newer = await ask(client, types.Position(line=1, character=0))
    with pytest.raises(JsonRpcRequestCancelled):
        await older
    assert newer.items
    status = beside(engine_status, DEFAULT_BASE)
    assert (status["state"], status["adapter_set"], status["n_clients"]) == ("ready", shipped_set.name, 1)
