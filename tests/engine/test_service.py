import signal
import socket
import stat
import threading
import time

import pytest

from spa_lsp.completion import CompletionRequest
from spa_lsp.engine import private_socket, wire
from spa_lsp.engine.client import EngineClient
from spa_lsp.engine.events import to_event
from spa_lsp.engine.service import serve
from spa_lsp.errors import BadInput, NoMemory, NotFound, TooNew, Unavailable
from tests.engine.raw_connection import RawConnection
from tests.fakes import PATIENCE_S, SLOW, SOME_TEXTS, FakeCompleter, engine_status, is_listening, wait_until

REQUEST = CompletionRequest(prefix="def add(a, b):\n    ", document="file:///a.py")


def ask_later(client, request=REQUEST, **options):
    """The result of a `complete` that runs in a thread, in a list that is empty until then."""
    results = []
    threading.Thread(target=lambda: results.append(client.complete(request, **options)), daemon=True).start()
    return results


def test_a_request_is_answered_with_all_alternatives(start):
    result = start().complete(REQUEST)
    assert [alternative.text for alternative in result.alternatives] == list(SOME_TEXTS)
    assert (result.base, result.adapter_set, result.device) == ("fake-base", "fake-set", "cpu")


def test_alternatives_are_announced_one_by_one(start):
    announced = []
    start().complete(REQUEST, on_alternative=lambda alternative: announced.append(alternative.text))
    assert announced == list(SOME_TEXTS)


def test_the_request_reaches_the_completer_whole(start):
    completer = FakeCompleter()
    request = CompletionRequest(prefix="p", suffix="s", adapters=("a1", "a2"), k=2, deadline_s=1.5, document="d")
    start(completer).complete(request)
    assert completer.asked == [request]


def test_a_newer_request_of_the_document_wins(start, socket_path):
    completer = FakeCompleter(**SLOW)
    client = start(completer)
    connection = RawConnection(socket_path)
    connection.send({"type": "complete", "id": 1, "request": {"prefix": "old", "document": "d"}, "wait": True})
    assert completer.is_busy.wait(PATIENCE_S)
    completer.n_steps = 1
    connection.send({"type": "complete", "id": 2, "request": {"prefix": "new", "document": "d"}, "wait": True})
    results = [message for message in receive_all(connection, 2) if message["type"] == "result"]
    assert [(message["id"], message["result"]["is_cancelled"]) for message in results] == [(1, True), (2, False)]
    client.close()


def test_of_many_requests_of_a_document_only_the_newest_is_computed(start, socket_path):
    completer = FakeCompleter(**SLOW)
    start(completer)
    connection = RawConnection(socket_path)
    for call_id in range(50):
        request = {"prefix": str(call_id), "document": "d"}
        connection.send({"type": "complete", "id": call_id, "request": request, "wait": True})
        assert completer.is_busy.wait(PATIENCE_S)
    completer.n_steps = 1
    connection.send({"type": "complete", "id": 50, "request": {"prefix": "50", "document": "d"}, "wait": True})
    results = {m["id"]: m["result"]["is_cancelled"] for m in receive_all(connection, 50) if m["type"] == "result"}
    assert results == {**dict.fromkeys(range(50), True), 50: False}
    assert len(completer.asked) < 50


def test_a_cancel_ends_the_work(start):
    completer = FakeCompleter(**SLOW)
    client = start(completer)
    assert client.complete(REQUEST, is_cancelled=completer.is_busy.is_set).is_cancelled
    completer.n_steps = 1
    client.complete(REQUEST)
    status = client.status()
    assert (status["n_requests"], status["n_cancelled"]) == (2, 1)
    assert status["worked_s"] >= status["cancelled_s"] > 0


def test_ctrl_c_frees_the_engine(start):
    completer = FakeCompleter(pause_s=PATIENCE_S)
    client = start(completer)
    with pytest.raises(KeyboardInterrupt):
        client.complete(REQUEST, on_alternative=lambda alternative: signal.raise_signal(signal.SIGINT))
    completer.pause_s = 0
    assert client.complete(REQUEST).alternatives


