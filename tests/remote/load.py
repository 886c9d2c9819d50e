"""Many editors at one real llama-server: `python -m tests.remote.load --editors 30 --minutes 5`.

Each editor is a language server process of its own, with settings that name the server, and somebody who types the
demo's functions into it as VS Code would ask. Server and editors share this machine. One JSON document goes to standard
output. It measures; nothing here has a goal.
"""

import json
import math
import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import mean

import click
import psutil

from spa_lsp import paths
from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.bench.front_client import FrontClient, initialize_parameters
from spa_lsp.bench.machine import describe_machine, describe_versions
from spa_lsp.bench.typing_trace import make_trace
from spa_lsp.bench.typist import RealClock, Seen, Typist
from spa_lsp.outcomes.metrics import percentile
from spa_lsp.text.marked_text import bundled_texts
from tests.remote.real_server import export, make_set, serving, why_not

ANSWER_S = 120.0  # thirty that start at once on two cores
QUIET_S = 60.0  # until the server must have nothing to do any more
READ_S = 5.0


class CountingClient(FrontClient):
    """Counts what is asked, and the answers to each."""

    def __init__(self):
        self.n_asked, self.n_answers = 0, {}
        super().__init__()

    def ask(self, method, parameters):
        self.n_asked += 1
        return super().ask(method, parameters)

    def _take(self, message):
        if "id" in message and "method" not in message:
            self.n_answers[message["id"]] = self.n_answers.get(message["id"], 0) + 1
        super()._take(message)


class Editor:
    """One window, and who types in it until a moment."""

    def __init__(self, number):
        self.number, self.seen, self.client = number, Seen(), CountingClient()

    def open(self):
        settings = {"base": DEFAULT_BASE, "recordOutcomes": False, "learnedOrder": False}
        self.client.call("initialize", initialize_parameters(settings, client_name="Visual Studio Code"), ANSWER_S)
        self.client.notify("initialized", {})
        self.client.wait_until_ready(ANSWER_S)

    def type_until(self, end_s):
        for trace in self._traces():
            typist = Typist(self.client, trace, self.seen, way="vscode", clock=RealClock())
            for step in trace.steps:
                if time.monotonic() > end_s:
                    return typist.close()
                typist.do(step)
            typist.close()

    def await_answers(self):
        """Return when everything was answered, cancelled or not."""
        end_s = time.monotonic() + QUIET_S
        while len(self.client.n_answers) < self.client.n_asked and time.monotonic() < end_s:
            time.sleep(0.1)

    def resident_mb(self):
        return psutil.Process(self.client.pid).memory_info().rss / 1e6

    def _traces(self):
        """Without an end; no two editors share a text, so no two share what the server has read."""
        texts = bundled_texts()
        for n in range(self.number, sys.maxsize):
            text = texts[n % len(texts)]
            whole = f"# editor {self.number}\n{text.prefix}{text.suffix}"
            yield make_trace(text.name, whole, language=text.language, seed=n)


