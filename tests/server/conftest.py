import asyncio
from contextlib import ExitStack

import pytest

from spa_lsp.engine.client import stop_engine
from spa_lsp.engine.supervisor import socket_path
from tests.fakes import PATIENCE_S, FakeCompleter, engine_in_thread, fake_engine_command
from tests.server.front import CAPABILITIES, Front
from tests.server.lsp_client import LspClient, server_command


@pytest.fixture
def engine_path():
    path = socket_path("fake-base", "auto")
    yield path
    stop_engine(path)


@pytest.fixture
async def front(engine_path):
    """Start a front in this process that is linked to an engine with this completer, or what `load` gives."""
    with ExitStack() as stack:
        fronts = []

        async def front(completer=None, *, load=None, settings=None, capabilities=CAPABILITIES, root=None):
            load = load or (lambda on_progress: completer or FakeCompleter())
            stack.enter_context(engine_in_thread(engine_path, load))
            fronts.append(Front())
            await fronts[-1].initialize(settings=settings, capabilities=capabilities, root=root)
            await eventually(lambda: fronts[-1].server.link.is_connected)
            return fronts[-1]

        yield front
        for each in fronts:
            each.server.link.close()


@pytest.fixture
def start(engine_path):
    """Start a server process whose engine is a fake one with these options; the client that talks to it comes back."""
    clients = []

    def start(*, before="", **engine):
        clients.append(LspClient(server_command(fake_engine_command(engine_path, **engine), before=before)))
        return clients[-1]

    yield start
    for client in clients:
        client.kill()


async def eventually(is_true):
    end = asyncio.get_running_loop().time() + PATIENCE_S
    while not is_true():
        assert asyncio.get_running_loop().time() < end, "this did not become true in time"
        await asyncio.sleep(0.01)