def test_an_error_of_who_is_told_of_alternatives_is_the_callers_and_frees_the_engine(start):
    completer = FakeCompleter(pause_s=PATIENCE_S)
    client = start(completer)
    with pytest.raises(ZeroDivisionError):
        client.complete(REQUEST, on_alternative=lambda alternative: 1 / 0)
    completer.pause_s = 0
    assert client.complete(REQUEST).alternatives


def test_the_work_of_a_client_that_goes_away_is_cancelled(start, socket_path):
    completer = FakeCompleter(**SLOW)
    client = start(completer)
    leaver = RawConnection(socket_path)
    leaver.send({"type": "complete", "id": 1, "request": {"prefix": "x"}, "wait": True})
    assert completer.is_busy.wait(PATIENCE_S)
    leaver.close()
    completer.n_steps = 1
    assert client.complete(REQUEST).alternatives


def test_the_status_is_answered_while_the_engine_computes(start, socket_path):
    completer = FakeCompleter(**SLOW)
    start(completer)
    connection = RawConnection(socket_path)
    connection.send({"type": "complete", "id": 1, "request": {"prefix": "x"}, "wait": True})
    assert completer.is_busy.wait(PATIENCE_S)
    assert engine_status()["state"] == "ready"
    connection.close()


def test_the_status_says_what_runs(start, socket_path):
    client = start()
    client.complete(REQUEST)
    status = client.status()
    assert set(status) == {
        *("pid", "version", "base", "adapter_set", "quantization", "device", "state", "load_stage", "load_fraction"),
        *("error", "resident_bytes", "n_clients", "n_requests", "n_cancelled", "worked_s", "cancelled_s", "uptime_s"),
        *("socket", "store", "cache", "kernel", "prompt_tokens_per_s"),
    }
    assert (status["base"], status["n_clients"], status["n_requests"]) == ("fake-base", 1, 1)
    assert status["resident_bytes"] > 1e6 and status["socket"] == str(socket_path)


def test_another_adapter_set_is_used_for_the_client_that_asks_for_it(start, socket_path):
    client = start()
    other = EngineClient(socket_path, adapter_set="other-set")
    assert [each.complete(REQUEST).adapter_set for each in (client, other, client)] == [
        "fake-set",
        "other-set",
        "fake-set",
    ]


def test_an_unknown_adapter_set_is_an_error_with_its_kind(start):
    with pytest.raises(NotFound, match="no adapter set 'missing'"):
        start(adapter_set="missing").complete(REQUEST)


def test_a_bug_in_the_completer_is_an_error_and_the_engine_lives(start, caplog):
    completer = FakeCompleter(error=ZeroDivisionError("division by zero"))
    client = start(completer)
    with pytest.raises(Unavailable, match=r"could not serve this request \(ZeroDivisionError\)"):
        client.complete(REQUEST)
    assert "Traceback" in caplog.text
    completer.error = None
    assert client.complete(REQUEST).alternatives


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    ],
)
def test_a_lack_of_memory_is_told_with_the_way_out_and_the_engine_lives(start, error):
    completer = FakeCompleter(error=error)
    client = start(completer)
    with pytest.raises(NoMemory, match="not enough memory to serve this request; close other programs"):
        client.complete(REQUEST)
    completer.error = None
    assert client.complete(REQUEST).alternatives


def test_an_engine_over_its_limit_of_memory_tells_its_clients_and_ends(socket_path, monkeypatch):
    monkeypatch.setattr("spa_lsp.engine.service.MEMORY_POLL_S", 0.1)
    said = []

    def load(on_progress):
        connection = RawConnection(socket_path)
        threading.Thread(target=lambda: said.append(connection.receive(PATIENCE_S))).start()
        return FakeCompleter()

    with pytest.raises(NoMemory, match="over the 1 MB of the setting maxMemoryMb; raise that, or close"):
        serve(socket_path, load, 60, max_memory_mb=1)
    wait_until(lambda: said)
    assert (said[0]["type"], said[0]["kind"]) == ("failed", "NoMemory") and not socket_path.exists()


