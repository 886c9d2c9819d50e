"""Who may be at the engine's socket, and what is done before a byte of the user's code goes there."""

import os
import socket
import threading
from contextlib import closing

import pytest

from spa_lsp import paths
from spa_lsp.engine import private_socket
from spa_lsp.engine.client import EngineClient, open_link, stop_engine
from spa_lsp.errors import BadInput
from tests.fakes import FakeCompleter, engine_in_thread, engine_status, fake_engine_command, wait_until

ONLY_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
NOBODY = 65534


def test_a_runtime_folder_that_others_can_read_is_closed(tmp_path):
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o755)
    private_socket.make_runtime_dir(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_runtime_folder_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runtime").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="set XDG_RUNTIME_DIR"):
        private_socket.make_runtime_dir(tmp_path / "runtime")


def test_the_runtime_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(BadInput, match="belongs to someone else"):
        private_socket.make_runtime_dir(tmp_path)


def test_a_runtime_folder_that_others_can_write_to_is_refused_and_not_just_closed(tmp_path):
    """Somebody may have put a socket there already."""
    (tmp_path / "runtime").mkdir()
    (tmp_path / "runtime").chmod(0o777)
    with pytest.raises(BadInput, match="others can write in"):
        private_socket.make_runtime_dir(tmp_path / "runtime")


@pytest.fixture
def place(homes):
    """Of a socket that is no engine's, in its folder."""
    path = paths.runtime_dir() / "engine.sock"
    path.parent.mkdir(mode=0o700)
    return path


@pytest.fixture
def stranger(place):
    """Somebody listens at the engine's socket; a function that waits and gives what was heard."""
    heard = []
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as listener:
        listener.bind(str(place))
        listener.listen(1)
        listener.settimeout(0.5)

        def hear():
            try:
                connection, _ = listener.accept()
                heard.append(connection.recv(1 << 16))
            except OSError:
                pass

        thread = threading.Thread(target=hear)
        thread.start()
        yield lambda: thread.join() or b"".join(heard)


def make_foreign(monkeypatch, folder, how):
    if how == "link":
        folder.rename(folder.with_name("real"))
        folder.symlink_to(folder.with_name("real"))
    elif how == "writable":
        folder.chmod(0o777)
    else:
        monkeypatch.setattr(os, "getuid", lambda: 12345)


# #11
@pytest.mark.parametrize("how", ["link", "writable", "owner"])
@pytest.mark.parametrize(
    "use",
    [
        lambda path: EngineClient(path, command=fake_engine_command(path)),
        EngineClient,
        stop_engine,
    ],
    ids=["start", "connect", "stop"],
)
def test_nothing_is_said_to_a_socket_in_a_folder_that_is_not_ours_alone(place, stranger, monkeypatch, how, use):
    make_foreign(monkeypatch, place.parent, how)
    with pytest.raises(BadInput, match="set XDG_RUNTIME_DIR to a folder of your own"):
        use(place)
    assert stranger() == b""


# #11
@pytest.mark.parametrize("how", ["link", "writable"])
def test_the_status_is_not_asked_there(place, stranger, monkeypatch, how):
    make_foreign(monkeypatch, place.parent, how)
    with pytest.raises(BadInput, match="set XDG_RUNTIME_DIR to a folder of your own"):
        engine_status()
    assert stranger() == b""


# #13
def test_in_the_runtime_folder_of_another_user_no_engine_is_looked_for(place, stranger, monkeypatch):
    make_foreign(monkeypatch, place.parent, "owner")
    assert engine_status() is None and stranger() == b""


# #11
async def test_a_front_says_nothing_there_either_and_tells_its_user(place, stranger, monkeypatch):
    problems = []
    make_foreign(monkeypatch, place.parent, "writable")
    monkeypatch.setattr("spa_lsp.engine.supervisor.socket_path", lambda *_: place)
    link = open_link("fake-base", None, "auto", idle_s=60, on_problem=problems.append, command=["false"])
    link.start()
    await link._task
    link.close()
    assert [type(problem) for problem in problems] == [BadInput] and stranger() == b""


# #11
@ONLY_ROOT
@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="only Linux says who listens")
def test_nothing_is_said_to_another_user_who_listens(place):
    """Whatever the folder: it may have been given away for a while."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as listener:
        listener.bind(str(place))
        child = os.fork()
        if child == 0:
            listen_as_nobody(listener)
    wait_until(lambda: is_listening_at(place))
    with pytest.raises(BadInput, match=f"user {NOBODY} listens at"):
        EngineClient(place)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def listen_as_nobody(listener):
    """In a child: hear one who says nothing, then one more; its status is 0 when that one says nothing, too."""
    try:
        listener.settimeout(30)
        os.setuid(NOBODY)
        listener.listen(1)
        listener.accept()
        os._exit(1 if listener.accept()[0].recv(1) else 0)
    finally:
        os._exit(2)


def is_listening_at(path):
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as visitor:
        return visitor.connect_ex(str(path)) == 0


@ONLY_ROOT
@pytest.mark.parametrize(
    ("folder_mode", "socket_mode", "can_connect"), [(None, None, False), (0o755, None, False), (0o755, 0o666, True)]
)
def test_another_user_cannot_connect(socket_path, folder_mode, socket_mode, can_connect):
    """Neither by the folder nor by the socket alone; with both guards away he could: so this test sees him."""
    with engine_in_thread(socket_path, lambda on_progress: FakeCompleter()):
        socket_path.parent.parent.chmod(0o755)  # a runtime folder like /tmp, which everybody may enter
        if folder_mode:
            socket_path.parent.chmod(folder_mode)
        if socket_mode:
            socket_path.chmod(socket_mode)
        assert is_open_to_another_user(socket_path) == can_connect


def is_open_to_another_user(path):
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as stranger:
            os._exit(1 if stranger.connect_ex(str(path)) else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
