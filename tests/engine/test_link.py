"""The link of a front to engines that end in odd ways; the usual ways are in the tests of the server."""

import asyncio
import socket
import threading

import pytest

from spa_lsp.engine import wire
from spa_lsp.engine.connection import Connection
from spa_lsp.engine.link import EngineLink


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


async def run(link):
    link.start()
    await link._task


async def test_an_engine_that_ends_by_intention_before_it_has_read_all_did_not_die(ends):
    ours, theirs = ends

    def say_and_leave():  # what is unread makes the other side's end an error
        theirs.recv(1)
        theirs.sendall(wire.encode({"type": "stopping"}))
        theirs.close()

    threading.Thread(target=say_and_leave).start()
    link = EngineLink(lambda: Connection(ours), pytest.fail)
    await asyncio.wait_for(run(link), 60)
    assert link._backoff.delay_s() == 0