class Watch:
    """Reads how the server and its editors are every few seconds, in a thread."""

    def __init__(self, server, editors):
        self.server, self.editors, self.readings = server, editors, []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()

    def _run(self):
        while not self._is_over.wait(READ_S):
            metrics = self.server.metrics()
            reading = {
                "busy": metrics["requests_processing"],
                "waiting": metrics["requests_deferred"],
                "server_mb": self.server.resident_mb(),
                "editor_mb": mean(editor.resident_mb() for editor in self.editors),
            }
            self.readings.append(reading)

    def to_json(self):
        """Means over the first, the middle and the last fifth: what grows shows."""
        n = max(1, len(self.readings) // 5)
        middle = (len(self.readings) - n) // 2
        fifths = {"first": self.readings[:n], "middle": self.readings[middle : middle + n], "last": self.readings[-n:]}
        return {
            name: {key: round(mean(reading[key] for reading in readings), 1) for key in readings[0]}
            for name, readings in fifths.items()
            if readings
        }


def measure(*, n_editors, minutes, n_rows, n_threads, deadline_s="auto"):
    """All that came of it, as plain data."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="spa-load-")))
        os.environ |= {"SPA_HOME": str(home / "data"), "SPA_CONFIG": str(home / "config")}
        server = stack.enter_context(serving(export(make_set(), home / "export"), n_rows=n_rows, n_threads=n_threads))
        paths.config_dir().mkdir(parents=True)
        own = {"engine": server.url, "deadlineS": deadline_s}
        lines = (f"{name} = {json.dumps(value)}\n" for name, value in own.items())
        (paths.config_dir() / "config.toml").write_text("".join(lines))
        editors = []
        for number in range(n_editors):
            editors.append(Editor(number))
            stack.callback(editors[-1].client.close)
        pool = stack.enter_context(ThreadPoolExecutor(n_editors))
        list(pool.map(Editor.open, editors))
        before, began_s = server.metrics(), time.monotonic()
        end_s = began_s + minutes * 60
        with Watch(server, editors) as watch:
            list(pool.map(lambda editor: editor.type_until(end_s), editors))
        typed_s = time.monotonic() - began_s
        list(pool.map(Editor.await_answers, editors))
        idle_s = idle_after(server)
        after = server.metrics()
        return {
            "machine": describe_machine(),
            "versions": describe_versions(),
            "editors": n_editors,
            "typed_s": round(typed_s, 1),
            "slots": n_rows,
            "server_threads": n_threads,
            "deadline_s": deadline_s,
            "requests": count_answers([editor.client for editor in editors]),
            "seen": summarize([editor.seen for editor in editors]),
            "server": {
                "tokens_read": after["prompt_tokens_total"] - before["prompt_tokens_total"],
                "tokens_written": after["tokens_predicted_total"] - before["tokens_predicted_total"],
                "idle_s_after_the_last_key": idle_s,
            },
            "memory_and_queue": watch.to_json(),
        }


def count_answers(clients):
    counts = [n for client in clients for n in client.n_answers.values()]
    return {
        "asked": sum(client.n_asked for client in clients),
        "answered": len(counts),
        "answered_more_than_once": sum(n > 1 for n in counts),
    }


def idle_after(server):
    """Seconds until no slot works and nothing waits; None: not in time."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < QUIET_S:
        if server.n_busy() == 0 and server.metrics()["requests_deferred"] == 0:
            return round(time.monotonic() - began_s, 1)
        time.sleep(0.1)
    return None


def summarize(seen):
    """What all of those who type saw."""
    first, pause_first, pause_all = (
        sorted(ms for each in seen for ms in getattr(each, name))
        for name in ("first_ms", "pause_first_ms", "pause_all_ms")
    )
    n_keys = sum(each.n_asked for each in seen)
    return {
        "keys": n_keys,
        "share_shown_before_the_next_key": round(len(first) / max(1, n_keys), 3),
        "first_ms": to_percentiles(first),
        "pauses": len(pause_first),
        "pauses_without_any": sum(map(math.isinf, pause_first)),
        "first_after_a_pause_ms": to_percentiles(pause_first),
        "all_after_a_pause_ms": to_percentiles(pause_all),
    }


def to_percentiles(ordered):
    """None where that many saw nothing."""
    found = {f"p{percent}": percentile(ordered, percent) for percent in (50, 95)}
    return {name: None if ms is None or math.isinf(ms) else ms for name, ms in found.items()}


@click.command()
@click.option("--editors", "n_editors", default=30, show_default=True, help="How many type at once.")
@click.option("--minutes", default=20.0, show_default=True, help="For how long.")
@click.option("--rows", "n_rows", default=4, show_default=True, help="Slots of the server.")
@click.option("--threads", "n_threads", default=1, show_default=True, help="Of the server.")
@click.option("--deadline", "deadline_s", type=float, default=None, help="The setting deadlineS.  [default: auto]")
def main(n_editors, minutes, n_rows, n_threads, deadline_s):
    """Let editors type against one llama-server of this machine, and print what came of it as JSON."""
    if reason := why_not():
        raise click.ClickException(reason)
    server = {"n_rows": n_rows, "n_threads": n_threads}
    found = measure(n_editors=n_editors, minutes=minutes, **server, deadline_s=deadline_s or "auto")
    click.echo(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
