"""The language server: each handler unpacks, asks, packs. The wire is `stdio.py`, the model is in the engine."""

import asyncio
import logging
import os
from collections.abc import Sequence
from typing import Any, BinaryIO, NoReturn

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from spa_lsp import __version__, errors
from spa_lsp.engine.client import EngineLink, open_link
from spa_lsp.server import context, feedback, stdio
from spa_lsp.server.alternatives import Answer, AnswerCache, Question, choose
from spa_lsp.server.documents import Document, offset_at, position_at
from spa_lsp.server.protocol import SpaProtocol, make_converter
from spa_lsp.settings import Settings, read_settings

logger = logging.getLogger(__name__)


class SpaServer(LanguageServer):
    """The state of one front."""

    protocol: SpaProtocol

    def __init__(self, engine_command: Sequence[str] | None = None) -> None:
        super().__init__("spa-lsp", __version__, protocol_cls=SpaProtocol, converter_factory=make_converter)
        self.settings = Settings()
        self.complaints: list[str] = []
        self.answers = AnswerCache()
        self.asking: dict[str, asyncio.Task[Any]] = {}  # by document: the request that has no answer yet
        self.is_over = asyncio.Event()
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
                max_memory_mb=self.settings.max_memory_mb,
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

    def forget_shown(self) -> None:
        """Show errors of the kinds that were shown before once more."""
        self._shown.clear()

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
    server.feature(types.TEXT_DOCUMENT_DID_CLOSE)(did_close)
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(inline_completion)
    server.command(feedback.ACCEPT_COMMAND)(accept)
    server.command("spa-lsp.restartEngine")(restart_engine)
    return server


def initialize(ls: SpaServer, params: types.InitializeParams) -> None:
    """Read the settings; nothing slow."""
    ls.settings, ls.complaints = read_settings(params.initialization_options)
    ls.protocol.documents.encoding = types.PositionEncodingKind(ls.workspace.position_encoding).value
    if params.process_id:
        stdio.watch_parent(params.process_id)


def initialized(ls: SpaServer, params: types.InitializedParams) -> None:
    """Start the engine in the background, so that it has loaded when the user begins to type."""
    for complaint in ls.complaints:
        logger.warning("%s", complaint)
        ls.show(f"spa-lsp: {complaint}")
    ls.link.start()


def shutdown(ls: SpaServer, params: None) -> None:
    """Free the engine."""
    ls.link.close()


def did_close(ls: SpaServer, params: types.DidCloseTextDocumentParams) -> None:
    """Forget its answers: when it is opened again, its versions may begin anew."""
    ls.answers.forget(params.text_document.uri)


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
    answer = ls.answers.get(question) or await _ask(ls, document, question)
    is_current = ls.protocol.documents.get(document.uri) is document
    if answer is None or not is_current:
        return []
    return _items(answer, question, document, ls.protocol.documents.encoding)


async def _ask(ls: SpaServer, document: Document, question: Question) -> Answer | None:
    window = context.make_window(
        document.text,
        question.start,
        question.end,
        prefix_chars=ls.settings.prefix_chars,
        suffix_chars=ls.settings.suffix_chars,
        typed=question.typed,
    )
    result = await ls.link.complete(context.make_request(window, document, ls.settings))
    if result is None or result.is_cancelled:
        return None
    alternatives = choose(result.alternatives, window, document.language)
    answer = Answer(adapter_set=result.adapter_set, alternatives=tuple(alternatives))
    ls.answers.put(question, answer)
    return answer


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
    """One item per alternative. Its range is empty, at the cursor, unless the client's menu would replace text."""
    start = position_at(document.text, question.start, encoding)
    end = position_at(document.text, question.end, encoding)
    return [
        types.InlineCompletionItem(
            insert_text=question.typed + alternative.text,
            range=types.Range(start=start, end=end),
            command=feedback.accept_command(alternative, answer.adapter_set, document.language),
        )
        for alternative in answer.alternatives
    ]


def restart_engine(ls: SpaServer, *_: Any) -> None:
    """Start an engine that was left off after its deaths; what is wrong then is shown again."""
    ls.forget_shown()
    ls.link.restart()


async def accept(ls: SpaServer, *arguments: Any) -> None:
    """The client inserted an alternative: note which."""
    if not ls.settings.record_outcomes:
        return
    try:
        await asyncio.to_thread(feedback.record_accept, arguments[0] if arguments else None)
    except errors.SpaError as error:
        logger.warning("an outcome was not recorded: %s", error)
