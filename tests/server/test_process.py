"""The server as a process over its pipes, with a fake engine process behind it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.fakes import PATIENCE_S, SLOW, SOME_TEXTS, engine_status, wait_until
from tests.server.lsp_client import LspClient

CODE = "def add(a, b):\n    \n"
SETTINGS = {"base": "fake-base"}


def test_initialize_loads_no_torch(start):
    client = start()
    client.initialize()
    assert "libtorch" not in Path(f"/proc/{client.process.pid}/maps").read_text()


def test_the_program_serves_on_request(tmp_path):
    client = LspClient([sys.executable, "-m", "spa_lsp", "--stdio", "--log-file", str(tmp_path / "log")])
    assert client.call("initialize", {"processId": None, "capabilities": {}})["serverInfo"]["name"] == "spa-lsp"
    assert client.exit() == 0  # before `initialized`, so no engine was started
    client.kill()
    assert client.log == client.stray == b"" and (tmp_path / "log").exists()


def test_an_engine_that_was_stopped_is_killed_with_one_message_and_another_started(start):
    client = start(before="import spa_lsp.engine.link as link\nlink.HANG_S = 5.0")
    client.initialize(settings=SETTINGS)
    client.open(CODE)
    client.items_once_loaded(1, 4)
    pid = engine_status()["pid"]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    client.change([{"text": CODE * 2}], version=2)
    client.items_once_loaded(1, 4)
    messages = [params["message"] for method, params in client.notifications if method == "window/showMessage"]
    assert len(messages) == 1 and "the engine did not answer for 5 s and was ended" in messages[0]
    assert engine_status()["pid"] != pid


def test_an_engine_that_hangs_while_it_loads_costs_one_message(start):
    client = start(
        load_s=9990,
        limits={"hang_s": 0.02},
        before="import spa_lsp.engine.supervisor as supervisor\nsupervisor.DELAYS_S = (0.0,)",
    )
    client.initialize(settings=SETTINGS)
    client.open(CODE)
    for version in range(2, 4):
        wait_until(lambda: engine_status() is not None)
        pid = engine_status()["pid"]
        wait_until(lambda dead=pid: not psutil.pid_exists(dead))
        client.change([{"text": CODE + "\n" * version}], version=version)
        assert client.items(1, 4) == []
    messages = [params["message"] for method, params in client.notifications if method == "window/showMessage"]
    assert len(messages) == 1 and "got nowhere with loading the model" in messages[0]


def test_a_front_is_small(start):
    client = start()
    client.initialize()
    assert psutil.Process(client.process.pid).memory_info().rss < 90e6


def test_the_engine_is_started_before_the_user_types(start):
    start().initialize(settings=SETTINGS)
    wait_until(lambda: (engine_status() or {}).get("state") == "ready")


def test_alternatives_are_offered_over_the_pipes(start):
    client = start()
    client.initialize(settings=SETTINGS)
    client.open(CODE)
    items = client.items_once_loaded(1, 4)
    assert [item["insertText"] for item in items] == list(SOME_TEXTS)


def test_stdout_carries_messages_only_and_code_is_not_logged(start):
    noise = """
import os, threading, time
def make_noise():
    while True:
        print("noise of Python", flush=True)
        os.write(1, b"noise of C\\n")
        os.system("echo noise of a child")
        time.sleep(0.01)
def wait():
    while "spa_lsp.server.app" not in sys.modules:
        time.sleep(0.01)
    make_noise()
import sys
threading.Thread(target=wait, daemon=True).start()
"""
    client = start(before=noise)
    client.initialize(settings=SETTINGS)
    client.open("secret_name = 1\n" + CODE)
    client.items_once_loaded(2, 4)
    wait_until(lambda: all(f"noise of {source}".encode() in client.log for source in ("Python", "C", "a child")))
    assert client.stray == b"" and b"secret_name" not in client.log


def test_the_log_is_empty_when_all_is_well(start):
    client = start()
    client.initialize(settings=SETTINGS)
    client.open(CODE)
    client.items_once_loaded(1, 4)
    client.exit()
    assert client.log == b""  # Neovim takes every line for an error


def test_the_exit_status_is_0_after_a_shutdown(start):
    client = start()
    client.initialize(settings=SETTINGS)
    assert client.exit() == 0


def test_the_exit_status_is_1_when_the_client_just_goes_away(start):
    client = start(load_s=99)
    client.initialize(settings=SETTINGS)
    client.process.stdin.close()
    assert client.process.wait(PATIENCE_S) == 1


def test_the_server_ends_when_the_client_that_named_itself_is_gone(start):
    editor = subprocess.Popen(["sleep", "99"])
    client = start()
    client.initialize(process_id=editor.pid)
    editor.kill()
    editor.wait()
    assert client.process.wait(PATIENCE_S) == 1


def test_a_killed_engine_costs_empty_answers_and_then_recovers(start):
    client = start()
    client.initialize(settings=SETTINGS)
    client.open(CODE)
    client.items_once_loaded(1, 4)
    dead = engine_status()["pid"]
    os.kill(dead, signal.SIGKILL)
    client.change([{"text": CODE + "\n"}], version=2)
    assert client.items_once_loaded(1, 4)
    assert engine_status()["pid"] != dead and client.notifications == []


def test_an_engine_killed_in_the_middle_of_a_request_is_an_empty_answer(start):
    client = start(**SLOW)
    client.initialize(settings=SETTINGS)
    client.open(CODE)
    wait_until(lambda: (engine_status() or {}).get("state") == "ready")
    calls = []

    def is_asked():  # the front may not have reached the engine yet
        calls.append(client.ask_items(1, 4, triggerKind=1))  # asked for: it waits for no pause
        return engine_status()["n_requests"] > 0

    wait_until(is_asked)
    os.kill(engine_status()["pid"], signal.SIGKILL)
    assert client.answer(calls[-1])["result"]["items"] == []


def test_two_fronts_share_one_engine(start):
    clients = [start(), start()]
    for client in clients:
        client.initialize(settings=SETTINGS)
        client.open(CODE)
    assert clients[0].items_once_loaded(1, 4) == clients[1].items_once_loaded(1, 4)
    assert engine_status()["n_clients"] == 2


def test_the_server_leaves_at_once_while_the_engine_starts(start):
    client = start(load_s=10 * PATIENCE_S)
    client.initialize(settings=SETTINGS)
    assert client.exit() == 0  # long before the engine is there