def test_an_engine_under_its_limit_of_memory_goes_on(socket_path, monkeypatch):
    monkeypatch.setattr("spa_lsp.engine.service.MEMORY_POLL_S", 0.01)
    serve(socket_path, lambda on_progress: FakeCompleter(), 0.3, max_memory_mb=1 << 20)  # ends when idle


@pytest.mark.parametrize("request_", [{"adapters": 3}, {"prefix": "x", "context": [{}]}, {}])
def test_a_request_that_cannot_be_read_is_bad_input(start, socket_path, request_):
    start()
    connection = RawConnection(socket_path)
    connection.send({"type": "complete", "id": 1, "request": request_})
    error = connection.receive(PATIENCE_S)
    assert (error["kind"], error["id"]) == ("BadInput", 1)


@pytest.mark.parametrize("message", [{"type": "novel", "id": 1}, {"type": "complete"}, {"id": 1}])
def test_an_unknown_message_is_an_error_and_the_connection_lives(start, socket_path, message):
    start()
    connection = RawConnection(socket_path)
    connection.send(message)
    assert type(to_event(connection.receive(PATIENCE_S)).error) is BadInput
    connection.send({"type": "status", "id": 2})
    assert connection.receive(PATIENCE_S)["type"] == "status"


def test_garbage_drops_only_the_client_that_sent_it(start, socket_path):
    client = start()
    with private_socket.try_connect(socket_path) as sock:
        sock.sendall(b"\xff\xff\xff\xffgarbage")
        sock.settimeout(PATIENCE_S)
        assert sock.recv(10) == b""
    assert client.complete(REQUEST).alternatives


def test_another_protocol_is_refused_with_the_way_out(start, socket_path):
    start()
    connection = RawConnection(socket_path)
    connection.send({"type": "hello", "protocol": 99})
    error = to_event(connection.receive(PATIENCE_S)).error
    assert type(error) is TooNew and "spa-lsp engine stop" in str(error)


def test_a_command_waits_while_the_base_loads_and_sees_progress(start):
    gate, seen = threading.Event(), []

    def load(on_progress):
        gate.wait(PATIENCE_S)
        on_progress("weights", 0.5)
        return FakeCompleter()

    client = start(load=load, on_loading=lambda stage, fraction: seen.append((stage, fraction)))
    results = ask_later(client)
    wait_until(lambda: engine_status()["n_requests"] == 1)
    assert engine_status()["state"] == "loading" and not results
    gate.set()
    wait_until(lambda: results)
    assert results[0].alternatives and seen == [("weights", 0.5)]


def test_the_status_shows_how_far_the_load_is(start):
    gate = threading.Event()

    def load(on_progress):
        on_progress("weights", 0.25)
        gate.wait(PATIENCE_S)
        return FakeCompleter()

    start(load=load)
    wait_until(lambda: engine_status()["load_fraction"] == 0.25)
    assert engine_status()["base"] == "fake-base"
    gate.set()


def test_a_front_is_answered_at_once_while_the_base_loads(start, socket_path):
    gate = threading.Event()
    start(load=lambda on_progress: gate.wait(PATIENCE_S) and FakeCompleter())
    connection = RawConnection(socket_path)
    connection.send({"type": "complete", "id": 1, "request": {"prefix": "x"}})
    error = connection.receive(PATIENCE_S)
    assert error["is_loading"] and error["kind"] == "Unavailable"
    gate.set()


def test_a_failed_load_is_told_with_its_kind_and_tried_again_for_the_next_command(start):
    is_pulled = threading.Event()

    def load(on_progress):
        if not is_pulled.is_set():
            raise NotFound("the base x is not on this machine; run: spa-lsp models pull x")
        return FakeCompleter()

    client = start(load=load)
    with pytest.raises(NotFound, match="models pull x"):
        client.complete(REQUEST)
    is_pulled.set()
    assert client.complete(REQUEST).alternatives


