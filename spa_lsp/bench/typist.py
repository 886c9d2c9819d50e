"""Somebody who types a trace into a language server, looks at what is offered, and notes when it came."""

import math
import time
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from spa_lsp.bench.typing_trace import Step, Trace
from spa_lsp.errors import Unavailable

# vscode: every key asks for the first alternatives and then, when they are there, for all. eager: every key asks once
# and all are awaited, as other clients do.
Way = Literal["vscode", "eager"]
WAYS: tuple[Way, ...] = ("vscode", "eager")
PATIENCE_S = 15.0  # of one who has stopped to think, until all alternatives are there

_INLINE = "textDocument/inlineCompletion"
_INVOKED, _AUTOMATIC = 1, 2


class Clock(Protocol):
    """What time it is, and waiting; a fake stands here in tests."""

    def now(self) -> float:
        """Seconds since some moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after so long."""
        ...


class RealClock:
    """The machine's own."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        """Return after so long."""
        time.sleep(seconds)


class Client(Protocol):
    """A connection to a language server, as `FrontClient`."""

    def notify(self, method: str, parameters: Any) -> None:
        """Say something that has no answer."""

    def ask(self, method: str, parameters: Any) -> int:
        """Send a request; its number comes back."""
        ...

    def wait(self, call_id: int, timeout_s: float) -> dict[str, Any] | None:
        """Its answer, or None after this time."""
        ...


@dataclass(kw_only=True)
class Seen:
    """What one who types saw; times count from the key to what is shown, in milliseconds."""

    n_asked: int = 0  # keys, slips and accepts: each asks
    n_overtaken: int = 0  # whose answer had not come when the next key did
    n_accepted: int = 0
    first_ms: list[float] = field(default_factory=list)  # of what was shown before the next key
    all_ms: list[float] = field(default_factory=list)
    n_items: list[int] = field(default_factory=list)  # of the answers with all
    pause_first_ms: list[float] = field(default_factory=list)  # of every pause; infinite: nothing came
    pause_all_ms: list[float] = field(default_factory=list)


class Typist:
    """One document, and the cursor of the one who types in it.

    Behind a step that is a pause nothing is typed until all alternatives are there, for `PATIENCE_S` at most: so the
    times of all pauses are known, also where they are longer than the trace's own.
    """

    def __init__(self, client: Client, trace: Trace, seen: Seen, *, way: Way, clock: Clock) -> None:
        self._client = client
        self._seen = seen
        self._way = way
        self._clock = clock
        self._uri = f"file:///bench/{trace.name}"
        self._before = trace.before
        self._version = 1
        self._shown: list[dict[str, Any]] = []  # items on the screen
        text = trace.before + trace.after
        document = {"uri": self._uri, "languageId": trace.language, "version": 1, "text": text}
        client.notify("textDocument/didOpen", {"textDocument": document})

    def do(self, step: Step, *, pace: float = 1.0) -> None:
        """One step, and look at what comes of it until the pause is over."""
        pause_s = step.pause_s * pace
        if step.kind == "accept":
            self._accept(pause_s)
            return
        self._edit(typed=step.text, n_erased=int(step.kind == "erase"))
        self._look(self._clock.now(), pause_s, is_pause=step.is_pause)

    def close(self) -> None:
        """Leave the document."""
        self._client.notify("textDocument/didClose", {"textDocument": {"uri": self._uri}})

    def _accept(self, pause_s: float) -> None:
        if not self._shown:
            self._clock.sleep(pause_s)
            return
        item = self._shown[0]
        began_s = self._clock.now()
        self._edit(typed=item["insertText"])
        command = {name: item["command"][name] for name in ("command", "arguments")}
        self._client.ask("workspace/executeCommand", command)
        self._seen.n_accepted += 1
        self._look(began_s, pause_s, is_pause=False)
        self._edit(n_erased=len(item["insertText"]))  # back to where it was; nothing is asked for that

    def _edit(self, *, typed: str = "", n_erased: int = 0) -> None:
        start = len(self._before) - n_erased
        change = {"range": {"start": self._position(start), "end": self._position(len(self._before))}, "text": typed}
        self._version += 1
        document = {"uri": self._uri, "version": self._version}
        self._client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
        self._before = self._before[:start] + typed
        self._shown = []

    def _look(self, began_s: float, pause_s: float, *, is_pause: bool) -> None:
        """Ask as the editor does, as far as the pause allows, and note when what was shown."""
        self._seen.n_asked += 1
        end_s = began_s + pause_s
        until_s = max(end_s, began_s + PATIENCE_S) if is_pause else end_s
        first_s, all_s = self._ask_all(until_s)
        if first_s is None or first_s > end_s:
            self._seen.n_overtaken += 1
        elif self._shown:
            self._seen.first_ms.append((first_s - began_s) * 1000)
        if all_s is not None and all_s <= end_s and self._shown:
            self._seen.all_ms.append((all_s - began_s) * 1000)
            self._seen.n_items.append(len(self._shown))
        if is_pause:
            self._seen.pause_first_ms.append(_since(began_s, first_s if self._shown else None))
            self._seen.pause_all_ms.append(_since(began_s, all_s if self._shown else None))
        self._clock.sleep(max(0.0, end_s - self._clock.now()))

    def _ask_all(self, until_s: float) -> tuple[float | None, float | None]:
        """When the first answer came and when that with all; what is shown is what came last."""
        items = self._ask(_AUTOMATIC, until_s)
        if items is None:
            return None, None
        self._shown, first_s = items, self._clock.now()
        if not items or self._way == "eager":
            return first_s, first_s
        more = self._ask(_INVOKED, until_s)
        if more is None:
            return first_s, None
        self._shown = more
        return first_s, self._clock.now()

    def _ask(self, kind: int, until_s: float) -> list[dict[str, Any]] | None:
        """The items; None when the time was over before, and the request is given up."""
        position = self._position(len(self._before))
        where = {"textDocument": {"uri": self._uri}, "position": position}
        call_id = self._client.ask(_INLINE, {**where, "context": {"triggerKind": kind}})
        reply = self._client.wait(call_id, max(0.0, until_s - self._clock.now()))
        if reply is None:
            self._client.notify("$/cancelRequest", {"id": call_id})
            return None
        if "error" in reply:
            raise Unavailable(f"the language server refused: {reply['error'].get('message')}")
        items: list[dict[str, Any]] = reply["result"]["items"]
        return items

    def _position(self, offset: int) -> dict[str, int]:
        text = self._before[:offset]
        character = len(text[text.rfind("\n") + 1 :].encode("utf-16-le", "surrogatepass")) // 2
        return {"line": text.count("\n"), "character": character}


def _since(began_s: float, at_s: float | None) -> float:
    return math.inf if at_s is None else (at_s - began_s) * 1000
