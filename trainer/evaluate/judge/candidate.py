"""A function whose calls a process in the sandbox answers: the trusted end of the line."""

import builtins
import json
import secrets
import subprocess
import time
from collections.abc import Callable
from typing import Any

from trainer.evaluate.sandbox.literals import decode, encode
from trainer.evaluate.sandbox.outcome import OutcomeKind, ended_early
from trainer.evaluate.sandbox.process import READY, end

LOADED = b"loaded\n"
MAX_REPLY_BYTES = 16 << 20
END_S = 1.0  # from its last words to its exit status


class CandidateError(Exception):
    """The candidate raised an exception of its own type, or answered with what cannot be read."""


class Ended(BaseException):
    """The candidate's process has ended, or no call can be made; a test cannot handle that."""


class Candidate:
    """Called like the function that it stands for; arguments that the call changes are changed here too.

    Only text of `literals` crosses. Each call has an id that cannot be guessed: an answer written ahead is none.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", cpu_s: float) -> None:
        assert process.stdin is not None and process.stderr is not None
        self.process, self.inbox, self.protocol = process, process.stdin, process.stderr
        self.cpu_s = cpu_s
        self.started = time.monotonic()
        self.ended: tuple[OutcomeKind, str] | None = None  # how and why, once no call can be made any more

    def load(self, source: bytes, *, on_ready: Callable[[], None]) -> None:
        """Send the module and wait until it has been run; `on_ready` is called when the sandbox stands."""
        self._send(source)
        words = self.protocol.readline(len(READY))
        if words != READY:
            words += self.protocol.read(500)
            self._give_up("sandbox_error", words.decode("utf-8", "replace").strip() or "the sandbox did not start")
        on_ready()
        words = self.protocol.readline(len(LOADED))
        if words != LOADED:
            self._end(words)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """What the candidate returns; what it raises, if that is a built-in exception, otherwise `CandidateError`."""
        call_id = secrets.token_hex(8)
        try:
            text = encode([list(arguments), named], ascii)
        except TypeError as error:  # no fault of the candidate's
            self._give_up("sandbox_error", f"the test passes what cannot cross: {error}")
        self._send(f"{call_id} {text}\n".encode("ascii"))
        reply = self._receive(call_id)
        if "error" in reply:
            name, message = map(str, reply["error"])
            if name == "MemoryError":
                self._give_up("memory", name)
            raise _exception(name, message)
        if reply["after"] is not None:
            _update([list(arguments), named], decode(reply["after"]))
        return decode(reply["result"])

    def _receive(self, call_id: str) -> dict[str, Any]:
        line = self.protocol.readline(MAX_REPLY_BYTES)
        if not line.endswith(b"\n"):
            self._end(line)
        got_id, _, text = line.partition(b" ")
        if got_id != call_id.encode():
            self._give_up("failed", "an answer to another call")
        reply = json.loads(text)
        if not isinstance(reply, dict) or not ("error" in reply or {"result", "after"} <= reply.keys()):
            raise CandidateError("an answer that cannot be read")
        return reply

    def _send(self, content: bytes) -> None:
        try:
            self.inbox.write(content)
            self.inbox.flush()
        except BrokenPipeError:
            pass  # what it has to say about its end is there to be read

    def _end(self, words: bytes) -> None:
        """These were its last words, instead of what was expected."""
        if len(words) >= MAX_REPLY_BYTES:
            self._give_up("killed", "too large a result")
        words += self.protocol.read(500)
        seconds = time.monotonic() - self.started
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            pass  # it lives on and has nothing to say
        end(self.process, is_running=False)
        text = words.decode("utf-8", "replace").strip()[:500]
        self._give_up(*ended_early(self.process.returncode, text, is_cpu_spent=seconds >= self.cpu_s))

    def _give_up(self, kind: OutcomeKind, error: str) -> None:
        self.ended = (kind, error)
        raise Ended()


def _exception(name: str, message: str) -> Exception:
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(message)
        except TypeError:
            pass  # it takes more than a text
    return CandidateError(f"{name}: {message}")


def _update(old: Any, new: Any) -> None:
    """Give containers the content of their changed copies, and keep those inside them that others may hold."""
    if isinstance(old, list) and isinstance(new, list):
        old[:] = [_updated(*pair) for pair in zip(old, new, strict=False)] + new[len(old) :]
    elif isinstance(old, dict) and isinstance(new, dict):
        content = {key: _updated(old.get(key), value) for key, value in new.items()}
        old.clear()
        old.update(content)
    elif isinstance(old, set) and isinstance(new, set):
        old.clear()
        old.update(new)
    elif isinstance(old, bytearray) and isinstance(new, bytearray):
        old[:] = new


def _updated(old: Any, new: Any) -> Any:
    """What stands in the place of `old` now."""
    if type(old) is type(new) and isinstance(old, list | dict | set | bytearray):
        _update(old, new)
        return old
    if type(old) is tuple and type(new) is tuple and len(old) == len(new):
        return tuple(_updated(*pair) for pair in zip(old, new, strict=True))
    return new
