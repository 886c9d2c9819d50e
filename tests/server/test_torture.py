"""The 26 torture cases P1 to P26 as bytes on the wire, each by its number; most of them over one server process.

A case is a function of a client, so that it can be tried on pygls as it is too, which must fail it: the control.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from spa_lsp.engine.client import EngineClient, stop_engine
from spa_lsp.engine.supervisor import socket_path
from tests.fakes import PATIENCE_S, SLOW, SOME_TEXTS, engine_status, fake_engine_command, wait_until
from tests.server.lsp_client import LspClient, frame, server_command

pytestmark = pytest.mark.protocol

SETTINGS = {"base": "fake-base"}
SILENT_S = 3.0  # pygls as it is has not answered in this time: it never will
SECRET = "my_secret_name"
BEFORE = """
import logging
logging.basicConfig(level=logging.DEBUG)
import spa_lsp.server.app as app
real = app.make_server
def make_server(command):
    def fail(ls, params):
        raise RuntimeError("a secret of the user")
    server = real(command)
    server.feature("test/fail")(fail)
    return server
app.make_server = make_server
"""
STOCK = """
from pygls.lsp.server import LanguageServer
server = LanguageServer("stock", "1")
@server.feature("test/fail")
def fail(params):
    raise RuntimeError("a secret of the user")
@server.feature("textDocument/inlineCompletion")
def complete(params):
    return None
