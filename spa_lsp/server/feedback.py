"""What the user did with alternatives, and how long answers took: from the client's messages to the outcomes file.

Clients name an alternative by the arguments of its accept command. Writing happens in a thread, many records at once.
"""

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsprotocol import types

from spa_lsp import paths
from spa_lsp.completion import Alternative
from spa_lsp.errors import BadInput, SpaError
from spa_lsp.outcomes.records import Answered, EventKind, Outcome, check_names

ACCEPT_COMMAND = "spa-lsp.accept"
WRITE_EVERY_S = 2.0
REJECTED_AFTER_S = 10.0  # shown for so long, and nothing came of it
KEPT_AFTER_S = 60.0  # accepted, and so long after it still stands where it was
MAX_PENDING = 1000  # records; more are lost rather than kept
MAX_TEXTS = 64  # alternatives of which the text is remembered until they are accepted

# Notifications of clients that say what they show, also by Copilot's names.
NOTIFICATIONS: dict[str, EventKind] = {
    "spa-lsp/didShow": "shown",
    "spa-lsp/didPartiallyAccept": "partial",
    "spa-lsp/didDismiss": "dismissed",
    "textDocument/didShowCompletion": "shown",
    "textDocument/didPartiallyAcceptCompletion": "partial",
}

logger = logging.getLogger(__name__)


def accept_command(alternative: Alternative, adapter_set: str, *, language: str, uri: str) -> types.Command:
    """The command that the client runs after it has inserted this alternative in the document `uri`."""
    arguments = {
        "setId": adapter_set,
        "index": alternative.index,
        "adapter": alternative.adapter,
        "language": language,
        "uri": uri,
    }
    return types.Command(title=alternative.label, command=ACCEPT_COMMAND, arguments=[arguments])


def read_outcome(kind: EventKind, arguments: Any) -> Outcome:
    """The outcome that a client tells: the arguments of the accept command, or an item that carries that command.

    Raises:
        BadInput: they are something else.
    """
    match plain(arguments):
        case {"setId": str(set_id), "index": int(index), "adapter": str(adapter), "language": str(language)} as found:
            n_chars = found.get("acceptedLength")
            outcome = Outcome(
                kind=kind,
                set_id=set_id,
                index=index,
                adapter=adapter,
                language=language,
                n_chars=n_chars if isinstance(n_chars, int) and kind == "partial" else None,
            )
        case {"item": {"command": {"arguments": [first, *_]}}} as found if isinstance(first, dict):
            return read_outcome(kind, {**first, "acceptedLength": found.get("acceptedLength")})
        case _:
            raise BadInput(f"{kind}: an alternative is named by setId, index, adapter and language")
    try:
        check_names(outcome)
    except ValueError:  # its words hold the name, which may be code, and ours go into the log
        raise BadInput(f"{kind}: a name is not a short plain one") from None
    return outcome


def document_of(arguments: Any) -> str:
    """The URI of the document that a client's words about an alternative name; empty: none."""
    match plain(arguments):
        case {"uri": str(uri)} | {"textDocument": {"uri": str(uri)}}:
            return uri
        case {"item": {"command": {"arguments": [{"uri": str(uri)}, *_]}}}:
            return uri
    return ""


class Recorder:
    """Notes outcomes and answers; `add` and `note_answer` cost nothing, a thread does the writing."""

    def __init__(self) -> None:
        self._folder = paths.data_dir()  # now: a thread may write much later
        self._pending: list[Outcome | Answered] = []
        self._lock = threading.Lock()  # of the list
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._on_screen: asyncio.TimerHandle | None = None
        self._texts: OrderedDict[tuple[str, str, int, str], tuple[str, str]] = OrderedDict()

    def add(self, outcome: Outcome, *, uri: str, is_recorded: Callable[[], bool | str]) -> None:
        """Note what became of an alternative; one that stays on the screen untouched counts as rejected in a while.

        `is_recorded` says what the user lets be stored at the time, "text" with the text.
        """
        if self._on_screen:
            self._on_screen.cancel()
            self._on_screen = None
        text = self._texts.get((uri, outcome.set_id, outcome.index, outcome.adapter))
        if outcome.kind == "accepted" and text and is_recorded() == "text":
            outcome = replace(outcome, prefix=text[0], text=text[1])
        self._put(outcome)
        if outcome.kind == "shown":
            rejected = replace(outcome, kind="rejected")
            loop = asyncio.get_running_loop()
            self._on_screen = loop.call_later(REJECTED_AFTER_S, self._put_if_recorded, rejected, is_recorded)

    def watch(self, outcome: Outcome, *, uri: str, text_now: Callable[[], str | None]) -> None:
        """Note a while after it was accepted whether the text was edited; no text of then tells nothing.

        Only where the user lets text be stored, now and then: without it nobody could say what was edited.
        """
        if text := self._texts.get((uri, outcome.set_id, outcome.index, outcome.adapter)):
            edited = replace(outcome, kind="edited", prefix=text[0], text=text[1])
            asyncio.get_running_loop().call_later(KEPT_AFTER_S, self._put_if_edited, edited, text_now)

    def _put_if_recorded(self, outcome: Outcome, is_recorded: Callable[[], bool | str]) -> None:
        if is_recorded():
            self._put(outcome)

    def _put_if_edited(self, edited: Outcome, text_now: Callable[[], str | None]) -> None:
        now = text_now()
        if now is not None and edited.text is not None and edited.text.strip() not in now:
            self._put(edited)

    def note_answer(self, answered: Answered) -> None:
        """Note how long an answer took, and how many alternatives it had."""
        try:
            check_names(answered)
        except ValueError:  # a language id of this kind is the client's affair
            return
        self._put(answered)

    def remember_text(self, adapter_set: str, alternative: Alternative, *, uri: str, prefix: str) -> None:
        """Keep what was offered until it is accepted; only where the user lets text be stored."""
        self._texts[uri, adapter_set, alternative.index, alternative.adapter] = (prefix, alternative.text)
        if len(self._texts) > MAX_TEXTS:
            self._texts.popitem(last=False)

    def flush(self) -> None:
        """Write what is pending; not for the event loop."""
        with self._writing:
            with self._lock:
                records, self._pending = self._pending, []
            if records:
                _write(records, self._folder)

    def close(self, timeout_s: float = 1.0) -> None:
        """Write what is pending, if that is quick."""
        if self._pending:
            thread = threading.Thread(target=self.flush, name="last-outcomes", daemon=True)
            thread.start()
            thread.join(timeout_s)

    def _put(self, record: Outcome | Answered) -> None:
        with self._lock:
            if len(self._pending) < MAX_PENDING:
                self._pending.append(record)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="outcomes", daemon=True)
            self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(WRITE_EVERY_S)
            self._wake.clear()
            self.flush()


def _write(records: list[Outcome | Answered], folder: Path) -> None:
    from spa_lsp.outcomes.file import NAME, write  # SQLite is not needed to show alternatives

    try:
        write(records, path=folder / NAME)
    except SpaError as error:
        logger.warning("%d outcomes were not recorded: %s", len(records), error)
    except Exception:  # a thread that ends would end all recording
        logger.exception("outcomes were not recorded")


def plain(value: Any) -> Any:
    """Plain data of what pygls makes of parameters that have no type: named tuples."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value
