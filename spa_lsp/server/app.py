"""The language server: each handler unpacks, asks, packs. The wire is `stdio.py`, the model is in the engine."""

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from spa_lsp import __version__, errors
from spa_lsp.engine.client import EngineLink, open_link
from spa_lsp.ignores import is_uri_ignored, uri_path
from spa_lsp.server import context, feedback, stdio
from spa_lsp.server.adapter_names import AdapterNames
from spa_lsp.server.answers import Answer
from spa_lsp.server.documents import Document, offset_at, position_at
from spa_lsp.server.neighbours import Neighbours
from spa_lsp.server.offering import Ask, Offering
from spa_lsp.server.protocol import SpaProtocol, make_converter
from spa_lsp.server.spots import Question
from spa_lsp.settings import Settings, read_settings

# what `clientInfo.name` of VS Code and of its kin holds; it is the name of the application
VSCODE_NAMES = ("visual studio code", "code - oss", "code-server", "vscodium", "vscode", "cursor", "windsurf")

logger = logging.getLogger(__name__)


class SpaServer(LanguageServer):
    """The state of one front."""

    protocol: SpaProtocol

    def __init__(self, engine_command: Sequence[str] | None = None) -> None:
        super().__init__("spa-lsp", __version__, protocol_cls=SpaProtocol, converter_factory=make_converter)
        self.settings = Settings()
        self.complaints: list[str] = []
        self.names = AdapterNames()
        self.offering = Offering(
            lambda request, on_alternative=None: self.link.complete(request, on_alternative),
            lambda adapter_set: self.names.of(self.settings.base, adapter_set),
            lambda: self.settings,
            Neighbours(
                lambda: self.folders, lambda uri: is_uri_ignored(uri, self.folders[0] if self.folders else None)
            ),
        )
        self.folders: list[Path] = []  # of the workspace
        self.takes_first = False  # the client asks again when the user wants to see others
        self.asking: dict[str, asyncio.Task[Any]] = {}  # by document: the request that has no answer yet
        self.is_over = asyncio.Event()
        self.learning: asyncio.Future[None] | None = None  # kept, or it might be collected before it ends
        self._engine_command = engine_command
        self._link: EngineLink | None = None
        self._shown: set[type[errors.SpaError]] = set()

    @property
    def link(self) -> EngineLink:
        """The way to the engine that the settings name."""
        if self._link is None:
            self._link = open_link(
                self.settings.base,
                self.settings.adapter_set,
                self.settings.quantization,
                idle_s=self.settings.engine_idle_s,
                on_problem=self.report,
                command=self._engine_command,
            )
        return self._link

    def end(self) -> None:
        """Stop reading; the process ends."""
        self.is_over.set()

    def report(self, error: errors.SpaError) -> None:
        """Log an error, and show the first of its kind to the user, who alone can mend it."""
        logger.warning("%s", error)
        if type(error) not in self._shown:
            self._shown.add(type(error))
            self.show(f"spa-lsp: {error}")

    def show(self, message: str) -> None:
        """A message that the user sees."""
        self.window_show_message(types.ShowMessageParams(type=types.MessageType.Warning, message=message))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log it; pygls would show it to the user."""
        logger.error("%s: %s", getattr(source, "__name__", source), type(error).__name__)


def serve(stdin: BinaryIO, stdout: BinaryIO, *, engine_command: Sequence[str] | None = None) -> NoReturn:
    """Serve one client over these streams, then end the process with the status that the specification asks for."""
    logging.getLogger("pygls").setLevel(logging.CRITICAL + 1)  # it logs message bodies: the user's code (P25)
    asyncio.run(_serve(stdin, stdout, engine_command))
    raise AssertionError("unreachable")


async def _serve(stdin: BinaryIO, stdout: BinaryIO, engine_command: Sequence[str] | None) -> NoReturn:
    server = make_server(engine_command)
    loop = asyncio.get_running_loop()

    def on_broken() -> None:
        loop.call_soon_threadsafe(server.end)

    writer = stdio.Writer(stdout, on_broken)
    server.protocol.set_writer(writer)
    stdio.watch_parent(None)
    await stdio.pump(stdin, server.protocol, server.is_over)
    writer.close()
    logging.shutdown()
    status = server.protocol.exit_status
    # not sys.exit: a thread that still connects to the engine must not keep the process
    os._exit(status if status is not None else 0 if server.protocol.is_shut_down else 1)


def make_server(engine_command: Sequence[str] | None = None) -> SpaServer:
    """A server with all its handlers; `engine_command` starts another engine than the settings say."""
    server = SpaServer(engine_command)
    server.feature(types.INITIALIZE)(initialize)
    server.feature(types.INITIALIZED)(initialized)
    server.feature(types.SHUTDOWN)(shutdown)
    server.feature(types.TEXT_DOCUMENT_DID_OPEN)(did_open)
    server.feature(types.TEXT_DOCUMENT_DID_SAVE)(did_save)
    server.feature(types.TEXT_DOCUMENT_DID_CLOSE)(did_close)
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(inline_completion)
    server.command(feedback.ACCEPT_COMMAND)(accept)
    return server


def initialize(ls: SpaServer, params: types.InitializeParams) -> None:
    """Read the settings; nothing slow."""
    ls.settings, ls.complaints = read_settings(params.initialization_options)
    ls.takes_first = asks_again(params.client_info)
    ls.folders = _folders(params)
    ls.protocol.documents.encoding = types.PositionEncodingKind(ls.workspace.position_encoding).value
    if params.process_id:
        stdio.watch_parent(params.process_id)


def _folders(params: types.InitializeParams) -> list[Path]:
    uris = [folder.uri for folder in params.workspace_folders or []] or [params.root_uri or ""]
    return [Path(path) for uri in uris if (path := uri_path(uri))]


def asks_again(client: types.ClientInfo | None) -> bool:
    """Whether the client is VS Code or built on it: it asks for all alternatives only when the user wants another.

    All others show and cycle through what the first answer held.
    """
    name = client.name.lower() if client else ""
    return any(known in name for known in VSCODE_NAMES)


def initialized(ls: SpaServer, params: types.InitializedParams) -> None:
    """Start the engine in the background, so that it has loaded when the user begins to type."""
    for complaint in ls.complaints:
        logger.warning("%s", complaint)
        ls.show(f"spa-lsp: {complaint}")
    ls.link.start()
    if ls.settings.learned_order:
        ls.learning = asyncio.get_running_loop().run_in_executor(None, ls.offering.learned.load)


def shutdown(ls: SpaServer, params: None) -> None:
    """Free the engine."""
    ls.link.close()


def did_open(ls: SpaServer, params: types.DidOpenTextDocumentParams) -> None:
    """It may be of use to other documents."""
    if document := ls.protocol.documents.get(params.text_document.uri):
        ls.offering.neighbours.opened(document)


def did_save(ls: SpaServer, params: types.DidSaveTextDocumentParams) -> None:
    """Where the user was in it may be of use to other documents."""
    if document := ls.protocol.documents.get(params.text_document.uri):
        ls.offering.neighbours.saved(document)


def did_close(ls: SpaServer, params: types.DidCloseTextDocumentParams) -> None:
    """Forget its answers: when it is opened again, its versions may begin anew."""
    ls.offering.forget(params.text_document.uri)


async def inline_completion(ls: SpaServer, params: types.InlineCompletionParams) -> types.InlineCompletionList:
    """All alternatives at the cursor; an empty list when there is nothing to say, never null, never an error.

    A newer request in the same document cancels the older one, which is then answered with RequestCancelled.
    """
    uri = params.text_document.uri
    task = asyncio.current_task()
    assert task is not None
    if previous := ls.asking.get(uri):
        previous.cancel()
    ls.asking[uri] = task
    try:
        return types.InlineCompletionList(items=await offer(ls, params))
    except Exception:  # the handler border: an error would be shown to the user
        logger.exception("no alternatives")
        return types.InlineCompletionList(items=[])
    finally:
        if ls.asking.get(uri) is task:
            del ls.asking[uri]


async def offer(ls: SpaServer, params: types.InlineCompletionParams) -> list[types.InlineCompletionItem]:
    """The items to show at this position of this version of the document."""
    document = ls.protocol.documents.get(params.text_document.uri)
    if document is None or not context.is_served(document, ls.settings):
        return []
    question = _question(document, params, ls.protocol.documents.encoding)
    is_invoked = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
    is_hasty = ls.takes_first and not is_invoked
    answer = await ls.offering.answer(Ask(question=question, document=document, is_hasty=is_hasty))
    is_current = ls.protocol.documents.get(document.uri) is document
    if answer is None or not is_current:
        return []
    return _items(answer, question, document, ls.protocol.documents.encoding)


def _question(document: Document, params: types.InlineCompletionParams, encoding: str) -> Question:
    selected = params.context.selected_completion_info
    cursor = offset_at(document.text, params.position, encoding)
    if selected is None:
        return Question(uri=document.uri, version=document.version, start=cursor, end=cursor)
    return Question(
        uri=document.uri,
        version=document.version,
        start=offset_at(document.text, selected.range.start, encoding),
        end=offset_at(document.text, selected.range.end, encoding),
        typed=selected.text,
    )


def _items(answer: Answer, question: Question, document: Document, encoding: str) -> list[types.InlineCompletionItem]:
    """One item per alternative.

    Its range is empty, at the cursor, unless the client's menu would replace text or brackets stand there already.
    """
    start = position_at(document.text, question.start, encoding)
    ends = {n: position_at(document.text, question.end + n, encoding) for n in {o.n_replaced for o in answer.offers}}
    return [
        types.InlineCompletionItem(
            insert_text=question.typed + offer.text,
            range=types.Range(start=start, end=ends[offer.n_replaced]),
            command=feedback.accept_command(offer.alternative, answer.adapter_set, document.language),
        )
        for offer in answer.offers
    ]


async def accept(ls: SpaServer, *arguments: Any) -> None:
    """The client inserted an alternative: note which, and look ahead."""
    _look_ahead(ls, arguments[0] if arguments else None)
    if not ls.settings.record_outcomes:
        return
    try:
        await asyncio.to_thread(feedback.record_accept, arguments[0] if arguments else None)
    except errors.SpaError as error:
        logger.warning("an outcome was not recorded: %s", error)


def _look_ahead(ls: SpaServer, accepted: Any) -> None:
    match accepted:
        case {"setId": str(set_id), "index": int(index), "adapter": str(adapter), "language": str(language)}:
            if ls.settings.record_outcomes:
                ls.offering.learned.add(language, adapter)
            ls.offering.accepted(set_id, index, ls.protocol.documents.get)
