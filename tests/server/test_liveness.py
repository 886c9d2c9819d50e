"""Answers under load: each once, whatever becomes of the engine. Full counts by hand, `--quick` in CI.

Times are told at the end of the run beside what is wanted; they depend on the machine and fail nothing.
"""

import os
import queue
import random
import signal
import time
from contextlib import closing, suppress
from statistics import quantiles

import psutil
import pytest

from spa_lsp.engine.client import EngineClient
from spa_lsp.engine.jobs import JobQueue
from tests.fakes import (
    PATIENCE_S,
    SLOW,
    FakeCompleter,
    engine_in_thread,
    engine_status,
    fake_engine_command,
    wait_until,
)
from tests.server.lsp_client import LspClient, server_command

pytestmark = pytest.mark.liveness

SETTINGS = {"base": "fake-base", "recordOutcomes": False}
CODE = "def add(a, b):\n    \n"
STEP_S = 0.005
OTHER_MS = 50  # 99 of 100 other messages should be answered in this time while the engine works
CANCEL_MS = 20  # and 99 of 100 cancels in this
NO_DELAY = """
import spa_lsp.engine.supervisor as supervisor
supervisor.DELAYS_S = (0.0,)
supervisor.MAX_DEATHS = 10**9
"""


@pytest.fixture
def count(request):
    """The first number by hand, the second with `--quick`."""
    return lambda full, quick: quick if request.config.getoption("--quick") else full


def in_ms(times_s):
    cuts = quantiles(times_s, n=100)
    return f"p50 {cuts[49] * 1000:.1f} p99 {cuts[98] * 1000:.1f} ms"


def ask_other(client, n):
    """How long each of n other requests takes."""
    return [answer_time_s(client) for _ in range(n)]


def answer_time_s(client):
    began = time.monotonic()
    client.answer(client.ask("test/unknown", {}))
    return time.monotonic() - began


def test_other_messages_are_answered_while_the_engine_works(start, count, found):
    n = count(3000, 200)
    client = start(**SLOW)
    client.initialize(settings=SETTINGS)
    idle_s = ask_other(client, n)  # what the machine itself takes, which may be busy with other things
    client.open(CODE)
    client.open(CODE, uri="file:///other.py")
    wait_until(lambda: client.ask_items(1, 4, triggerKind=1) and (engine_status() or {}).get("n_requests", 0) > 0)
    times_s = []
    for version in range(2, n + 2):
        client.change([{"text": CODE}], uri="file:///other.py", version=version)
        times_s.append(answer_time_s(client))
    wanted = f"wanted: p99 up to {OTHER_MS} ms"
    found(
        f"other messages while the engine works: {in_ms(times_s)} of {n}, {wanted}; while it does not: {in_ms(idle_s)}"
    )
    assert len(times_s) == n


# issue 13
def test_other_messages_are_answered_while_a_huge_ignore_file_is_read(start, count, found, tmp_path):
    n_lines = count(45_000, 20_000)
    client = start()
    client.initialize(settings=SETTINGS)
    idle_s = ask_other(client, 100)
    (tmp_path / ".gitignore").write_text("".join(f"build/out-{n}/**/*.o\n" for n in range(n_lines)))
    client.open(CODE, uri=(tmp_path / "a.py").as_uri())
    call_id = client.ask_items(1, 4, uri=(tmp_path / "a.py").as_uri())
    times_s = ask_other(client, 100)
    found(
        f"other messages while an ignore file of {n_lines} lines is read: {in_ms(times_s)}, at most "
        f"{max(times_s) * 1000:.1f} ms, wanted: up to {OTHER_MS} ms; while none is: {in_ms(idle_s)}"
    )
    assert "result" in client.answer(call_id) and len(times_s) == 100


class Watched(FakeCompleter):
    """Tells when each `complete` began and ended."""

    def complete(self, *arguments, **options):
        self.moments.put(time.monotonic())
        try:
            return super().complete(*arguments, **options)
        finally:
            self.moments.put(time.monotonic())


def test_a_cancel_is_answered_and_the_engine_free(start, engine_path, count, found, monkeypatch):
    """It comes to the engine by way of the front, and should be obeyed a step after it was read there."""
    n = count(500, 50)
    completer = Watched(n_steps=10**7, step_s=STEP_S)
    completer.moments, read_at, cancel = queue.SimpleQueue(), [], JobQueue.cancel
    monkeypatch.setattr(JobQueue, "cancel", lambda *args: read_at.append(time.monotonic()) or cancel(*args))
    other_s, status_s, naps_s, answered_s, freed_s, step_later_s = [], [], [], [], [], []
    with engine_in_thread(engine_path, lambda on_progress: completer):
        client = start()
        client.initialize(settings=SETTINGS)
        client.open(CODE)
        watcher = EngineClient(engine_path)
        for _ in range(n):
            call_id = ask_until_begun(client, completer)
            other_s.append(answer_time_s(client))  # what the machine itself takes just now
            began = time.monotonic()
            watcher.status()
            status_s.append(time.monotonic() - began)
            began = time.monotonic()
            time.sleep(STEP_S)
            naps_s.append(time.monotonic() - began)
            read_at.clear()
            began = time.monotonic()
            client.notify("$/cancelRequest", {"id": call_id})
            assert client.answer(call_id)["error"]["code"] == -32800
            answered_s.append(time.monotonic() - began)
            freed_at = completer.moments.get(timeout=PATIENCE_S)
            freed_s.append(freed_at - began)
            step_later_s.append(freed_at - read_at[0])
        watcher.close()
        client.exit()
    found(f"a decode step: {STEP_S * 1000:.0f} ms; a pause of as long just before takes {in_ms(naps_s)}")
    wanted = f"wanted: p99 up to {CANCEL_MS} ms"
    found(f"cancel answered: {in_ms(answered_s)}, {wanted}; other messages just before: {in_ms(other_s)}")
    found(f"engine free: {in_ms(freed_s)} of {n}, the engine's status just before: {in_ms(status_s)}")
    found(f"engine free after it has read the cancel: {in_ms(step_later_s)}")
    assert len(freed_s) == n  # it never goes on to its end, which is hours away


