import socket
import stat
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from spa_lsp.errors import BadInput, Unavailable
from spa_lsp.server.sockets import accept_client, listen_tcp, open_pipe, streams
from tests.fakes import PATIENCE_S, wait_until

MESSAGE = b"Content-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", "127.1.2.3:0", "[::1]:0", "::1:0"])
def test_addresses_of_this_machine_are_taken(address):
    if ":1" in address and not socket.has_ipv6:
        pytest.skip("no IPv6")
    listen_tcp(address).close()


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:7777", "192.168.0.1:7777", "[::]:7777", "example.com:80", "7777", "127.0.0.1:", "127.0.0.1:99999"],
)
def test_other_addresses_are_refused(address):
    with pytest.raises(BadInput, match="not HOST:PORT of this machine alone; choose such as 127.0.0.1:7777"):
        listen_tcp(address)


def test_a_port_that_is_taken_is_told():
    with listen_tcp("127.0.0.1:0") as first, pytest.raises(Unavailable, match="choose another port"):
        listen_tcp(f"127.0.0.1:{first.getsockname()[1]}")


def in_thread(function, *arguments):
    found = []
    thread = threading.Thread(target=lambda: found.append(function(*arguments)), daemon=True)
    thread.start()
    return thread, found


def test_who_does_not_speak_the_protocol_is_refused_and_the_next_one_served(monkeypatch):
    monkeypatch.setattr("spa_lsp.server.sockets.FIRST_BYTES_S", 2.0)
    listener = listen_tcp("127.0.0.1:0")
    place = listener.getsockname()
    thread, found = in_thread(accept_client, listener)
    for data in (b"", b"GET / HTTP/1.1\r\n\r\n"):  # a scan that is silent, a browser
        with socket.create_connection(place) as stranger:
            stranger.sendall(data)
            stranger.settimeout(PATIENCE_S)
            with suppress(ConnectionResetError):  # when it is refused with its bytes unread
                assert stranger.recv(9) == b""
    with socket.create_connection(place) as client:
        client.sendall(MESSAGE)
        thread.join(PATIENCE_S)
        assert streams(found[0])[0].read(len(MESSAGE)) == MESSAGE
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(place)
    found[0].close()


def test_a_pipe_at_which_the_editor_listens_is_connected_to(tmp_path):
    with socket.socket(socket.AF_UNIX) as editor:
        editor.bind(str(tmp_path / "pipe"))
        editor.listen(1)
        with open_pipe(tmp_path / "pipe") as server, editor.accept()[0] as client:
            streams(server)[1].write(MESSAGE)
            assert client.recv(99) == MESSAGE


def test_a_pipe_that_is_not_there_is_made_for_this_user_and_one_client(tmp_path):
    path = tmp_path / "pipe"
    thread, found = in_thread(open_pipe, path)
    wait_until(path.exists)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as client:
        wait_until(lambda: client.connect_ex(str(path)) == 0)
        client.sendall(MESSAGE)
        thread.join(PATIENCE_S)
        assert not path.exists()
    found[0].close()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(BadInput, match="is not a socket; choose another name"):
        open_pipe(tmp_path / "notes")
    assert (tmp_path / "notes").read_text() == "mine"


def test_the_program_takes_one_way_only(tmp_path):
    command = [sys.executable, "-m", "spa_lsp", "--stdio", "--tcp", "127.0.0.1:0"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2 and "--stdio and --tcp are ways to reach one server; choose one" in run.stderr
