import threading
import time

import pytest

from spa_lsp import paths
from spa_lsp.engine.client import EngineClient, stop_engine
from spa_lsp.engine.service import serve
from tests.fakes import NAMES, FakeCompleter


@pytest.fixture
def socket_path():
    path = paths.runtime_dir() / "engine.sock"
    yield path
    stop_engine(path)


@pytest.fixture
def start(socket_path):
    """Serve a completer, or what a loader gives, from a thread of this process; a client of it comes back."""
    threads = []

    def start(completer=None, *, load=None, idle_s=60.0, **client):
        load = load or (lambda on_progress: completer or FakeCompleter())
        threads.append(threading.Thread(target=serve, args=(socket_path, load, idle_s), kwargs={"about": NAMES}))
        threads[-1].start()
        wait_until(socket_path.exists)
        return EngineClient(socket_path, **client)

    yield start
    stop_engine(socket_path)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def wait_until(is_true, timeout_s=5.0):
    end = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < end, "this did not become true in time"
        time.sleep(0.01)
