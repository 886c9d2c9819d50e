"""The positive controls: with a guard taken away, what it guards against happens, so that its test can see it.

Those against stock pygls are in `test_torture.py`.
"""

import asyncio
import subprocess
from threading import Event
from time import sleep
from unittest.mock import Mock

import pytest

from spa_lsp.completion import CompletionRequest
from spa_lsp.engine.jobs import EngineJob
from spa_lsp.engine.watchdog import Watchdog
from spa_lsp.outcomes import file as outcomes
from spa_lsp.outcomes.records import Answered
from spa_lsp.server import context, work
from spa_lsp.server.stdio import MAX_DROPPED_BYTES
from tests.fakes import PATIENCE_S, SLOW, FakeCompleter
from tests.server.conftest import eventually
from tests.server.test_torture import SECRET, SILENT_S
from tests.server.test_torture import start as start  # noqa: PLC0414  # the fixture

CODE = "def add(a, b):\n    \n"
KEY = 'token = "ghp_' + "a1B2" * 10 + '"'


@pytest.mark.parametrize("has_guard", [True, False])
async def test_no_filter_of_ignored_files_and_a_private_one_is_completed(front, monkeypatch, has_guard):
    client = await front()
    client.open(CODE, uri="file:///w/.env")
    if not has_guard:
        monkeypatch.setattr(client.server.configuration, "why_ignored", lambda uri, language: "")
    assert bool(await client.items(1, 4, uri="file:///w/.env")) != has_guard


@pytest.mark.parametrize("has_guard", [True, False])
async def test_no_filter_of_texts_and_a_key_is_offered(front, monkeypatch, has_guard):
    if not has_guard:
        monkeypatch.setattr("spa_lsp.text.postprocess.RULES", ())
    client = await front(FakeCompleter(texts=(KEY,)))
    client.open(CODE)
    assert (await client.texts(1, 4) == [KEY]) != has_guard


@pytest.mark.parametrize("has_guard", [True, False])
async def test_no_comparison_and_the_same_program_is_offered_twice(front, monkeypatch, has_guard):
    if not has_guard:
        monkeypatch.setattr("spa_lsp.text.programs.normal_form", lambda _prefix, text, *_: text)
    client = await front(FakeCompleter(texts=("return a + b", "return a+b  # both")))
    client.open(CODE)
    assert len(await client.items(1, 4)) == (1 if has_guard else 2)


@pytest.mark.parametrize("has_guard", [True, False])
async def test_no_cap_of_documents_and_one_of_any_length_is_completed(front, monkeypatch, has_guard):
    if not has_guard:
        monkeypatch.setattr(context, "MAX_DOCUMENT_CHARS", 10**9)
    client = await front()
    client.open("x = 1\n" * 400_000)
    assert bool(await client.items(0, 5)) != has_guard


@pytest.mark.parametrize("has_guard", [True, False])
def test_no_cap_of_outcomes_and_the_file_grows(monkeypatch, has_guard):
    monkeypatch.setattr(outcomes, "MAX_ROWS", 10 if has_guard else 10**9)
    answered = Answered(set_id="s", language="python", latency_ms=1.0, n_items=1, is_cached=False)
    for _ in range(4):
        outcomes.write([answered] * 10)
    assert len(outcomes.read_answers()) == (10 if has_guard else 40)


@pytest.mark.parametrize("has_guard", [True, False])
async def test_no_replacement_and_old_requests_of_a_document_are_computed_first(front, monkeypatch, has_guard):
    if not has_guard:
        monkeypatch.setattr(EngineJob, "is_same_document", lambda self, other: False)
    completer = FakeCompleter(**SLOW)
    client = await front(completer)
    client.open(CODE)
    link = client.server.link
    old = asyncio.ensure_future(link.complete(CompletionRequest(prefix="old", document="d")))
    await asyncio.to_thread(completer.is_busy.wait, PATIENCE_S)
    completer.n_steps = 1 if has_guard else completer.n_steps
    new = asyncio.ensure_future(link.complete(CompletionRequest(prefix="new", document="d")))
    done, _ = await asyncio.wait({old, new}, timeout=PATIENCE_S if has_guard else 0.5, return_when="ALL_COMPLETED")
    assert bool(done) == has_guard
    for asking in (old, new):
        asking.cancel()


@pytest.mark.parametrize(("hang_s", "is_seen"), [(0.01, True), (None, False)])
def test_no_watchdog_and_nobody_sees_that_work_hangs(monkeypatch, hang_s, is_seen):
    monkeypatch.setattr("spa_lsp.engine.watchdog.faulthandler", Mock())  # it would end this process
    monkeypatch.setattr("spa_lsp.engine.watchdog._EVERY_S", 0.1)
    watchdog = Watchdog(hang_s)
    watchdog.wind()
    sleep(0.2)
    assert watchdog.is_late is is_seen


@pytest.mark.parametrize("has_guard", [True, False])
async def test_no_thread_for_the_ranking_and_the_server_is_deaf_meanwhile(front, monkeypatch, has_guard):
    if not has_guard:

        async def at_once(function, *arguments, **options):
            return function(*arguments, **options)

        monkeypatch.setattr(asyncio, "to_thread", at_once)
    real, is_ranking, is_heard, heard = work.make_offers, Event(), Event(), []

    def rank(*args, **options):
        is_ranking.set()
        heard.append(is_heard.wait(PATIENCE_S if has_guard else 0.5))
        return real(*args, **options)

    monkeypatch.setattr(work, "make_offers", rank)
    client = await front()
    client.open(CODE)
    asking = asyncio.ensure_future(client.items(1, 4))
    await eventually(is_ranking.is_set)
    is_heard.set()  # by the event loop, in the middle of the ranking
    await asking
    assert heard[0] == has_guard


NO_LENGTH = "import spa_lsp.server.stdio as stdio\nstdio.MAX_DROPPED_BYTES = 10**15"
NO_LOG_FILTER = "import logging\nlogging.basicConfig(level=1)\nlogging.CRITICAL = 0"


@pytest.mark.protocol
def test_no_cap_of_messages_and_the_server_is_deaf_after_a_wrong_length(start):
    client = start(before=NO_LENGTH)
    client.send_bytes(b"Content-Length: %d\r\n\r\n{}" % (MAX_DROPPED_BYTES + 1))
    with pytest.raises(subprocess.TimeoutExpired):
        client.process.wait(SILENT_S)


@pytest.mark.protocol
def test_no_filter_of_the_log_and_the_users_code_is_in_it(start):
    client = start(before=NO_LOG_FILTER)
    client.open(f"{SECRET} = 1\n")
    client.answer(client.ask("textDocument/inlineCompletion", {"textDocument": SECRET}))
    client.answer(client.ask("workspace/executeCommand", {"command": SECRET}))
    client.exit()
    assert SECRET.encode() in client.log
