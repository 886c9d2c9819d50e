"""The language server with a server elsewhere in place of the engine: who may set it, and what is said of it."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import textwrap

import pytest
from click.testing import CliRunner

from spa_lsp import offline, paths
from spa_lsp.adapters.row_plan import ONE_MODEL_ROWS
from spa_lsp.cli import main
from spa_lsp.cli._own_checks import check_server
from spa_lsp.remote.engine import RemoteEngine
from spa_lsp.settings.files import read_layers, read_settings
from spa_lsp.settings.schema import OWN_FILE_KEYS, Layer, Settings, resolve, to_camel_case
from tests.conftest import TINY_ID
from tests.remote.fake_server import holds, serving
from tests.server.conftest import eventually
from tests.server.front import Front

pytestmark = pytest.mark.remote

OTHER = "file:///b.py"
VALUES = {"engine": "http://127.0.0.1:1", "engine_key": "SPA_KEY", "engine_fallback": True, "allow_insecure": True}


def to_toml(**values):
    return "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items())


def set_own(**values):
    paths.config_dir().mkdir(parents=True, exist_ok=True)
    (paths.config_dir() / "config.toml").write_text(to_toml(**values))


@pytest.fixture
async def front(catalog):
    """A front whose settings name a fake server; both come back."""
    async with serving() as fake:
        set_own(engine=fake.url, adapter_set="")
        front = Front()
        await front.initialize(settings={"base": TINY_ID})
        yield front, fake
        front.server.link.close()


async def test_alternatives_come_from_the_server(front):
    front, fake = front
    front.open("def add(a, b):\n")
    assert "    return a + b" in [text.rstrip() for text in await front.texts(1, 0)]
    assert len(fake.asked) == ONE_MODEL_ROWS


async def test_the_status_says_where_text_goes(front):
    front, fake = front
    front.open("def add(a, b):\n")
    await front.texts(1, 0)
    assert front.statuses[-1]["sends_to"] == f"127.0.0.1:{fake.port}"


async def test_without_such_a_setting_text_goes_nowhere(catalog):
    front = Front()
    await front.initialize()
    front.server.status.tell()
    assert front.statuses[-1]["sends_to"] == ""
    front.server.link.close()


async def test_a_server_that_fails_is_told_of_once(front):
    front, fake = front
    fake.status = 500
    front.open("def add(a, b):\n")
    for _ in range(2):
        assert await front.texts(1, 0) == []
        front.server.link._asked_again_at = 0.0
    assert len([each for each in front.messages if "failed (500" in each]) == 1
    assert front.statuses[-1]["state"] == "error"


# issue 16
async def test_another_server_answers_at_once_and_the_old_one_is_left(front):
    front, old = front
    holds(old)
    front.open("def add(a, b):\n")
    front.open("def add(a, b):\n", uri=OTHER)
    waiting = front.ask_items(1, 0)
    await eventually(lambda: len(old.asked) == 1)
    async with serving(pieces=("    return new\n", "\n")) as new:
        set_own(engine=new.url, adapter_set="")
        assert {text.strip() for text in await front.texts(1, 0, uri=OTHER)} == {"return new"}
        assert (await waiting)["result"]["items"] == []
        await eventually(lambda: old.n_left == 1)
        assert {text.strip() for text in await front.texts(1, 0)} == {"return new"}
        assert front.statuses[-1]["sends_to"] == f"127.0.0.1:{new.port}"
    assert (front.messages, len(old.asked)) == ([], 1)


# issue 16
async def test_the_engine_here_takes_the_place_of_a_server_at_once(front):
    front, old = front
    holds(old)
    front.open("def add(a, b):\n")
    front.open("def add(a, b):\n", uri=OTHER)
    waiting = front.ask_items(1, 0)
    await eventually(lambda: len(old.asked) == 1)
    set_own(engine="local", adapter_set="")
    assert await front.texts(1, 0, uri=OTHER) == []  # it starts
    assert (await waiting)["result"]["items"] == [] and front.statuses[-1]["sends_to"] == ""
    await eventually(lambda: old.n_left == 1)
    assert [each for each in front.messages if "127.0.0.1" in each] == [] and len(old.asked) == 1


@pytest.mark.parametrize("name", sorted(OWN_FILE_KEYS))
def test_a_workspace_cannot_set_where_text_goes(name, tmp_path):
    (tmp_path / ".spa-lsp.toml").write_text(to_toml(**{name: VALUES[name]}))
    found = read_settings(tmp_path)
    assert found.sources[name] == "default"
    assert [each for each in found.complaints if "only be set in your own file" in each]


@pytest.mark.parametrize("name", sorted(OWN_FILE_KEYS))
def test_nor_can_an_editor_whose_settings_a_workspace_may_have_written(name):
    found = resolve([Layer(source="client", values={to_camel_case(name): VALUES[name]})])
    assert found.sources[name] == "default" and "only be set in your own file" in found.complaints[0]


def test_the_own_file_can():
    set_own(**VALUES)
    found = read_settings(None)
    assert {name: getattr(found.settings, name) for name in VALUES} == VALUES and found.complaints == ()


@pytest.mark.parametrize(
    "value", ["sk-zq-secret", "http://me:zq-secret@host", "ftp://zq-secret", "http://h:1?k=zq-secret"]
)
def test_what_may_be_a_secret_is_not_repeated(value):
    set_own(engine=value, engine_key=value)
    assert len(complaints := read_settings(None).complaints) == 2
    assert [each for each in complaints if "zq" in each] == []


# issue 16
def test_what_may_be_a_secret_is_not_repeated_where_another_one_is_refused():
    set_own(engine_key="AKIAZQSECRET7")
    client = Layer(source="client", values={"engineKey": "SPA_KEY"})
    (complaint,) = resolve([*read_layers(None)[0], client]).complaints
    assert "only be set in your own file" in complaint and "SECRET" not in complaint


async def test_a_command_asks_the_server_and_says_so(catalog, tmp_path):
    (tmp_path / "a.py").write_text("def add(a, b):\n\n")
    async with serving() as fake:
        command = ["complete", f"{tmp_path / 'a.py'}:2:1", "--base", TINY_ID, "--set", "", "--engine", fake.url]
        result = await asyncio.to_thread(CliRunner().invoke, main, command)
    assert result.exit_code == 0, result.output
    assert "return a + b" in result.stdout and f"text goes to 127.0.0.1:{fake.port}" in result.stderr


# #15
async def test_a_command_leaves_out_the_set_as_the_own_settings_do(install, tmp_path):
    install(activation="completion")  # which no server can serve
    (tmp_path / "a.py").write_text("def add(a, b):\n\n")
    async with serving() as fake:
        set_own(engine=fake.url, adapter_set="", base=TINY_ID)
        result = await asyncio.to_thread(CliRunner().invoke, main, ["complete", f"{tmp_path / 'a.py'}:2:1"])
    assert result.exit_code == 0 and "return a + b" in result.stdout, result.output


async def complete_by(url, tmp_path):
    (tmp_path / "a.py").write_text("def add(a, b):\n\n")
    command = ["complete", f"{tmp_path / 'a.py'}:2:1", "--base", TINY_ID, "--set", "", "--engine", url]
    result = await asyncio.to_thread(CliRunner().invoke, main, command)
    assert result.exit_code == 0, result.output


# issue 16
@pytest.mark.parametrize("own", ["http://127.0.0.1:1", "https://127.0.0.1:{port}", "http://localhost:{port}", "local"])
async def test_the_key_is_not_sent_to_another_server_than_the_own_one(catalog, tmp_path, monkeypatch, own):
    monkeypatch.setenv("SPA_KEY", "zq-key")
    async with serving() as fake:
        set_own(engine=own.format(port=fake.port), engine_key="SPA_KEY")
        await complete_by(fake.url, tmp_path)
    assert fake.asked and fake.keys == {None}


# issue 16
async def test_the_key_is_sent_to_the_own_server_however_it_is_named(catalog, tmp_path, monkeypatch):
    monkeypatch.setenv("SPA_KEY", "zq-key")
    async with serving(key="zq-key") as fake:
        set_own(engine=fake.url, engine_key="SPA_KEY")
        await complete_by(f"{fake.url}/v1", tmp_path)
    assert fake.asked


def test_the_doctor_says_that_text_stays_here():
    assert "text stays on this machine" in check_server().text


async def test_the_doctor_asks_the_server_without_text(catalog):
    async with serving() as fake:
        set_own(engine=fake.url, adapter_set="", base=TINY_ID)
        found = await asyncio.to_thread(check_server)
    assert found.text == f"text goes to {fake.url}, where the base alone answers" and fake.asked == []


async def test_the_guard_is_told_the_addresses_of_a_name(catalog, monkeypatch):
    def look_up(host, port, *_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with serving() as fake:
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        engine = RemoteEngine(Settings(base=TINY_ID, engine=f"http://gpu-box:{fake.port}", allow_insecure=True))
        await engine.check()
        await engine.close()
    assert offline._excepted == {("gpu-box", fake.port), ("127.0.0.1", fake.port)}
    offline.let_nothing_through()


GUARDED = """
    import socket
    from spa_lsp.offline import forbid_network, let_nothing_through, let_through
    forbid_network()
    def is_refused(host, port):
        with socket.socket() as sock:
            sock.setblocking(False)
            try:
                sock.connect((host, port))
            except PermissionError:
                return True
            except OSError:
                return False
    assert is_refused("192.0.2.1", 8000)
    let_through("gpu-box", 8000, ["192.0.2.1"])
    assert not is_refused("192.0.2.1", 8000)
    assert is_refused("192.0.2.1", 8001) and is_refused("192.0.2.2", 8000)
    for name, port in (("elsewhere", 8000), ("gpu-box", 8001)):
        try:
            socket.getaddrinfo(name, port)
        except PermissionError:
            continue
        raise AssertionError(name)
    let_through("gpu-box", 8000, ["192.0.2.2"])
    assert is_refused("192.0.2.1", 8000)
    let_nothing_through()
    assert is_refused("192.0.2.2", 8000)
"""


def test_the_guard_lets_one_host_and_port_through():
    subprocess.run([sys.executable, "-c", textwrap.dedent(GUARDED)], check=True, env=os.environ)
