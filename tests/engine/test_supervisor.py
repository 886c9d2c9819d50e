import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress

import psutil
import pytest

from spa_lsp import paths
from spa_lsp.completion import CompletionRequest
from spa_lsp.engine import supervisor
from spa_lsp.engine.client import EngineClient, running_engines, stop_engine
from spa_lsp.errors import BadInput, Hung, Unavailable
from tests.fakes import PATIENCE_S, FakeCompleter, engine_in_thread, engine_status, fake_engine_command, wait_until

REQUEST = CompletionRequest(prefix="x")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_the_first_start_is_not_delayed(clock):
    assert supervisor.Backoff(clock).delay_s() == 0


def test_each_death_doubles_the_delay_up_to_16_seconds(clock):
    backoff, delays = supervisor.Backoff(clock), []
    for _ in range(6):
        backoff.record_ready()
        backoff.record_death()
        delays.append(backoff.delay_s())
        clock.now += 60
    assert delays == [1, 2, 4, 8, 16, 16] and not backoff.is_off


def test_the_delay_runs_out(clock):
    backoff = supervisor.Backoff(clock)
    backoff.record_death()
    clock.now = 0.75
    assert backoff.delay_s() == 0.25
    clock.now = 1.5
    assert backoff.delay_s() == 0


@pytest.mark.parametrize(("seconds", "is_ready"), [(40, True), (3600, False)])
def test_five_deaths_in_three_minutes_or_in_a_row_before_it_was_ready_turn_the_engine_off(clock, seconds, is_ready):
    backoff = supervisor.Backoff(clock)
    for _ in range(4):
        if is_ready:
            backoff.record_ready()
        backoff.record_death()
        clock.now += seconds
    assert not backoff.is_off
    if is_ready:
        backoff.record_ready()
    backoff.record_death()
    assert backoff.is_off


def test_a_long_life_makes_good_for_earlier_deaths(clock):
    backoff = supervisor.Backoff(clock)
    for _ in range(3):
        backoff.record_death()
    clock.now = 200
    backoff.record_death()
    assert backoff.delay_s() == 1


def test_each_base_and_quantization_has_a_socket_of_its_own():
    assert supervisor.socket_path("base-a", "nf4").name.startswith("base-a-nf4-0.1.0-")
    assert supervisor.socket_path("base-a", "nf4") != supervisor.socket_path("base-a", "fp32")


@pytest.mark.parametrize("name", ["SPA_HOME", "SPA_CACHE"])
def test_who_has_another_store_or_cache_has_another_engine(monkeypatch, tmp_path, name):
    ours = supervisor.socket_path("base-a", "nf4")
    monkeypatch.setenv(name, str(tmp_path / "other"))
    assert supervisor.socket_path("base-a", "nf4") != ours


