"""The language server: each handler unpacks, asks, packs. The wire is `stdio.py`, the model is in the engine."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, BinaryIO, NoReturn

from lsprotocol import types

from spa_lsp.offline import forbid_network, go_offline
from spa_lsp.outcomes.records import Answered
from spa_lsp.server import feedback, menu, panel, refusal, stdio
from spa_lsp.server.answers import Answer
from spa_lsp.server.clients import asks_again, shows_first
from spa_lsp.server.commands import COMMANDS, tell
from spa_lsp.server.configuration import SECTIONS, first_section, section_of
from spa_lsp.server.documents import Document, offset_at, position_at
from spa_lsp.server.offering import Ask, site_at
from spa_lsp.server.spots import Cursor, is_inside_word
from spa_lsp.server.state import SpaServer
from spa_lsp.server.window_size import FOR_RULES
from spa_lsp.text.shown import labelled
from spa_lsp.workspace import ignores

FIRST_ITEMS = "spa-lsp/firstItems"

logger = logging.getLogger(__name__)


def serve(stdin: BinaryIO, stdout: BinaryIO, *, engine_command: Sequence[str] | None = None) -> NoReturn:
    """Serve one client over these streams, then end the process with the status that the specification asks for."""
    go_offline()
    forbid_network()
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
    server.feature(types.TEXT_DOCUMENT_DID_OPEN)(did_open)
    server.feature(types.TEXT_DOCUMENT_DID_SAVE)(did_save)
    server.feature(types.TEXT_DOCUMENT_DID_CLOSE)(did_close)
    server.feature(types.NOTEBOOK_DOCUMENT_DID_OPEN)(did_open_notebook)
    server.feature(types.NOTEBOOK_DOCUMENT_DID_CHANGE)(did_change_notebook)
    server.feature(types.NOTEBOOK_DOCUMENT_DID_CLOSE)(did_close_notebook)
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(inline_completion)
    server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(did_change_configuration)
    server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(did_change_workspace_folders)
    server.feature(panel.REQUEST)(alternatives)
    server.feature(refusal.REQUEST)(why_not)
    for method, kind in feedback.NOTIFICATIONS.items():
        server.feature(method)(partial(tell, kind))
    for name, command in COMMANDS.items():
        server.command(name)(command)
    return server


def initialize(ls: SpaServer, params: types.InitializeParams) -> None:
    """Read the settings; nothing slow."""
    ls.configuration.start(params)
    ls.takes_first = asks_again(params.client_info)
    ls.shows_first = shows_first(feedback.plain(params.capabilities.experimental))
    if ls.settings.completion_fallback:
        ls.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions())(completion)
    ls.protocol.documents.encoding = types.PositionEncodingKind(ls.workspace.position_encoding).value
    if params.process_id:
        stdio.watch_parent(params.process_id)


def initialized(ls: SpaServer, params: types.InitializedParams) -> None:
    """Start the engine in the background, so that it has loaded when the user begins to type."""
    if ls.configuration.has_client_options:
        start(ls)
    else:
        ls.starting = asyncio.get_running_loop().create_task(start_configured(ls))


async def start_configured(ls: SpaServer) -> None:
    """Ask for settings first: they may name another base."""
    await pull_configuration(ls)
    start(ls)


def start(ls: SpaServer) -> None:
    """Begin with the settings as they are."""
    ls.use_settings()
    ls.link.start()


def shutdown(ls: SpaServer, params: None) -> None:
    """Free the engine."""
    ls.link.close()
    ls.recorder.close()


async def did_change_configuration(ls: SpaServer, params: types.DidChangeConfigurationParams) -> None:
    """Take the client's new settings, or ask for them when it only says that there are some."""
    values = section_of(feedback.plain(params.settings))
    if values is None:
        await pull_configuration(ls)
    else:
        ls.configuration.set_client(values)
    ls.use_settings()


