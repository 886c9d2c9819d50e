"""What must not leave: code and paths in logs, bytes over the network."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from spa_lsp.engine.supervisor import log_path, socket_path
from tests.fakes import engine_status, wait_until

SECRET = "zq_secret_identifier"
PLACE = "zq_secret_folder"
CODE = f"def {SECRET}():\n    \n"


def test_no_code_and_no_path_is_logged_whatever_goes_wrong(start, tmp_path):
    root = tmp_path / PLACE
    root.mkdir()
    uri = (root / f"{SECRET}.py").as_uri()
    client = start(before="import logging; logging.basicConfig(level=logging.DEBUG)")
    client.call("initialize", {"processId": None, "rootUri": root.as_uri(), "capabilities": {}, **options()})
    client.notify("initialized", {})
    client.open(CODE, uri=uri)
    client.items_once_loaded(1, 4, uri=uri)
    misbehave(client, uri)
    os.kill(engine_status()["pid"], signal.SIGKILL)
    client.change([{"text": CODE * 2}], uri=uri, version=9)
    client.items_once_loaded(1, 4, uri=uri)
    wait_until(lambda: b"lost the engine" in client.log)
    log = client.log + log_path(socket_path("fake-base", "auto")).read_bytes()
    assert [line for line in log.splitlines() if SECRET.encode() in line or PLACE.encode() in line] == []


def options():
    return {"initializationOptions": {"base": "fake-base"}}


def misbehave(client, uri):
    """Everything that ends in a line of the log."""
    document = {"uri": uri, "version": 2}
    client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": 3, SECRET: 1}]})
    client.notify("textDocument/didChange", {"textDocument": {**document, "version": 0}, "contentChanges": []})
    client.change([{"text": SECRET}], uri=f"{uri}.closed", version=1)
    client.notify("spa-lsp/didShow", {"setId": SECRET + "\n", "index": 0, "adapter": SECRET, "language": SECRET})
    client.answer(client.ask("spa-lsp/alternatives", {"textDocument": {"uri": uri}, SECRET: SECRET}))
    client.answer(client.ask("textDocument/inlineCompletion", {"textDocument": {"uri": uri}, "position": SECRET}))
    client.answer(client.ask("workspace/executeCommand", {"command": SECRET, "arguments": [SECRET]}))
    client.answer(client.ask("workspace/executeCommand", {"command": "spa-lsp.accept", "arguments": [{SECRET: 1}]}))
    client.send_bytes(b"Content-Length: %d\r\n\r\n%s" % (len(SECRET) + 1, b"{" + SECRET.encode()))
    client.change([{"text": CODE}], uri=uri, version=8)


CONNECT = """
    import socket, sys
    from spa_lsp.offline import forbid_network
    forbid_network(); forbid_network()
    def attempt(what):
        try:
            what()
        except PermissionError as error:
            return "refused" if "spa-lsp" in str(error) else "other"
        except OSError:
            return "tried"
    sock = socket.socket()
    sock.settimeout(0.2)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    print(
        attempt(lambda: sock.connect(("192.0.2.1", 80))),
        attempt(lambda: udp.sendto(b"x", ("192.0.2.1", 53))),
        attempt(lambda: socket.getaddrinfo("example.org", 443)),
        attempt(lambda: socket.create_connection(("example.org", 443), timeout=0.2)),
        attempt(lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 80))),
        attempt(lambda: socket.socket().bind(("0.0.0.0", 0))),
        attempt(lambda: sock.connect(("127.0.0.1", 1))),
        attempt(lambda: socket.socket(socket.AF_UNIX).connect("/nowhere")),
        attempt(lambda: socket.getaddrinfo("localhost", 1)),
    )
"""


def test_connections_that_leave_the_machine_are_refused():
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CONNECT)], capture_output=True, text=True, check=True, timeout=120
    )
    *outward, tcp, unix, name = run.stdout.split()
    assert outward == ["refused"] * 6 and (tcp, unix, name) == ("tried", "tried", "None")


def test_a_front_refuses_the_network(start):
    attempt = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=0.2)"
    before = f"""
import threading, time, sys
def run():
    while not any(thread.name == "reader" for thread in threading.enumerate()):
        time.sleep(0.01)
    try:
        {attempt}
    except OSError as error:
        print("the attempt:", error, file=sys.stderr, flush=True)
threading.Thread(target=run, daemon=True).start()
"""
    client = start(before=before)
    client.initialize(settings={"base": "fake-base"})
    wait_until(lambda: b"the attempt:" in client.log and client.log.endswith(b"\n"))
    assert b"spa-lsp does not use the network" in client.log


def test_the_engine_refuses_the_network_before_it_loads():
    code = """
        import sys
        from spa_lsp.engine import __main__ as engine
        def serve(*arguments, **options):
            import socket
            try:
                socket.create_connection(("192.0.2.1", 80), timeout=0.2)
            except OSError as error:
                print(error, flush=True)
        engine.serve = serve
        sys.argv = ["engine", "--base", "x"]
        engine.main()
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120)
    assert "spa-lsp does not use the network" in run.stdout


def in_no_network():
    """The command that runs another in an empty network namespace; skips where that is forbidden."""
    for command in (["unshare", "-rn"], ["bwrap", "--dev-bind", "/", "/", "--unshare-net"]):
        if shutil.which(command[0]) and subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    pytest.skip("neither unshare nor bwrap may make a network namespace here")


INSIDE = """
    import socket, sys, time
    sys.path[:0] = {paths!r}
    from tests.fakes import engine_status, fake_engine_command
    from tests.server.lsp_client import LspClient, server_command
    from spa_lsp.engine.client import stop_engine
    from spa_lsp.engine.supervisor import socket_path
    path = socket_path("fake-base", "auto")
    assert [name for _, name in socket.if_nameindex()] == ["lo"]
    client = LspClient(server_command(fake_engine_command(path)))
    client.initialize(settings={{"base": "fake-base"}})
    client.open({code!r})
    print(len(client.items_once_loaded(1, 4)), client.exit(), client.stray, client.log)
    stop_engine(path)
"""


def test_front_and_engine_work_without_any_network():
    code = textwrap.dedent(INSIDE).format(paths=sys.path, code=CODE)
    run = subprocess.run([*in_no_network(), sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert run.stdout == "3 0 b'' b''\n", run.stderr
