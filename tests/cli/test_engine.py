import json
import os
import signal
from contextlib import closing, suppress

import psutil
import pytest
from click.testing import CliRunner

from spa_lsp import paths
from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.cli import main
from spa_lsp.cli._own_checks import check_engine
from spa_lsp.engine import private_socket, supervisor
from spa_lsp.engine.client import EngineClient
from spa_lsp.errors import NotFound
from tests.fakes import PATIENCE_S, FakeCompleter, engine_in_thread, fake_engine_command, wait_until


@pytest.fixture
def path():
    return supervisor.socket_path("fake-base", "auto")


@pytest.fixture
def engine(path):
    with engine_in_thread(path, lambda on_progress: FakeCompleter()):
        client = EngineClient(path)
        client.wait_until_loaded()
        yield client
        client.close()


def run(*arguments):
    return CliRunner().invoke(main, ["engine", *arguments])


def test_status_without_an_engine_says_so():
    result = run("status")
    assert result.exit_code == 0 and result.output.startswith("no engine is running")
    assert json.loads(run("status", "--json").output) == []


def test_status_names_what_the_engine_holds(engine, path):
    result = run("status")
    assert result.output.splitlines()[0] == "fake-base · fake-set · fp32 · cpu · ready"
    assert "clients: 1, requests: 0 in " in result.output and str(path) in result.output


def test_status_as_json(engine):
    (status,) = json.loads(run("status", "--json").output)
    assert (status["base"], status["state"], status["n_clients"]) == ("fake-base", "ready", 1)


def test_status_of_a_base_without_an_engine_is_an_error_with_the_way_out(engine):
    result = run("status", "--base", "other")
    assert result.exit_code == 1 and "spa-lsp engine start --base other" in result.output


def test_status_shows_why_an_engine_could_not_load(path):
    def load(on_progress):
        raise NotFound("the base is not here")

    with engine_in_thread(path, load):
        with closing(EngineClient(path)) as client, pytest.raises(NotFound):
            client.wait_until_loaded()
        assert "failed: the base is not here" in run("status").output


def test_stop_ends_the_engine(engine, path):
    assert "stopped the engine of fake-base" in run("stop").output
    assert private_socket.try_connect(path) is None


@pytest.fixture
def silent(path, monkeypatch):
    """The process of an engine that hears and answers nothing."""
    monkeypatch.setattr("spa_lsp.engine.client._STATUS_TIMEOUT_S", 0.2)
    monkeypatch.setattr("spa_lsp.engine.client._SILENT_STOP_TIMEOUT_S", 0.2)
    with closing(EngineClient(path, command=fake_engine_command(path))) as client:
        pid = client.status()["pid"]
    os.kill(pid, signal.SIGSTOP)
    yield psutil.Process(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


# #15
@pytest.mark.parametrize("named", [(), ("--base", "fake-base")])
def test_an_engine_that_does_not_answer_is_shown_and_stopped(silent, path, named):
    assert run("status", *named).output.startswith(f"silent: process {silent.pid} does not answer")
    (status,) = json.loads(run("status", *named, "--json").output)
    assert status == {"state": "silent", "base": "", "pid": silent.pid, "socket": str(path)}
    assert run("stop", *named).output == f"stopped the engine that did not answer, process {silent.pid}\n"
    silent.wait(PATIENCE_S)


# #15
def test_an_engine_that_does_not_answer_is_none_of_another_base(silent):
    assert run("stop", "--base", "other").output == "no engine is running\n"
    assert silent.is_running()


# #15
def test_the_doctor_says_how_to_end_an_engine_that_does_not_answer(silent):
    found = check_engine()
    assert (found.state, found.fix) == ("note", "spa-lsp engine stop") and str(silent.pid) in found.text


def test_stop_may_name_a_base(engine, path):
    assert run("stop", "--base", "other").output == "no engine is running\n"
    engine.status()


def test_start_waits_until_the_engine_has_loaded(path, monkeypatch):
    monkeypatch.setattr(supervisor, "engine_command", lambda *_: fake_engine_command(path, load_s=0.1))
    result = run("start", "--base", "fake-base", "--json")
    (status,) = json.loads(result.stdout)
    assert result.exit_code == 0 and status["state"] == "ready"
    assert json.loads(run("start", "--base", "fake-base", "--json").stdout)[0]["pid"] == status["pid"]
    run("stop")


@pytest.fixture
def started(monkeypatch):
    """Engines of any base that a command starts; what they are started with."""
    found = []

    def command(base_id, set_name, quantization, *limits):
        found.append((base_id, set_name, quantization, *limits))
        return fake_engine_command(supervisor.socket_path(base_id, quantization))

    monkeypatch.setattr(supervisor, "engine_command", command)
    yield found
    run("stop")


# #15
@pytest.mark.parametrize("named", [(), ("--base", "auto")])
def test_start_without_a_base_starts_the_engine_that_an_editor_would_ask(started, named):
    (status,) = json.loads(run("start", *named, "--json").stdout)
    assert started[0][0] == DEFAULT_BASE and status["socket"] == str(supervisor.socket_path(DEFAULT_BASE, "auto"))
    assert len(json.loads(run("status", "--json").stdout)) == 1
    assert run("stop", *named).output.startswith("stopped the engine of ")


# #15
def test_start_goes_by_the_users_own_file_unless_it_is_told(started):
    own = [
        'base = "fake-base"',
        'adapter_set = ""',
        'quantization = "nf4"',
        "engine_idle_s = 30",
        "max_memory_mb = 50000",
    ]
    paths.config_dir().mkdir(parents=True)
    (paths.config_dir() / "config.toml").write_text("\n".join(own))
    assert run("start").exit_code == 0
    told = ["--set", "a", "--quantization", "int8", "--idle-s", "40", "--max-memory-mb", "60000"]
    assert run("start", *told).exit_code == 0
    assert started == [("fake-base", "", "nf4", 30, 50000), ("fake-base", "a", "int8", 40, 60000)]


# #15
def test_limits_count_for_an_engine_that_runs_too(started):
    assert run("start", "--base", "fake-base", "--idle-s", "3600").exit_code == 0
    assert run("start", "--base", "fake-base", "--idle-s", "1").exit_code == 0
    wait_until(lambda: json.loads(run("status", "--json").stdout) == [])


def test_start_fails_with_the_engines_own_reason(path, monkeypatch):
    missing = "the base fake-base is not on this machine; run: spa-lsp models pull fake-base"
    monkeypatch.setattr(supervisor, "engine_command", lambda *_: fake_engine_command(path, load_error=missing))
    result = run("start", "--base", "fake-base")
    assert result.exit_code == 1 and missing in result.output and "Traceback" not in result.output
    run("stop")