def did_change_workspace_folders(ls: SpaServer, params: types.DidChangeWorkspaceFoldersParams) -> None:
    """Take other folders for the workspace's: their settings, their ignore files, what is imported from them."""
    ls.configuration.change_folders(added=params.event.added, removed=params.event.removed)
    ls.use_settings()


async def pull_configuration(ls: SpaServer) -> None:
    """Ask the client for its settings, if it has them to give."""
    workspace = ls.client_capabilities.workspace
    if not (workspace and workspace.configuration):
        return
    items = [types.ConfigurationItem(section=section) for section in SECTIONS]
    try:
        answers = await ls.workspace_configuration_async(types.ConfigurationParams(items=items))
    except Exception as error:  # a client that refuses keeps its defaults
        logger.info("the client gives no settings: %s", type(error).__name__)
        return
    found = first_section(feedback.plain(answers))
    if found is not None:
        ls.configuration.set_client(found)


def did_open(ls: SpaServer, params: types.DidOpenTextDocumentParams) -> None:
    """It may be of use to other documents."""
    if document := ls.protocol.documents.get(params.text_document.uri):
        ls.offering.neighbours.opened(document)


def did_save(ls: SpaServer, params: types.DidSaveTextDocumentParams) -> None:
    """Where the user was in it may be of use to other documents; the rules of an ignore file count at once."""
    if params.text_document.uri.rpartition("/")[2] in ignores.IGNORE_FILES:
        ignores.forget()
    if document := ls.protocol.documents.get(params.text_document.uri):
        ls.offering.neighbours.saved(document)


def did_close(ls: SpaServer, params: types.DidCloseTextDocumentParams) -> None:
    """Forget its answers: when it is opened again, its versions may begin anew."""
    forget(ls, params.text_document.uri)


def forget(ls: SpaServer, uri: str) -> None:
    """Forget the answers of a closed document; who waits for one gets none."""
    if asking := ls.asking.get(uri):
        asking.cancel()
    ls.offering.forget(uri)


def did_open_notebook(ls: SpaServer, params: types.DidOpenNotebookDocumentParams) -> None:
    """Its beginning may be of use to other documents."""
    documents = map(ls.protocol.documents.get, ls.protocol.notebooks.cells(params.notebook_document.uri))
    first = next((each for each in documents if each and each.language != "markdown"), None)
    if first is not None:
        ls.offering.neighbours.opened(ls.protocol.notebooks.program(first).document)


def did_change_notebook(ls: SpaServer, params: types.DidChangeNotebookDocumentParams) -> None:
    """Forget the answers of cells that are gone, or have another language."""
    structure = params.change.cells.structure if params.change.cells else None
    for closed in (structure.did_close if structure else None) or ():
        forget(ls, closed.uri)


def did_close_notebook(ls: SpaServer, params: types.DidCloseNotebookDocumentParams) -> None:
    """Forget the answers of its cells."""
    for uri in ls.protocol.notebooks.cells(params.notebook_document.uri):
        forget(ls, uri)


async def inline_completion(ls: SpaServer, params: types.InlineCompletionParams) -> types.InlineCompletionList:
    """All alternatives at the cursor; an empty list when there is nothing to say, never null, never an error.

    A newer request in the same document cancels the older one, which is then answered with RequestCancelled.
    """
    return types.InlineCompletionList(items=await offer_newest(ls, params))


async def offer_newest(
    ls: SpaServer, params: types.InlineCompletionParams, *, is_menu: bool = False
) -> list[types.InlineCompletionItem]:
    """The items of the newest request of a document; the older one is cancelled."""
    uri = params.text_document.uri
    task = asyncio.current_task()
    assert task is not None
    if previous := ls.asking.get(uri):
        previous.cancel()
    ls.asking[uri] = task
    try:
        return await offer(ls, params, is_menu=is_menu)
    except Exception:  # the handler border: an error would be shown to the user
        logger.exception("no alternatives")
        return []
    finally:
        if ls.asking.get(uri) is task:
            del ls.asking[uri]


