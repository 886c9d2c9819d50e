"""A front beside a server elsewhere: pauses, the engine here as the way out, and what its status bar says."""

import asyncio

import pytest

from spa_lsp.adapters.row_plan import ONE_MODEL_ROWS
from spa_lsp.completion import CompletionRequest, CompletionResult
from spa_lsp.engine.events import Busy, Done, Failed, Names, Ready
from spa_lsp.errors import Unavailable
from spa_lsp.remote.link import PAUSES_S, RemoteLink
from tests.remote.fake_server import holds
from tests.server.conftest import eventually

pytestmark = pytest.mark.remote

REQUEST = CompletionRequest(prefix="def add(a, b):\n", deadline_s=20.0)
HERE = CompletionResult(base="tiny-qwen2", adapter_set="", quantization="int8", device="cpu")


class Now:
    """A clock that is set."""

    s = 0.0

    def __call__(self):
        return self.s


class Engine:
    """Stands in for `EngineLink`."""

    is_closed = False

    def __init__(self):
        self.is_free = asyncio.Event()
        self.is_free.set()

    def close(self):
        self.is_closed = True

    async def complete(self, request, on_alternative=None):
        await self.is_free.wait()
        return HERE


@pytest.fixture
async def linked(opened):
    """Start a fake server and a link to it; what it tells is kept."""
    links = []

    async def linked(*, open_local=None, **options):
        fake, engine = await opened(settings={"adapter_set": ""}, **options)
        problems, events, now = [], [], Now()
        link = RemoteLink(lambda: engine, problems.append, events.append, open_local=open_local, clock=now)
        links.append(link)
        return fake, link, problems, events, now

    yield linked
    for link in links:
        link.close()
        await asyncio.gather(*link._tasks, return_exceptions=True)


async def test_a_failure_is_told_and_empty(linked):
    _, link, problems, events, _ = await linked(status=500)
    assert await link.complete(REQUEST) is None
    assert [type(problem) for problem in problems] == [Unavailable]
    assert [each.is_served for each in events if isinstance(each, Done)] == [False]
    assert any(isinstance(each, Failed) for each in events)


async def test_nobody_waits_for_a_server_that_has_just_failed(linked):
    fake, link, problems, _, now = await linked(status=500)
    await link.complete(REQUEST)
    n_asked = len(fake.paths)
    now.s = PAUSES_S[0] - 0.01
    assert await link.complete(REQUEST) is None
    assert (len(fake.paths), len(problems)) == (n_asked, 1)


async def test_pauses_grow_and_end_with_a_success(linked):
    fake, link, _, _, now = await linked(status=500)
    for pause_s in PAUSES_S[:3]:
        await link.complete(REQUEST)
        now.s += pause_s
    fake.status = 200
    assert await link.complete(REQUEST) is not None
    fake.status = 500
    await link.complete(REQUEST)
    now.s += PAUSES_S[0]
    assert await link.complete(REQUEST) is None and fake.paths[-1] == "/v1/completions"


async def test_the_engine_here_answers_meanwhile_where_it_is_asked_to(linked):
    engine = Engine()
    _, link, problems, _, _ = await linked(open_local=lambda: engine, status=500)
    assert [await link.complete(REQUEST), await link.complete(REQUEST)] == [HERE, HERE]
    assert len(problems) == 1 and "meanwhile the engine here answers" in str(problems[0])
    link.close()
    assert engine.is_closed


# issue 15: it stayed loaded for good
async def test_the_engine_here_is_left_when_the_server_answers_again(linked):
    engines = []
    fake, link, _, _, now = await linked(open_local=lambda: engines.append(Engine()) or engines[-1], status=500)
    await link.complete(REQUEST)
    fake.status, now.s = 200, PAUSES_S[0]
    assert await link.complete(REQUEST) != HERE and engines[0].is_closed
    fake.status = 500
    assert await link.complete(REQUEST) == HERE and not engines[1].is_closed


# issue 15
async def test_but_not_before_it_has_answered_what_it_was_asked(linked):
    engine = Engine()
    fake, link, _, _, now = await linked(open_local=lambda: engine, status=500)
    engine.is_free.clear()
    waiting = asyncio.create_task(link.complete(REQUEST))
    await eventually(lambda: link._n_asking_local)
    fake.status, now.s = 200, PAUSES_S[0]
    await link.complete(REQUEST)
    assert not engine.is_closed
    engine.is_free.set()
    assert await waiting == HERE and engine.is_closed


async def test_a_server_that_answers_needs_no_engine_here(linked):
    _, link, _, _, _ = await linked(open_local=lambda: pytest.fail("the engine here was started"))
    assert (await link.complete(REQUEST)).alternatives


# issue 16
async def test_who_waits_when_it_is_closed_gets_nothing_and_the_server_is_left(linked):
    fake, link, problems, events, _ = await linked()
    holds(fake)
    asking = asyncio.create_task(link.complete(REQUEST))
    await eventually(lambda: len(fake.asked) == ONE_MODEL_ROWS)
    link.close()
    assert await asking is None and problems == []
    assert [type(each) for each in events] == [Busy, Done]
    await eventually(lambda: fake.n_left == ONE_MODEL_ROWS)


# issue 16
async def test_nor_does_the_engine_here_answer_then(linked):
    fake, link, _, _, _ = await linked(open_local=lambda: pytest.fail("the engine here was started"))
    holds(fake)
    asking = asyncio.create_task(link.complete(REQUEST))
    await eventually(lambda: len(fake.asked) == ONE_MODEL_ROWS)
    link.close()
    assert await asking is None


# #15
async def test_closed_twice_it_ends_its_connections_all_the_same(linked):
    fake, link, _, _, _ = await linked()
    await link.complete(REQUEST)
    link.close()
    (closing,) = link._tasks
    link.close()
    await closing
    await eventually(lambda: all(task.done() for task in fake._tasks))


async def test_who_waits_may_go(linked):
    fake, link, problems, _, _ = await linked()
    holds(fake)
    asking = asyncio.create_task(link.complete(REQUEST))
    await eventually(lambda: len(fake.asked) == ONE_MODEL_ROWS)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await eventually(lambda: fake.n_left == ONE_MODEL_ROWS)
    assert problems == []


async def test_at_its_start_it_sees_whether_the_server_is_ready(linked):
    _, link, _, events, _ = await linked()
    link.start()
    await next(iter(link._tasks))
    assert [type(each) for each in events][1:] == [Ready, Names] and link.is_connected
