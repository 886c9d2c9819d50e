"""What a front tells its client about itself, with the real link and an engine in a thread."""

import asyncio
import threading
from contextlib import closing

import pytest

from spa_lsp.adapters import writing
from spa_lsp.engine.events import Loading
from spa_lsp.errors import NotFound
from spa_lsp.server import status
from spa_lsp.storage import store
from tests.fakes import PATIENCE_S, SLOW, FakeCompleter
from tests.server.conftest import eventually
from tests.server.front import CAPABILITIES
from tests.tiny_set import make_adapters, make_set

CODE = "def add(a, b):\n    \n"
WITH_BARS = {**CAPABILITIES, "window": {"workDoneProgress": True}}


def states(client):
    return [status["state"] for status in client.statuses]


def progress(client):
    return [params["value"]["kind"] for method, params in client.notifications if method == "$/progress"]


async def loading_front(front, **options):
    """A front whose engine loads until the gate is opened."""
    gate = threading.Event()

    def load(on_progress):
        on_progress("weights", 0.25)
        gate.wait(PATIENCE_S)
        on_progress("adapters", 0.75)
        return FakeCompleter()

    client = await front(load=load, **options)
    client.server.link._channel.send({"type": "wait", "id": 0})  # ask again: the first progress may be over already
    return client, gate


async def test_the_way_from_start_to_ready_is_told(front):
    client, gate = await loading_front(front)
    gate.set()
    await eventually(lambda: "ready" in states(client))
    await eventually(lambda: client.statuses[-1]["base"] == "fake-base")
    assert states(client)[0] == "starting" and states(client)[-2:] == ["ready", "ready"]
    assert client.statuses[-1] == {
        "state": "ready",
        "message": "",
        "base": "fake-base",
        "adapter_set": "fake-set",
        "k": None,
        "sends_to": "",
    }


async def test_loading_is_told_with_its_stage(front):
    client, gate = await loading_front(front)
    gate.set()
    await eventually(lambda: "ready" in states(client))
    assert "adapters, 75%" in [status["message"] for status in client.statuses if status["state"] == "loading"]


async def test_a_client_with_progress_bars_gets_one_for_the_load(front):
    client, gate = await loading_front(front, capabilities=WITH_BARS)
    client.server.status.on_event(Loading(id=0, stage="weights", fraction=0.3))
    await eventually(lambda: "begin" in progress(client))
    gate.set()
    await eventually(lambda: "end" in progress(client))
    assert progress(client)[0] == "begin" and progress(client).count("begin") == progress(client).count("end") == 1
    assert [method for method, _ in client.requests] == ["window/workDoneProgress/create"]


async def test_a_client_without_progress_bars_gets_none(front):
    client, gate = await loading_front(front)
    gate.set()
    await eventually(lambda: "ready" in states(client))
    assert client.requests == [] and progress(client) == []


# #15
async def test_k_is_that_of_the_set_however_many_have_answered(front):
    adapters = make_adapters(k=2)
    with closing(store.open_store(write=True)) as db:
        writing.publish(db, make_set(adapters, name="fake-set", base_id="fake-base"), adapters)
    client = await front()
    client.open(CODE)
    await eventually(lambda: client.statuses[-1]["k"] == 2)
    assert len(await client.items(1, 4)) == 3
    await client.server._counting
    assert [status["k"] for status in client.statuses if status["base"]] == [None, 2]


async def test_long_work_is_told_and_its_end(front, monkeypatch):
    monkeypatch.setattr(status, "BUSY_AFTER_S", 0.0)
    completer = FakeCompleter(**SLOW)
    client = await front(completer)
    client.open(CODE)
    await eventually(lambda: "ready" in states(client))
    answer = asyncio.ensure_future(client.items(1, 4))
    await eventually(lambda: states(client)[-1] == "busy")
    completer.n_steps = 0
    client.notify("$/cancelRequest", {"id": 2})
    await eventually(lambda: states(client)[-1] == "ready")
    answer.cancel()


async def test_short_work_is_not_told(front, monkeypatch):
    monkeypatch.setattr(status, "BUSY_AFTER_S", 3600.0)
    client = await front()
    client.open(CODE)
    await eventually(lambda: "ready" in states(client))
    await client.items(1, 4)
    assert "busy" not in states(client)


async def test_a_load_that_fails_is_told_with_the_way_out(front):
    def load(on_progress):
        raise NotFound("the base is not on this machine; run: spa-lsp models pull")

    client = await front(load=load)
    await eventually(lambda: "error" in states(client))
    assert "spa-lsp models pull" in client.statuses[-1]["message"] and client.messages == []


@pytest.mark.parametrize("arguments", [[], [False]])
async def test_switched_off_is_told_and_nothing_is_offered(front, arguments):
    client = await front()
    client.open(CODE)
    await eventually(lambda: "ready" in states(client))
    answer = await client.call("workspace/executeCommand", {"command": "spa-lsp.toggle", "arguments": arguments})
    assert answer == {"enabled": False} and states(client)[-1] == "off"
    assert await client.items(1, 4) == []
    await client.call("workspace/executeCommand", {"command": "spa-lsp.toggle"})
    assert states(client)[-1] == "ready" and await client.items(1, 4)
