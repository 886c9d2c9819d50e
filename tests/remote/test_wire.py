"""The front in a network of one cable, under strace: it reaches the server that is set and tries nothing else."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spa_lsp import paths
from tests.conftest import TINY_ID
from tests.server.lsp_client import LspClient

pytestmark = pytest.mark.remote

ROOT = Path(__file__).parent.parent.parent
HERE, SERVER = "10.99.0.1", "10.99.0.2"
PORT = 8000


@pytest.fixture
def cable():
    """The ids of two processes, each in a network of its own; a cable joins the two."""
    for program in ("unshare", "nsenter", "ip", "strace"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    sleepers = [subprocess.Popen(["unshare", "-n", "sleep", "600"]) for _ in range(2)]
    here, there = (sleeper.pid for sleeper in sleepers)
    own = subprocess.run(["readlink", "/proc/self/ns/net"], capture_output=True).stdout
    for pid in (here, there):
        wait_for(lambda pid=pid: subprocess.run(["readlink", f"/proc/{pid}/ns/net"], capture_output=True).stdout != own)
    lines = [
        f"nsenter -t {here} -n ip link add v0 type veth peer name v1",
        f"nsenter -t {here} -n ip link set v1 netns {there}",
        *(f"nsenter -t {pid} -n ip addr add {ip}/24 dev {name}" for pid, ip, name in ends(here, there)),
        *(f"nsenter -t {pid} -n ip link set {name} up" for pid, _, name in ends(here, there)),
    ]
    try:
        for line in lines:
            if subprocess.run(line.split(), capture_output=True).returncode:
                pytest.skip("this user may not lay cables")
        yield here, there
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()


def ends(here, there):
    return (here, HERE, "v0"), (there, SERVER, "v1")


def wait_for(is_true):
    while not is_true():
        time.sleep(0.01)


def in_network(pid, *command):
    return ["nsenter", "-t", str(pid), "-n", "--wd=" + str(ROOT), *map(str, command)]


def test_only_the_server_that_is_set_is_connected_to(cable, catalog, tmp_path):
    here, there = cable
    set_own({"engine": f"http://{SERVER}:{PORT}", "allow_insecure": True, "adapter_set": "", "base": TINY_ID})
    fake = in_network(there, sys.executable, "-m", "tests.remote.fake_server", SERVER, PORT)
    trace = tmp_path / "trace"
    front = in_network(here, "strace", "-f", "-qq", "-o", trace, "-e", "trace=network", *FRONT)
    with subprocess.Popen(fake, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout.readline() == "listening\n"
        client = LspClient(front)
        try:
            client.initialize()
            client.open("def add(a, b):\n")
            assert client.items_once_loaded(1, 0)
        finally:
            client.kill()
            server.kill()
    calls = re.findall(r"(\w+)\(\d+, .*?AF_INET6?, sin6?_port=htons\((\d+)\).*?\"([^\"]+)\"", trace.read_text())
    assert {call for call in calls if call[0] in ("connect", "bind", "sendto", "sendmsg")} == {
        ("connect", str(PORT), SERVER)
    }


FRONT = (sys.executable, "-m", "spa_lsp", "--stdio")


def set_own(values):
    paths.config_dir().mkdir(parents=True, exist_ok=True)
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    (paths.config_dir() / "config.toml").write_text("\n".join(lines))