def test_a_store_by_another_path_has_the_same_engine(monkeypatch, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv("SPA_HOME", str(tmp_path / "real"))
    ours = supervisor.socket_path("base-a", "nf4")
    monkeypatch.setenv("SPA_HOME", str(tmp_path / "link"))
    assert supervisor.socket_path("base-a", "nf4") == ours


def test_a_long_name_still_gives_a_short_socket(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp/" + "x" * 40)
    path = supervisor.socket_path("b" * 80, "auto")
    assert len(str(path)) < 104 and path.suffix == ".sock"


def test_a_folder_that_cannot_be_used_is_named(socket_path, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPA_CACHE", str(tmp_path / "file"))
    with pytest.raises(BadInput, match=r"file/logs cannot be used \(Not a directory\); make it yours"):
        supervisor.connect_or_start(socket_path, fake_engine_command(socket_path))


def test_an_engine_is_started_on_demand(socket_path):
    client = EngineClient(socket_path, command=fake_engine_command(socket_path))
    assert client.complete(REQUEST).alternatives
    assert [status["socket"] for status in running_engines()] == [str(socket_path)]


def test_without_a_command_there_must_be_an_engine(socket_path):
    with pytest.raises(Unavailable, match="spa-lsp engine start"):
        EngineClient(socket_path)


def test_the_engine_outlives_the_client_that_started_it(socket_path):
    EngineClient(socket_path, command=fake_engine_command(socket_path)).close()
    assert engine_status()["n_clients"] == 0


def test_the_engine_is_in_a_session_of_its_own(socket_path):
    pid = EngineClient(socket_path, command=fake_engine_command(socket_path)).status()["pid"]
    assert os.getsid(pid) == pid


def test_an_engine_that_cannot_start_is_reported_with_its_log(socket_path):
    command = [sys.executable, "-c", "raise SystemExit('no room')"]
    with pytest.raises(Unavailable, match="status 1; see its log"):
        EngineClient(socket_path, command=command)
    assert "no room" in supervisor.log_path(socket_path).read_text()


def test_two_clients_that_start_at_the_same_moment_share_one_engine(socket_path, tmp_path):
    """Two processes, held at a gate until both are ready."""
    log, gate = tmp_path / "engines", tmp_path / "gate"
    command = fake_engine_command(socket_path, log=str(log), load_s=0.2)
    script = textwrap.dedent(f"""
        import pathlib, time
        from spa_lsp.completion import CompletionRequest
        from spa_lsp.engine.client import EngineClient
        print("ready", flush=True)
        while not pathlib.Path({str(gate)!r}).exists():
            time.sleep(0.001)
        client = EngineClient(pathlib.Path({str(socket_path)!r}), command={command!r})
        client.complete(CompletionRequest(prefix="x"))
        print(client.status()["pid"])
    """)
    starters = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [starter.stdout.readline() for starter in starters] == ["ready\n", "ready\n"]
    gate.touch()
    pids = [starter.communicate(timeout=PATIENCE_S)[0].strip() for starter in starters]
    assert pids[0] == pids[1] and log.read_text().split() == [pids[0]]


def test_a_killed_engine_is_started_again_after_its_delay(socket_path, monkeypatch):
    naps, sleep = [], asyncio.sleep
    client = EngineClient(socket_path, command=fake_engine_command(socket_path))
    pid = client.status()["pid"]
    monkeypatch.setattr(supervisor, "DELAYS_S", (3600.0,))
    monkeypatch.setattr(asyncio, "sleep", lambda s: naps.append(s) or sleep(min(s, 0.02)))
    os.kill(pid, 9)
    assert client.complete(REQUEST).alternatives
    assert client.status()["pid"] != pid
    assert 3000 < max(naps) <= 3600  # less what has passed since


def test_an_engine_that_dies_over_a_request_is_not_asked_a_third_time(socket_path, monkeypatch, tmp_path):
    monkeypatch.setattr(supervisor, "DELAYS_S", (0.0,))
    log = tmp_path / "engines"
    client = EngineClient(socket_path, command=fake_engine_command(socket_path, log=str(log), dies=True))
    with pytest.raises(Unavailable, match="the engine died twice over one request"):
        client.complete(REQUEST)
    assert len(log.read_text().split()) == 2


def test_an_engine_that_was_stopped_is_started_again_without_delay(socket_path, monkeypatch):
    client = EngineClient(socket_path, command=fake_engine_command(socket_path))
    monkeypatch.setattr(supervisor.Backoff, "record_death", lambda self: pytest.fail("this was no death"))
    stop_engine(socket_path)
    assert client.complete(REQUEST).alternatives


def test_after_five_deaths_the_client_gives_up(socket_path, monkeypatch):
    monkeypatch.setattr(supervisor, "DELAYS_S", (0.0,))
    client = EngineClient(socket_path, command=fake_engine_command(socket_path))
    for _ in range(4):
        os.kill(client.status()["pid"], 9)
        assert client.complete(REQUEST).alternatives
    os.kill(client.status()["pid"], 9)
    with pytest.raises(Unavailable, match="died 5 times in a short while; see its log"):
        client.complete(REQUEST)


def test_no_engine_has_no_status_and_stopping_none_does_nothing(socket_path):
    assert engine_status() is None and running_engines() == []
    stop_engine(socket_path)


def test_an_engine_that_hangs_says_so_and_ends(socket_path):
    hanging = {"n_steps": 2, "step_s": 999, "limits": {"hang_s": 0.1}}
    client = EngineClient(socket_path, command=fake_engine_command(socket_path, **hanging))
    with pytest.raises(Hung, match="got nowhere with a request for 0 s and was ended; .* see its log"):
        client.complete(REQUEST)
    log = supervisor.log_path(socket_path).read_text()
    assert "in complete" in log and "Timeout (" not in log
    wait_until(lambda: engine_status() is None)


def test_an_engine_that_hangs_with_all_its_threads_is_killed_by_its_watchdog(socket_path, monkeypatch):
    monkeypatch.setattr(supervisor, "DELAYS_S", (0.0,))
    hanging = {"grabs": True, "limits": {"hang_s": 0.1}}
    client = EngineClient(socket_path, command=fake_engine_command(socket_path, **hanging))
    with pytest.raises(Unavailable, match="the engine died twice over one request"):
        client.complete(REQUEST)
    log = supervisor.log_path(socket_path).read_text()
    assert log.count("Timeout (") == 2 and "in complete" in log


def test_an_engine_that_hangs_while_it_loads_says_so_and_ends(socket_path):
    hanging = {"load_s": 9990, "limits": {"hang_s": 0.02}}
    client = EngineClient(socket_path, command=fake_engine_command(socket_path, **hanging))
    with pytest.raises(Hung, match="got nowhere with loading the model"):
        client.complete(REQUEST)


def test_an_engine_that_loads_slowly_is_not_killed(socket_path):
    slow = {"load_s": 2.0, "limits": {"hang_s": 0.03}}
    client = EngineClient(socket_path, command=fake_engine_command(socket_path, **slow))
    assert client.complete(REQUEST).alternatives


@pytest.fixture
def stopped(socket_path):
    """The process of an engine that was stopped, as by a debugger."""
    client = EngineClient(socket_path, command=fake_engine_command(socket_path))
    pid = client.status()["pid"]
    client.close()
    os.kill(pid, signal.SIGSTOP)
    yield psutil.Process(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def test_an_engine_that_does_not_hear_is_killed_to_stop_it(socket_path, stopped, monkeypatch):
    monkeypatch.setattr("spa_lsp.engine.client._STOP_TIMEOUT_S", 0.2)
    stop_engine(socket_path)
    stopped.wait(PATIENCE_S)


def test_an_engine_that_greets_nobody_is_killed_and_another_started(socket_path, stopped, monkeypatch):
    monkeypatch.setattr("spa_lsp.engine.channel.HELLO_TIMEOUT_S", 5.0)
    client = EngineClient(socket_path, command=fake_engine_command(socket_path))
    assert client.status()["pid"] != stopped.pid and client.complete(REQUEST).alternatives


def test_an_engine_that_works_slowly_is_not_killed(socket_path):
    """Each step is shorter than the watchdog's patience, all of them together are longer."""
    slow = {"n_steps": 30, "step_s": 0.2, "limits": {"hang_s": 4.0}}
    client = EngineClient(socket_path, command=fake_engine_command(socket_path, **slow))
    assert client.complete(REQUEST).alternatives


def test_an_engine_of_another_version_is_left_alone(monkeypatch):
    with engine_in_thread(supervisor.socket_path("fake-base", "auto"), lambda on_progress: FakeCompleter()):
        assert EngineClient(supervisor.socket_path("fake-base", "auto")).status()["pid"] == os.getpid()
        monkeypatch.setattr(supervisor, "__version__", "9.9.9")
        with pytest.raises(Unavailable, match="no engine is running"):
            EngineClient(supervisor.socket_path("fake-base", "auto"))


def test_the_status_of_a_base_is_that_of_its_engine(socket_path):
    EngineClient(socket_path, command=fake_engine_command(socket_path))
    assert engine_status("fake-base")["socket"] == str(socket_path)
    assert engine_status("another-base") is None


def test_the_log_lies_in_the_cache(socket_path):
    assert supervisor.log_path(socket_path) == paths.cache_dir() / "logs" / "engine-engine.log"


def test_an_engine_that_ends_when_idle_leaves_no_process(socket_path):
    client = EngineClient(socket_path, command=fake_engine_command(socket_path, idle_s=0.2))
    pid = client.status()["pid"]
    client.close()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))


# #12
def test_who_gives_up_while_the_engine_is_started_again_does_not_wait(socket_path, monkeypatch):
    client = EngineClient(socket_path, command=fake_engine_command(socket_path))
    os.kill(client.status()["pid"], signal.SIGKILL)
    monkeypatch.setattr(supervisor, "DELAYS_S", (9 * PATIENCE_S,))
    assert client.complete(REQUEST, is_cancelled=lambda: True).is_cancelled