async def offer(
    ls: SpaServer, params: types.InlineCompletionParams, *, is_menu: bool
) -> list[types.InlineCompletionItem]:
    """The items to show at this position of this version of the document.

    `is_menu`: the client's ordinary menu asks, which does not say whether at a key or for the user.
    """
    began = time.perf_counter()
    refresh(ls)
    is_automatic = params.context.trigger_kind != types.InlineCompletionTriggerKind.Invoked
    document = ls.protocol.documents.get(params.text_document.uri)
    if document is None:
        return []
    is_unwanted = is_automatic and ls.configuration.settings_of(document.file_uri).trigger == "manual"
    if is_unwanted or await refusal.why_not(ls, document):
        return []
    cursor = _cursor(document, params, ls.protocol.documents.encoding)
    if is_automatic and is_inside_word(cursor):
        return []  # who types inside a word fixes it
    in_program = _in_program(ls, cursor)
    is_asked = not is_automatic and not is_menu
    ask = Ask(
        cursor=in_program,
        is_hasty=ls.takes_first and is_automatic,
        is_asked=is_asked,
        # VS Code asks in the same way for the others of what is on the screen
        wants_block=is_asked and (not ls.takes_first or ls.offering.is_dismissed(in_program)),
    )
    is_cached = ls.offering.knows(ask)
    answer = await ls.offering.answer(ask, partial(tell_first, ls, cursor) if ls.shows_first and not is_menu else None)
    if answer is not None:
        ls.n_answers["automatic" if is_automatic else "invoked", is_cached] += 1
    note_answer(ls, answer, ask.cursor, began=began, is_cached=is_cached)
    is_current = ls.protocol.documents.get(document.uri) is document
    if answer is None or not is_current:
        return []
    return _items(answer, cursor, ls.protocol.documents.encoding)


def tell_first(ls: SpaServer, cursor: Cursor, answer: Answer) -> None:
    """Show what is there before the answer, which comes when all are."""
    document, encoding = cursor.document, ls.protocol.documents.encoding
    position = position_at(document.text, cursor.end, encoding)
    place = {"textDocument": {"uri": document.uri, "version": document.version}, "position": position}
    ls.protocol.notify(FIRST_ITEMS, {**place, "items": _items(answer, cursor, encoding)})


def refresh(ls: SpaServer) -> None:
    """Go by the settings as they are in the files now."""
    ls.configuration.refresh()
    ls.use_settings()


def note_answer(ls: SpaServer, answer: Answer | None, cursor: Cursor, *, began: float, is_cached: bool) -> None:
    """Note how long the answer took, and its texts where the user lets them be stored."""
    recorded = ls.configuration.settings_of(cursor.document.file_uri).record_outcomes
    if answer is None or not recorded:
        return
    latency_ms = (time.perf_counter() - began) * 1000
    answered = Answered(
        set_id=answer.adapter_set,
        language=cursor.document.language,
        latency_ms=latency_ms,
        n_items=len(answer.alternatives),
        is_cached=is_cached,
        set_sha256=next((each.set_sha256 for each in answer.alternatives if each.set_sha256), None),
    )
    ls.recorder.note_answer(answered)
    if recorded == "text":
        site = site_at(cursor, FOR_RULES)
        for alternative in answer.alternatives:
            ls.recorder.remember_text(answer.adapter_set, alternative, uri=cursor.document.uri, prefix=site.prefix)


def _cursor(document: Document, params: types.InlineCompletionParams, encoding: str) -> Cursor:
    selected = params.context.selected_completion_info
    if selected is None:
        offset = offset_at(document.text, params.position, encoding)
        return Cursor(document=document, start=offset, end=offset)
    return Cursor(
        document=document,
        start=offset_at(document.text, selected.range.start, encoding),
        end=offset_at(document.text, selected.range.end, encoding),
        typed=selected.text,
    )


