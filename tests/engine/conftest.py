from contextlib import ExitStack
from functools import partialmethod

import pytest

from spa_lsp import paths
from spa_lsp.engine.client import EngineClient, stop_engine
from tests.engine.raw_connection import RawConnection
from tests.fakes import FakeCompleter, engine_in_thread, wait_until

__all__ = ["wait_until"]


@pytest.fixture(autouse=True)
def closed(monkeypatch):
    """Clients that a test makes are closed behind it."""
    with ExitStack() as stack:
        for kind in (EngineClient, RawConnection):
            monkeypatch.setattr(kind, "__init__", partialmethod(make_and_close_later, kind.__init__, stack))
        yield


def make_and_close_later(client, make, stack, *arguments, **options):
    make(client, *arguments, **options)
    stack.callback(client.close)


@pytest.fixture
def socket_path():
    path = paths.runtime_dir() / "engine.sock"
    yield path
    stop_engine(path)


@pytest.fixture
def start(socket_path):
    """Serve a completer, or what a loader gives, from a thread of this process; a client of it comes back."""
    with ExitStack() as stack:

        def start(completer=None, *, load=None, idle_s=60.0, **client):
            load = load or (lambda on_progress: completer or FakeCompleter())
            stack.enter_context(engine_in_thread(socket_path, load, idle_s=idle_s))
            return EngineClient(socket_path, **client)

        yield start
