"""The link of a front to engines that end in odd ways; the usual ways are in the tests of the server."""

import asyncio
import socket
import threading

import pytest

from spa_lsp.completion import CompletionRequest
from spa_lsp.engine import wire
from spa_lsp.engine.channel import Channel
from spa_lsp.engine.events import Failed, Loading, Ready, Stopping, to_message
from spa_lsp.engine.link import EngineLink
from spa_lsp.engine.supervisor import Backoff
from spa_lsp.errors import BadInput, NoMemory, Unavailable

ASKED = CompletionRequest(prefix="x = ")
LAST_WORD = Failed.of(NoMemory("above the limit"), None)
LOADING = Loading(id=0, stage="weights", fraction=0.5)
READY = Ready(id=0)


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def said(event):
    return wire.encode(to_message(event))


def over(sock):
    """Opens a channel over this socket."""
    return lambda on_notice: Channel.over(sock, on_notice)


def running():
    """The tasks beside the test's own: those of the link, while it has any."""
    return asyncio.all_tasks() - {asyncio.current_task()}


async def run(link):
    """Start it and wait until its engine is gone."""
    link.start()
    async with asyncio.timeout(60):
        await asyncio.wait(running())


async def test_an_engine_that_ends_by_intention_before_it_has_read_all_did_not_die(ends):
    ours, theirs = ends

    def say_and_leave():  # what is unread makes the other side's end an error
        theirs.recv(1)
        theirs.sendall(said(Stopping()))
        theirs.close()

    threading.Thread(target=say_and_leave).start()
    backoff = Backoff()
    await run(EngineLink(over(ours), pytest.fail, backoff))
    assert backoff.delay_s() == 0


class Clock:
    """Seconds that pass by themselves, as many each time they are read."""

    def __init__(self, step_s):
        self._now, self._step_s = 0.0, step_s

    def __call__(self):
        self._now += self._step_s
        return self._now


@pytest.fixture
def engines():
    """A function that makes a link to engines that do as told, one after another, the list of their starts and a queue
    of the link's events.

    An error is raised at the start; messages are sent, then the engine is gone, unless the last one is `ready`.
    """
    starts, ends = [], []

    def make(*engines, on_problem=pytest.fail, backoff=None):
        left, events = list(engines), asyncio.Queue()

        async def open_channel(on_notice):
            starts.append(len(starts))
            does = left.pop(0)
            if isinstance(does, Exception):
                raise does
            near, far = socket.socketpair()
            ends.extend((near, far))
            for event in does:
                far.sendall(said(event))
            if READY not in does[-1:]:
                far.shutdown(socket.SHUT_WR)  # what was sent is still read
            return await Channel.over(near, on_notice)

        backoff = backoff or Backoff(Clock(20.0))
        return EngineLink(open_channel, on_problem, backoff, on_event=events.put_nowait), starts, events

    yield make
    for end in ends:
        end.close()


async def told(events, wanted, do):
    """The names of all events up to the wanted one, which comes when this is done."""
    seen = []
    async with asyncio.timeout(60):
        await do
        while wanted not in seen:
            seen.append(type(await events.get()).__name__)
    return seen


@pytest.mark.parametrize("failed", [Unavailable("it ended at its start"), [], [LOADING]])
async def test_asking_once_brings_the_engine_up_however_often_it_fails_before(engines, failed):
    link, starts, events = engines(failed, failed, [READY])
    await told(events, "Ready", link.complete(ASKED))
    link.close()
    assert len(starts) == 3


@pytest.mark.parametrize("seconds", [1, 60, 600])  # that each lives: many in three minutes, or few
async def test_engines_that_never_get_ready_are_left_off_with_one_message(engines, seconds):
    problems = []
    backoff = Backoff(Clock(16.0 + seconds))
    link, starts, events = engines(*9 * [[LOADING]], on_problem=problems.append, backoff=backoff)
    assert "Failed" in await told(events, "Failed", link.complete(ASKED))
    await asyncio.sleep(0.1)
    assert (len(starts), running()) == (5, set())
    assert [str(problem).split(" in ")[0] for problem in problems] == ["the engine died 5 times"]


async def test_an_engine_that_dies_when_nobody_waits_stays_away(engines):
    link, starts, _ = engines([LOADING], [READY])
    await run(link)
    await asyncio.sleep(0.1)
    assert (len(starts), running()) == (1, set())


async def test_an_engine_that_dies_over_a_request_is_started_again(engines):
    link, starts, _ = engines([READY, LOADING], [READY])
    link.start()
    async with asyncio.timeout(60):
        while not link.is_connected:
            await asyncio.sleep(0)
        assert await link.complete(ASKED) is None
        while len(starts) < 2:
            await asyncio.sleep(0.01)
    link.close()


@pytest.mark.parametrize("failed", [BadInput("the folder cannot be used"), [READY, LAST_WORD]])
async def test_what_only_the_user_can_fix_is_told_once_and_not_tried_again(engines, failed):
    problems = []
    link, starts, _ = engines(failed, [READY], on_problem=problems.append)
    link.start()
    async with asyncio.timeout(60):
        while running() and not link.is_connected:
            await asyncio.sleep(0)
        if running():
            await link.complete(ASKED)
        while running():
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert (len(starts), len(problems), running()) == (1, 1, set())


async def test_a_link_that_is_closed_before_the_engine_may_start_starts_none(engines):
    backoff = Backoff(Clock(0.0))
    backoff.record_death()
    link, starts, _ = engines([READY], backoff=backoff)
    assert await link.complete(ASKED) is None
    await asyncio.sleep(0)
    link.close()
    assert await link.complete(ASKED) is None
    await asyncio.sleep(0.1)
    assert (starts, running()) == ([], set())


# #11
async def test_a_link_that_is_cancelled_as_its_event_loop_ends_begins_no_other_task(ends):
    """Though a request came to nothing: nobody would run it, and Python warns of a coroutine never awaited."""
    link = EngineLink(over(ends[0]), pytest.fail)
    assert await link.complete(ASKED) is None
    while not link.is_connected:
        await asyncio.sleep(0.01)
    ending = running()
    for task in ending:  # as `asyncio.run` does
        task.cancel()
    await asyncio.wait(ending)
    assert running() == set() and not link.is_connected