def _in_program(ls: SpaServer, cursor: Cursor) -> Cursor:
    """The same cursor in the program that its document is a part of, as a notebook's cell is."""
    program = ls.protocol.notebooks.program(cursor.document)
    start, end = cursor.start + program.start, cursor.end + program.start
    return replace(cursor, document=program.document, start=start, end=end)


def _items(answer: Answer, cursor: Cursor, encoding: str) -> list[types.InlineCompletionItem]:
    """One item per alternative."""
    range_of = _ranges(cursor, encoding)
    return [
        types.InlineCompletionItem(
            insert_text=cursor.typed + offer.text,
            range=range_of(offer.n_replaced),
            command=feedback.accept_command(
                offer.alternative,
                answer.adapter_set,
                language=answer.spot.site.language,
                uri=cursor.document.uri,
            ),
        )
        for offer in labelled(answer.offers)
    ]


def _ranges(cursor: Cursor, encoding: str) -> Callable[[int], types.Range]:
    """The range of an alternative by how many characters behind the cursor it replaces.

    It is empty, at the cursor, unless the client's menu would replace text or the alternative has what stands there.
    """
    text = cursor.document.text
    start = position_at(text, cursor.start, encoding)

    @cache
    def range_of(n_replaced: int) -> types.Range:
        return types.Range(start=start, end=position_at(text, cursor.end + n_replaced, encoding))

    return range_of


async def completion(ls: SpaServer, params: types.CompletionParams) -> types.CompletionList:
    """The alternatives as entries of the ordinary menu, for editors that know nothing else."""
    asked = types.InlineCompletionParams(
        context=types.InlineCompletionContext(trigger_kind=types.InlineCompletionTriggerKind.Invoked),
        text_document=params.text_document,
        position=params.position,
    )
    items = await offer_newest(ls, asked, is_menu=True)
    document = ls.protocol.documents.get(params.text_document.uri)
    if document is None or not items:
        return types.CompletionList(is_incomplete=True, items=[])
    return menu.to_menu(items, document.text, params.position, ls.protocol.documents.encoding)


async def why_not(ls: SpaServer, params: Any) -> dict[str, str]:
    """Why nothing is offered in a document, for what stands in a status bar; two empty words where something is."""
    asked = ls.protocol.structure(feedback.plain(params)["textDocument"], types.TextDocumentIdentifier)
    refresh(ls)
    document = ls.protocol.documents.get(asked.uri)
    return {"reason": await refusal.why_not(ls, document) or "", "message": await refusal.rule_of(ls, document)}


async def alternatives(ls: SpaServer, params: Any) -> dict[str, Any]:
    """All k alternatives at a cursor with what is known of them, for a panel that shows them side by side.

    It joins the request at the cursor, if there is one, and shows what that offers. Typing on ends it: it is empty.
    Why it is empty, it says in a word.
    """
    asked: types.InlineCompletionParams = ls.protocol.structure(feedback.plain(params), types.InlineCompletionParams)
    refresh(ls)
    document = ls.protocol.documents.get(asked.text_document.uri)
    refused = await refusal.why_not(ls, document)
    if document is None or refused:
        message = await refusal.rule_of(ls, document) if refused == "ignored" else ""
        return panel.empty_panel(refused or "unusable", message)
    cursor = _cursor(document, asked, ls.protocol.documents.encoding)
    try:
        answer = await ls.offering.answer(Ask(cursor=_in_program(ls, cursor), is_asked=True))
    except Exception:  # the handler border: an error would be shown to the user
        logger.exception("no alternatives")
        answer = None
    reason = refusal.why_none(ls, answer)
    if answer is None or reason:
        return panel.empty_panel(reason or "nothing", ls.status.message)
    range_of = _ranges(cursor, ls.protocol.documents.encoding)
    return panel.to_panel(answer, ls.settings.base, range_of)