server.start_io()
"""


@pytest.fixture(scope="module")
def engine_path():
    folder = Path(tempfile.mkdtemp(prefix="spa"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_RUNTIME_DIR", "SPA_HOME", "SPA_CACHE"):
            patch.setenv(name, str(folder))
        path = socket_path("fake-base", "auto")
        yield path
    stop_engine(path)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(engine_path):
    """A server whose engine never ends a request with `slow` in its prefix; asked too early, then initialized."""
    command = server_command(fake_engine_command(engine_path, slow_in="slow", **SLOW), before=BEFORE)
    client = LspClient(command)
    client.too_early = client.ask("textDocument/hover", {})
    client.initialize(settings=SETTINGS)
    client.open("quick\n")
    client.items_once_loaded(0, 5)
    yield client
    client.kill()


@pytest.fixture
def start():
    """Start another server process, initialized; `before` is code that runs in it first."""
    clients = []

    def start(command=None, *, before=""):
        command = command or server_command(["true"], before=before)
        clients.append(LspClient(command))
        clients[-1].initialize(settings=SETTINGS)
        clients[-1].patience_s = SILENT_S if STOCK in command else PATIENCE_S
        return clients[-1]

    yield start
    for client in clients:
        client.kill()


@pytest.fixture(scope="module")
def stock():
    client = LspClient([sys.executable, "-c", STOCK])
    client.initialize()
    client.patience_s = SILENT_S
    yield client
    client.end()  # it may answer twice and write what it likes


def ask(client):
    """The server is not deaf: a request is answered."""
    assert client.answer(client.ask("test/unknown", {}))["error"]["code"] == -32601


def check_refused(client, body, code):
    """These bytes are answered with this error, once, with nothing else, and the server goes on."""
    n_refusals, n_notifications = len(client.refusals), len(client.notifications)
    client.send_bytes(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    ask(client)
    assert [refusal["error"]["code"] for refusal in client.refusals[n_refusals:]] == [code]
    assert client.notifications[n_notifications:] == []


def check_ends(client, data):
    """After these bytes the process ends with status 1."""
    ask(client)
    client.send_bytes(data)
    assert client.process.wait(client.patience_s) == 1


def check_p2(client):
    check_refused(client, b"{not json", -32700)
    check_refused(client, b"[" * 100_000, -32700)


def check_p3(client):
    answer = client.answer(client.ask("textDocument/inlineCompletion", {"textDocument": 3}))
    assert answer["error"]["code"] == -32602
    assert not shown(client)


def check_p4(client):
    for message in (
        [],
        "x",
        1,
        None,
        {},
        {"jsonrpc": "1.0", "method": "x"},
        {"jsonrpc": "2.0", "id": True, "method": "x"},
    ):
        check_refused(client, json.dumps(message).encode(), -32600)


def check_p5(client):
    inner = {"jsonrpc": "2.0", "id": 77, "method": "exit"}
    answer = client.answer(client.ask("workspace/executeCommand", {"command": "spa-lsp.accept", "arguments": [inner]}))
    assert answer.get("result", 0) is None
    assert not shown(client)


def check_p6(client):
    error = client.answer(client.ask("test/fail", {}))["error"]
    assert error["code"] == -32603 and "secret" not in json.dumps(error) and "Traceback" not in json.dumps(error)


def check_p7(client):
    client.change([{"text": "x"}], uri="file:///never-opened.py", version=2)
    ask(client)
    assert not shown(client)


def check_p10(client):
    client.notify("exit", None)
    assert client.process.wait(PATIENCE_S) == 1


def check_p16(client):
    body = json.dumps({"jsonrpc": "2.0", "id": 5000, "method": "test/unknown", "params": {}}).encode()
    check_ends(client, b"Content-Length: %d\r\n\r\n%s" % (len(body) - 3, body) + frame({"jsonrpc": "2.0", "id": 5001}))


def check_p18(client):
    check_refused(client, b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', -32700)


def shown(client):
    return [params for method, params in client.notifications if method == "window/showMessage"]


@pytest.mark.parametrize("check", [check_p2, check_p3, check_p4, check_p5, check_p6, check_p7, check_p18])
def test_case(server, check):
    check(server)


@pytest.mark.parametrize("check", [check_p2, check_p3, check_p4, check_p6, check_p7, check_p18])
def test_pygls_as_it_is_fails_the_case(stock, check):
    with pytest.raises(AssertionError):
        check(stock)


@pytest.mark.parametrize("check", [check_p10, check_p16])
def test_pygls_as_it_is_does_not_end_as_it_should(start, check):
    with pytest.raises((AssertionError, subprocess.TimeoutExpired)):
        check(start([sys.executable, "-c", STOCK]))


def test_p1_a_request_before_initialize_is_refused(server):
    assert server.answer(server.too_early)["error"]["code"] == -32002


def test_p8_a_version_that_goes_back_is_never_used(server):
    server.open("quick\n", uri="file:///p8.py", version=5)
    assert server.items(0, 5, uri="file:///p8.py")
    server.change([{"text": "old\n"}], uri="file:///p8.py", version=3)
    assert server.items(0, 3, uri="file:///p8.py") == []


def test_p9_a_request_after_shutdown_is_refused_and_p10_the_end_is_good(start):
    client = start()
    client.call("shutdown", None)
    assert client.answer(client.ask("textDocument/hover", {}))["error"]["code"] == -32600
    client.notify("exit", None)
    assert client.process.wait(PATIENCE_S) == 0


def test_p10_an_exit_without_shutdown_is_an_error(start):
    check_p10(start())


def ask_slowly(client, engine_path, uri):
    """A request that the engine will not end by itself, running there now."""
    client.open("slow", uri=uri)
    with closing(EngineClient(engine_path)) as engine:  # of the whole module: not that of a test's own store
        n_before = engine.status()["n_requests"]
        call_id = client.ask_items(0, 4, uri=uri)
        wait_until(lambda: engine.status()["n_requests"] > n_before)
    return call_id


def cancel(client, call_id):
    client.notify("$/cancelRequest", {"id": call_id})
    assert client.answer(call_id)["error"]["code"] == -32800


def test_p11_a_running_request_is_cancelled_and_p12_its_work_stopped(server, engine_path):
    call_id = ask_slowly(server, engine_path, "file:///p11.py")
    server.open("quick\n", uri="file:///p12.py")
    cancel(server, call_id)
    assert len(server.items(0, 5, uri="file:///p12.py")) == len(SOME_TEXTS)  # or it would wait for ever


def test_p13_eight_running_requests_stop_no_other(server, engine_path):
    call_ids = [ask_slowly(server, engine_path, f"file:///p13-{n}.py") for n in range(8)]
    ask(server)
    assert not any(server.is_answered(call_id) for call_id in call_ids)
    for call_id in call_ids:
        cancel(server, call_id)


ENDS = {
    "p14, a length of 14 digits": b"Content-Length: 99999999999999\r\n\r\n{}",
    "p15, a length of 8 GB": b"Content-Length: 8000000000\r\n\r\n{}",
    "p17, line ends of one byte": b"Content-Length: 2\n\n{}",
}


@pytest.mark.parametrize("data", ENDS.values(), ids=ENDS.keys())
def test_what_cannot_be_trusted_ends_the_server(start, data):
    check_ends(start(), data)


def test_p16_a_length_that_is_too_short_ends_the_server(start):
    check_p16(start())


def test_p17_a_header_in_lower_case_is_taken(server):
    body = json.dumps({"jsonrpc": "2.0", "id": "p17", "method": "test/unknown"}).encode()
    server.send_bytes(b"content-length: %d\r\n\r\n%s" % (len(body), body))
    assert server.answer("p17")["error"]["code"] == -32601


def test_p19_half_an_emoji_is_completed(server):
    server.open('s = "\ud83d"\n', uri="file:///p19.py")
    assert server.items(1, 0, uri="file:///p19.py")


def test_p20_a_document_that_is_not_open_is_never_read(server, tmp_path):
    os.mkfifo(tmp_path / "fifo.py")
    assert server.items(0, 0, uri=(tmp_path / "fifo.py").as_uri()) == []


@pytest.fixture
def unread():
    """A server whose answers nobody reads."""
    before = "import spa_lsp.server.stdio as stdio\nstdio.STALL_S = 1.0"
    pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    with subprocess.Popen(server_command(["true"], before=before), stderr=subprocess.DEVNULL, **pipes) as process:
        yield process
        process.kill()
        with suppress(BrokenPipeError):  # what was not read
            process.stdin.close()


def test_p21_a_client_that_does_not_read_can_go_on_writing_and_is_given_up_in_the_end(unread):
    request = frame({"jsonrpc": "2.0", "id": 1, "method": "test/unknown"})  # refused, in more than 64 KiB altogether
    writer = threading.Thread(target=lambda: (unread.stdin.write(request * 3000), unread.stdin.flush()))
    writer.start()
    writer.join(PATIENCE_S)
    assert not writer.is_alive()

    def is_given_up():  # which is noticed with the next answer
        with suppress(BrokenPipeError):
            unread.stdin.write(request)
            unread.stdin.flush()
        return unread.poll() is not None

    wait_until(is_given_up)
    assert unread.returncode == 1


@pytest.fixture
def over_tcp():
    """A server over TCP and its port."""
    code = "from spa_lsp.cli._serve import serve_tcp\nserve_tcp('127.0.0.1:0', ['true'])"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as process:
        yield process, int(process.stderr.readline().rpartition(":")[2])
        process.kill()


def test_p22_of_two_clients_over_tcp_the_second_is_refused(over_tcp):
    process, port = over_tcp
    client = socket.create_connection(("127.0.0.1", port))
    client.settimeout(PATIENCE_S)
    client.sendall(frame({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}}}))
    assert b'"name": "spa-lsp"' in client.recv(1 << 16)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    client.close()
    assert process.wait(PATIENCE_S) == 1  # without a shutdown


@pytest.mark.parametrize("state", ["idle", "loading", "busy"])
def test_p23_the_server_and_an_engine_of_its_own_end_with_the_editor(state):
    """The server's standard input stays open in this process, so only the parent's end can tell it."""
    path = socket_path("fake-base", "auto")
    engine = fake_engine_command(
        path, idle_s=0.5, **{"idle": {}, "loading": {"load_s": 10 * PATIENCE_S}, "busy": SLOW}[state]
    )
    reading, writing = os.pipe()
    code = f"print(subprocess.Popen({server_command(engine)!r}).pid, flush=True)"
    editor = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, time; {code}; time.sleep(99)"],
        stdin=reading,
        stdout=subprocess.PIPE,
    )
    processes = [psutil.Process(int(editor.stdout.readline()))]
    begin_session(writing)
    wait_until(lambda: engine_status() is not None)
    processes.append(psutil.Process(engine_status()["pid"]))
    if state == "busy":
        wait_until(lambda: ask_for_items(writing) or engine_status()["n_requests"] > 0)
    editor.kill()
    editor.wait()
    assert psutil.wait_procs(processes, timeout=PATIENCE_S)[1] == []
    editor.communicate()
    os.close(writing)
    os.close(reading)


def begin_session(writing):
    document = {"uri": "file:///a.py", "languageId": "python", "version": 1, "text": "x"}
    for message in (
        {"id": 1, "method": "initialize", "params": {"capabilities": {}, "initializationOptions": SETTINGS}},
        {"method": "initialized", "params": {}},
        {"method": "textDocument/didOpen", "params": {"textDocument": document}},
    ):
        os.write(writing, frame({"jsonrpc": "2.0", **message}))


def ask_for_items(writing):
    place = {"textDocument": {"uri": "file:///a.py"}, "position": {"line": 0, "character": 1}}
    message = {"id": time.monotonic_ns(), "method": "textDocument/inlineCompletion"}
    os.write(writing, frame({"jsonrpc": "2.0", **message, "params": {**place, "context": {"triggerKind": 1}}}))


def test_p24_a_document_of_10_mb_is_followed_but_not_completed(server):
    server.open("x = 1  # some code here\n" * 420_000, uri="file:///p24.py")
    place = {"line": 200_000, "character": 3}
    for version in range(2, 7):
        server.change([{"range": {"start": place, "end": place}, "text": "y"}], uri="file:///p24.py", version=version)
    assert server.items(200_000, 4, uri="file:///p24.py") == []
    server.notify("textDocument/didClose", {"textDocument": {"uri": "file:///p24.py"}})


def test_p25_no_text_of_the_user_is_logged_at_any_level(server):
    server.open(f"{SECRET} = 1\n", uri="file:///p25.py")
    server.change([{"text": f"{SECRET} = 2\n"}], uri="file:///p25.py", version=2)
    server.items(0, 3, uri="file:///p25.py")
    server.answer(server.ask("textDocument/inlineCompletion", {"textDocument": SECRET}))
    server.answer(server.ask("workspace/executeCommand", {"command": "spa-lsp.accept", "arguments": [SECRET]}))
    server.change([{"range": SECRET, "text": SECRET}], uri="file:///p25.py", version=3)
    check_refused(server, f'{{"{SECRET}'.encode(), -32700)
    assert SECRET.encode() not in server.log and b"DEBUG" in server.log


def test_p26_an_id_that_is_in_use_is_refused(server, engine_path):
    call_id = ask_slowly(server, engine_path, "file:///p26.py")
    server.send({"jsonrpc": "2.0", "id": call_id, "method": "test/unknown", "params": {}})
    assert server.answer(call_id)["error"]["code"] == -32600
    server.notify("$/cancelRequest", {"id": call_id})
    ask(server)
    wait_until(lambda: server.repeated)
    assert [(answer["id"], answer["error"]["code"]) for answer in server.repeated] == [(call_id, -32800)]
    server.repeated.clear()
