"""A real llama-server with the default base and two adapters, for the tests of it and for the load of many editors."""

import importlib.util
import json
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from click.testing import CliRunner

from spa_lsp import paths
from spa_lsp.adapters import selection, writing
from spa_lsp.adapters.finding import find_set
from spa_lsp.adapters.reading import read_adapter
from spa_lsp.bases.catalog import DEFAULT_BASE, find_base, source_path
from spa_lsp.cli import main
from spa_lsp.errors import Unavailable

SHIPPED = "oss-python"


@dataclass(frozen=True, kw_only=True)
class RealServer:
    """One that runs; what it says of itself."""

    url: str
    pid: int

    def slots(self):
        return json.loads(self._read("/slots"))

    def n_busy(self):
        """How many of its slots work on a request."""
        return sum(slot["is_processing"] for slot in self.slots())

    def metrics(self):
        """Its counters and gauges by name, without their common beginning."""
        lines = [line.split() for line in self._read("/metrics").decode().splitlines() if not line.startswith("#")]
        return {name.removeprefix("llamacpp:"): float(value) for name, value in lines}

    def resident_mb(self):
        return psutil.Process(self.pid).memory_info().rss / 1e6

    def _read(self, path):
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return answer.read()


def why_not():
    """Why it cannot be started here; empty: it can."""
    if importlib.util.find_spec("xllamacpp") is None:
        return "needs xllamacpp: pip install 'spa-lsp[bench]'"
    gguf = source_path(find_base(DEFAULT_BASE))
    return "" if gguf.exists() else f"{gguf} was not kept; run: spa-lsp models pull --force"


def make_set(activation="all"):
    """Two of the shipped adapters, in use as if they had been trained for all of the prompt: that they act counts."""
    shipped = find_set(SHIPPED, DEFAULT_BASE)
    two = shipped.adapters[:2]
    made = replace(shipped, name="two", adapters=two, activation=activation, lead="", folder=None)
    adapters = {info.name: read_adapter(shipped, info.name) for info in two}
    found = writing.write_set(paths.user_sets_dir() / DEFAULT_BASE / made.name, made, adapters)
    selection.select_set(found)
    return found


def export(made, folder):
    """The files of a set's adapters as the server reads them, written by the command of the page."""
    result = CliRunner().invoke(main, ["adapters", "export", made.name, str(folder), "--llama"])
    assert result.exit_code == 0, result.output
    return sorted(map(str, folder.glob("*.gguf")))


@contextmanager
def serving(loras, *, n_rows=4, n_threads=1):
    """A server of its own process, at a free port, with this many slots; one thread is enough and never waits."""
    program = Path(__file__).parent / "llama_server.py"
    gguf = source_path(find_base(DEFAULT_BASE))
    command = [sys.executable, str(program), str(gguf), str(n_rows), str(n_threads), *loras]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            if not url:
                raise Unavailable(f"llama-server ended with {process.wait()} before it listened")
            yield RealServer(url=url, pid=process.pid)
        finally:
            process.kill()
