"""A plain language client over pipes: sends what it is told, byte by byte if need be, and keeps all that comes back."""

import itertools
import json
import re
import subprocess
import sys
import threading
import time

from tests.fakes import PATIENCE_S

CAPABILITIES = {"textDocument": {"inlineCompletion": {}}}


class LspClient:
    """One server process and what it said: `notifications`, and the answers by id."""

    def __init__(self, command):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen(command, **pipes)
        self.patience_s = PATIENCE_S
        self.notifications = []  # but for the status
        self.statuses = []
        self.refusals = []  # errors that answer no known request
        self.repeated = []  # answers to what was answered already
        self.stray = b""  # what came on stdout and was no message
        self.log = b""
        self._ids = itertools.count(1)
        self._answers = {}
        self._arrived = threading.Condition()
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read, self._read_log)]
        for reader in self._readers:
            reader.start()

    def send(self, message):
        self.send_bytes(frame(message))

    def send_bytes(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def notify(self, method, params):
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def ask(self, method, params):
        """Send a request; its id comes back."""
        call_id = next(self._ids)
        self.send({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params})
        return call_id

    def answer(self, call_id, timeout_s=None):
        """The whole answer to a request, `result` or `error`."""
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: call_id in self._answers, timeout_s or self.patience_s)
            assert arrived, f"no answer to {call_id}; the log: {self.log.decode()}"
            return self._answers[call_id]

    def is_answered(self, call_id):
        with self._arrived:
            return call_id in self._answers

    def call(self, method, params, timeout_s=None):
        """The result of a request."""
        answer = self.answer(self.ask(method, params), timeout_s)
        assert "error" not in answer, answer
        return answer["result"]

    def wait_for_notification(self, method, timeout_s=PATIENCE_S):
        def find():
            return next((params for name, params in self.notifications if name == method), None)

        with self._arrived:
            assert self._arrived.wait_for(lambda: find() is not None, timeout_s), self.log.decode()
            return find()

    def initialize(self, *, settings=None, capabilities=CAPABILITIES, process_id=None):
        result = self.call(
            "initialize",
            {
                "processId": process_id,
                "rootUri": None,
                "capabilities": capabilities,
                "initializationOptions": settings,
            },
        )
        self.notify("initialized", {})
        return result

    def open(self, text, *, uri="file:///a.py", language="python", version=1):
        document = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, changes, *, uri="file:///a.py", version):
        document = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    def ask_items(self, line, character, *, uri="file:///a.py", **context):
        position = {"line": line, "character": character}
        params = {"textDocument": {"uri": uri}, "position": position, "context": {"triggerKind": 2, **context}}
        return self.ask("textDocument/inlineCompletion", params)

    def items(self, line, character, **options):
        """The items at a position."""
        answer = self.answer(self.ask_items(line, character, **options))
        assert "error" not in answer, answer
        return answer["result"]["items"]

    def items_once_loaded(self, line, character, *, timeout_s=PATIENCE_S, **options):
        """The items at a position, asked for until the engine has any."""
        end = time.monotonic() + timeout_s
        while not (items := self.items(line, character, **options)):
            assert time.monotonic() < end, f"no items in time; the log: {self.log.decode()}"
            time.sleep(0.05)
        return items

    def exit(self, timeout_s=PATIENCE_S):
        """Shut down as the specification says; the exit status."""
        self.call("shutdown", None)
        self.notify("exit", None)
        return self.process.wait(timeout_s)

    def kill(self):
        self.end()
        assert self.repeated == []

    def end(self):
        """As `kill`, of a server that may have answered twice."""
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join(PATIENCE_S)  # or it would read the next process's pipe, under the same number
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    def _read(self):
        stream = self.process.stdout
        while line := stream.readline():
            match = re.fullmatch(rb"Content-Length: (\d+)\r\n", line)
            if not match:
                self.stray += line
                continue
            while stream.readline() != b"\r\n":
                pass
            self._take(json.loads(stream.read(int(match[1]))))

    def _take(self, message):
        with self._arrived:
            if message.get("method") == "spa-lsp/status":
                self.statuses.append(message["params"])
            elif "method" in message:
                self.notifications.append((message["method"], message.get("params")))
            elif message["id"] is None:
                self.refusals.append(message)
            elif message["id"] in self._answers:
                self.repeated.append(message)
            else:
                self._answers[message["id"]] = message
            self._arrived.notify_all()

    def _read_log(self):
        while data := self.process.stderr.read1():
            self.log += data


def frame(message):
    body = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def server_command(engine_command=None, *, before=""):
    """A server process that starts this engine; `before` is code that runs in it first."""
    code = f"{before}\nfrom spa_lsp.cli._serve import serve_stdio\nserve_stdio({engine_command!r})"
    return [sys.executable, "-c", code]