def ask_until_begun(client, completer):
    """The id of a request that the engine works on; at first it may not be connected or loaded yet."""
    while True:
        call_id = client.ask_items(1, 4)
        with suppress(queue.Empty):
            completer.moments.get(timeout=PATIENCE_S if completer.asked else 0.5)
            return call_id


def test_of_many_mixed_requests_each_is_answered_once(start, count, tally):
    n = count(100_000, 3000)
    rng = random.Random(7)
    client = start(n_steps=2, step_s=0.001)
    client.initialize(settings=SETTINGS)
    uris = [f"file:///{name}.py" for name in "abcde"]
    for uri in uris:
        client.open(CODE, uri=uri)
    client.items_once_loaded(1, 4, uri=uris[0])
    ids, versions = [], dict.fromkeys(uris, 1)
    for _ in range(n):
        uri = rng.choice(uris)
        ids.append(ask_something(client, rng, uri, versions))
        if len(ids) % 200 == 0:  # a client may not read its answers for a while, but this one has only one processor
            client.answer(ids[-1])
    n_unanswered = sum(not is_answered_in_time(client, call_id) for call_id in ids)
    tally("mixed requests, answered once", n, n_unanswered + len(client.repeated))
    assert (n_unanswered, client.repeated, client.refusals) == (0, [], [])
    assert client.exit() == 0


def ask_something(client, rng, uri, versions):
    """A request of some kind, often with its cancel or a change behind it; its id comes back."""
    kind = rng.random()
    if kind < 0.05:
        return client.ask("textDocument/inlineCompletion", {"textDocument": 3})
    if kind < 0.10:
        return client.ask("test/unknown", {})
    if kind < 0.15:
        return client.ask("workspace/executeCommand", {"command": "spa-lsp.accept", "arguments": [3]})
    call_id = client.ask_items(1, rng.randrange(5), uri=uri)
    if rng.random() < 0.9:
        client.notify("$/cancelRequest", {"id": call_id})
    if rng.random() < 0.2:
        versions[uri] += 1
        client.change([{"text": CODE + "\n" * rng.randrange(3)}], uri=uri, version=versions[uri])
    return call_id


def is_answered_in_time(client, call_id):
    try:
        return bool(client.answer(call_id))
    except AssertionError:
        return False


@pytest.mark.parametrize("death", ["killed", "hung"])
def test_an_engine_that_dies_again_and_again_costs_empty_answers_only(engine_path, count, tally, death):
    """Killed from outside, or ended by its watchdog as no step of a request ends: of that the user hears once."""
    n = count(100, 3)
    options = {"hung": {"n_steps": 2, "step_s": 999, "slow_in": "slow", "limits": {"hang_s": 0.1}}}.get(death, {})
    client = LspClient(server_command(fake_engine_command(engine_path, **options), before=NO_DELAY))
    client.initialize(settings=SETTINGS)
    client.open(CODE)
    client.open("slow", uri="file:///slow.py")
    n_failed = 0
    for version in range(2, n + 2):
        client.change([{"text": CODE + "\n" * version}], version=version)
        client.items_once_loaded(1, 4)
        pid = engine_status()["pid"]
        call_id = client.ask_items(0, 4, uri="file:///slow.py")
        if death == "killed":
            os.kill(pid, signal.SIGKILL)
        answer = client.answer(call_id)
        wait_until(lambda dead=pid: not psutil.pid_exists(dead) or (engine_status() or {}).get("pid") != dead)
        n_failed += "error" in answer
        client.change([{"text": "slow" + "\n" * version}], uri="file:///slow.py", version=version)
    tally(f"engines {death}", n, n_failed)
    messages = [params["message"] for _, params in client.notifications]
    assert n_failed == 0 and client.exit() == 0
    assert len(messages) == (death == "hung") and all("got nowhere with a request" in each for each in messages)
    client.kill()


def test_ten_fronts_share_one_engine(start, engine_path, found, tally):
    clients = [start() for _ in range(10)]
    for client in clients:
        client.patience_s = 10 * PATIENCE_S  # two processors may have ten processes to start
        client.initialize(settings=SETTINGS)
        client.open(CODE)
    answers = [client.items_once_loaded(1, 4) for client in clients]
    with closing(EngineClient(engine_path)) as watcher:
        status = watcher.status()
    fronts = [psutil.Process(client.process.pid).memory_info().rss / 1e6 for client in clients]
    engine = status["resident_bytes"] / 1e6
    sums = f"engine {engine:.0f} MB (a fake one, without a base) + 10 fronts {sum(fronts):.0f} MB"
    found(f"ten fronts: {sums} = {engine + sum(fronts):.0f} MB; largest front {max(fronts):.0f} MB")
    n_failed = sum(answer != answers[0] for answer in answers)
    tally("fronts of one engine", 10, n_failed)
    assert n_failed == 0 and status["n_clients"] == 11 and max(fronts) < 90  # this test is the eleventh
