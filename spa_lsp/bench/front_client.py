"""A language client of one front process that can wait for an answer and give up."""

import itertools
import json
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from spa_lsp.child import own_python
from spa_lsp.errors import Unavailable
from spa_lsp.server.stdio import WireError, read_message

FRONT = tuple(own_python("-m", "spa_lsp", "--stdio"))
_EXIT_S = 5.0


class FrontClient:
    """One front process; a thread reads what it says."""

    def __init__(self, command: Sequence[str] = FRONT) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        self._ids = itertools.count(1)
        self._replies: dict[int, dict[str, Any]] = {}
        self._status: dict[str, Any] = {}
        self._is_over = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="front-reader", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def notify(self, method: str, parameters: Any) -> None:
        """Say something that has no answer.

        Raises:
            Unavailable: the front has ended.
        """
        self._send({"method": method, "params": parameters})

    def ask(self, method: str, parameters: Any) -> int:
        """Send a request; its number comes back.

        Raises:
            Unavailable: the front has ended.
        """
        call_id = next(self._ids)
        self._send({"id": call_id, "method": method, "params": parameters})
        return call_id

    def wait(self, call_id: int, timeout_s: float) -> dict[str, Any] | None:
        """The answer to a request; None when it does not come in this time.

        Raises:
            Unavailable: the front has ended.
        """
        self._wait_for(lambda: call_id in self._replies, timeout_s)
        return self._replies.pop(call_id, None)

    def call(self, method: str, parameters: Any, timeout_s: float) -> Any:
        """The result of a request.

        Raises:
            Unavailable: there is none in this time.
        """
        reply = self.wait(self.ask(method, parameters), timeout_s)
        if reply is None or "error" in reply:
            raise Unavailable(f"the language server has no answer to {method}; see: spa-lsp doctor")
        return reply["result"]

    def wait_until_ready(self, timeout_s: float) -> None:
        """Return when the front says that its engine has loaded.

        Raises:
            Unavailable: it does not in this time.
        """
        if not self._wait_for(lambda: self._status.get("state") == "ready", timeout_s):
            message = self._status.get("message") or "no word of its engine"
            raise Unavailable(f"the language server is not ready: {message}; see: spa-lsp doctor")

    def close(self) -> None:
        """End the front, politely if it listens."""
        with suppress(Unavailable, subprocess.TimeoutExpired):
            self.wait(self.ask("shutdown", None), _EXIT_S)
            self.notify("exit", None)
            self._process.wait(_EXIT_S)
        self._process.kill()
        self._process.wait()
        self._thread.join(_EXIT_S)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(OSError):
                stream.close()

    def _wait_for(self, is_true: Callable[[], bool], timeout_s: float) -> bool:
        with self._news:
            self._news.wait_for(lambda: is_true() or self._is_over, timeout_s)
            if not is_true() and self._is_over:
                raise Unavailable("the language server ended early; see: spa-lsp doctor")
            return is_true()

    def _send(self, message: dict[str, Any]) -> None:
        message = {name: value for name, value in message.items() if value is not None}
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            self._process.stdin.flush()
        except OSError as error:
            raise Unavailable("the language server ended early; see: spa-lsp doctor") from error

    def _read(self) -> None:
        assert self._process.stdout is not None
        with suppress(WireError, OSError):
            while (body := read_message(self._process.stdout)) is not None:
                self._take(json.loads(body))
        with self._news:
            self._is_over = True
            self._news.notify_all()

    def _take(self, message: dict[str, Any]) -> None:
        with self._news:
            if message.get("method") == "spa-lsp/status":
                self._status = message["params"]
            elif "id" in message and "method" not in message:
                self._replies[message["id"]] = message
            self._news.notify_all()


def initialize_parameters(settings: dict[str, Any], *, client_name: str = "spa-lsp bench") -> dict[str, Any]:
    """Of an editor of this name that knows inline completion and little else."""
    return {
        "processId": None,
        "rootUri": None,
        "clientInfo": {"name": client_name},
        "capabilities": {"textDocument": {"inlineCompletion": {}}},
        "initializationOptions": settings,
    }