def test_a_failed_load_is_not_tried_again_at_every_keystroke(start, socket_path):
    n_loads = []

    def load(on_progress):
        n_loads.append(1)
        raise NotFound("not here")

    start(load=load)
    wait_until(lambda: engine_status()["state"] == "failed")
    connection = RawConnection(socket_path)
    for call_id in range(3):
        connection.send({"type": "complete", "id": call_id, "request": {"prefix": "x"}})
        assert connection.receive(PATIENCE_S)["kind"] == "NotFound"
    assert len(n_loads) == 1 and engine_status()["error"] == "not here"


def test_an_engine_that_could_not_load_soon_ends_without_clients(socket_path, monkeypatch):
    def load(on_progress):
        raise NotFound("not here")

    monkeypatch.setattr("spa_lsp.engine.service.FAILED_IDLE_S", 0.1)
    serve(socket_path, load, 3600)
    assert not socket_path.exists()


def test_waiting_for_the_load_ends_when_it_is_done(start):
    client = start()
    client.wait_until_loaded()
    assert client.status()["state"] == "ready"


def test_the_engine_ends_when_idle(socket_path):
    began = time.monotonic()
    serve(socket_path, lambda on_progress: FakeCompleter(), 0.2)
    assert time.monotonic() - began >= 0.2 and not socket_path.exists()


def test_the_engine_does_not_end_while_it_has_a_client(start):
    client = start(idle_s=0.2)
    time.sleep(0.5)
    assert client.complete(REQUEST).alternatives


def test_the_engine_ends_some_time_after_its_last_client(start, socket_path):
    client = start(idle_s=0.2)
    client.close()
    wait_until(lambda: not socket_path.exists())


def greet(socket_path, **limits):
    connection = RawConnection(socket_path)
    connection.send({"type": "hello", "protocol": wire.PROTOCOL, **limits})
    assert connection.receive(PATIENCE_S)["type"] == "hello"
    return connection


def test_a_client_may_say_when_the_engine_ends(start, socket_path):
    start(idle_s=3600).close()
    greet(socket_path, idle_s=0.1, max_memory_mb=0).close()
    wait_until(lambda: not socket_path.exists())


def test_a_client_may_say_how_much_memory_the_engine_has(socket_path, monkeypatch):
    monkeypatch.setattr("spa_lsp.engine.service.MEMORY_POLL_S", 0.1)
    said = []

    def ask():
        wait_until(lambda: is_listening(socket_path))
        said.append(greet(socket_path, idle_s=60, max_memory_mb=1).receive(PATIENCE_S))

    threading.Thread(target=ask).start()
    with pytest.raises(NoMemory, match="over the 1 MB"):
        serve(socket_path, lambda on_progress: FakeCompleter(), 60)
    wait_until(lambda: said)
    assert said[0]["kind"] == "NoMemory"


def test_asking_for_the_status_does_not_keep_an_idle_engine(start, socket_path):
    start(idle_s=0.3).close()
    wait_until(lambda: engine_status() is None)  # asks all the time


def test_stop_ends_the_engine_in_the_middle_of_its_work(start, socket_path):
    completer = FakeCompleter(**SLOW)
    client = start(completer)
    connection = RawConnection(socket_path)
    connection.send({"type": "complete", "id": 1, "request": {"prefix": "x"}, "wait": True})
    assert completer.is_busy.wait(PATIENCE_S)
    client.stop()
    assert private_socket.try_connect(socket_path) is None


def test_only_the_user_can_reach_the_socket(start, socket_path):
    start()
    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700


def test_a_second_engine_for_the_same_socket_ends_at_once(start, socket_path):
    client = start()
    serve(socket_path, lambda on_progress: pytest.fail("loaded twice"), 60)
    assert client.complete(REQUEST).alternatives


def test_the_socket_of_a_killed_engine_is_replaced(start, socket_path):
    socket_path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(socket_path))
    thread = threading.Thread(target=serve, args=(socket_path, lambda on_progress: FakeCompleter(), 0.3))
    thread.start()
    wait_until(lambda: is_listening(socket_path))
    thread.join(PATIENCE_S)


def receive_all(connection, last_id):
    """All messages up to the result of this call."""
    messages = []
    while not messages or (messages[-1]["type"], messages[-1]["id"]) != ("result", last_id):
        messages.append(connection.receive(PATIENCE_S))
        assert messages[-1] is not None
    return messages
