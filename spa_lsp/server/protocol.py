"""pygls's protocol, hardened: every request is answered once, nothing pops up, errors are short, no code is logged.

The numbers P1 … are those of the torture cases that pygls 2.1 fails.
"""

import json
import logging
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from typing import Any

from cattrs import Converter
from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.protocol import LanguageServerProtocol, default_converter, lsp_method

from spa_lsp.server.documents import Document, Documents
from spa_lsp.server.notebooks import Notebooks

ERRORS = types.ErrorCodes

logger = logging.getLogger(__name__)


def make_converter() -> Converter:
    """A converter that takes any number for a trigger kind: clients of before 3.18 say 0 and 1 for 1 and 2."""
    converter: Converter = default_converter()  # type: ignore[no-untyped-call]  # pygls's
    converter.register_structure_hook(
        types.InlineCompletionTriggerKind,
        lambda value, _: (
            types.InlineCompletionTriggerKind(value) if value in (1, 2) else types.InlineCompletionTriggerKind.Automatic
        ),
    )
    return converter


class SpaProtocol(LanguageServerProtocol):
    """Takes message bodies through `receive`; documents live in `documents`, not in pygls's workspace."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.documents = Documents()
        self.notebooks = Notebooks(self.documents)
        self.exit_status: int | None = None  # set by `exit`
        self._is_initialized = False

    @property
    def is_shut_down(self) -> bool:
        """Whether the client asked for the end."""
        return self._shutdown

    def program(self, uri: str) -> Document | None:
        """An open document; a notebook's cell with the text of those around it."""
        document = self.documents.get(uri)
        return self.notebooks.program(document).document if document else None

    def structure(self, data: Any, kind: type[Any]) -> Any:
        """The parameters of a method that LSP does not have, as this type.

        Raises:
            JsonRpcInvalidParams: they do not fit.
        """
        try:
            return self._converter.structure(data, kind)
        except Exception as error:  # cattrs has many kinds
            raise JsonRpcInvalidParams("the parameters do not fit the method") from error

    def receive(self, body: bytes) -> None:
        """Handle one message; whatever it is, a request is answered and the server goes on."""
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            self._refuse(None, ERRORS.ParseError, "this is not JSON")
            return
        call_id = data.get("id") if isinstance(data, dict) else None
        if not _is_message(data):
            self._refuse(call_id if _is_id(call_id) else None, ERRORS.InvalidRequest, "not a message")
        elif "method" in data:
            self._receive_call(data, call_id)
        else:
            self._receive_structured(data)

    def _receive_call(self, data: dict[str, Any], call_id: Any) -> None:
        refusal = self._why_not(data["method"], call_id)
        if refusal is None:
            self._receive_structured(data)
        elif "id" in data:
            self._refuse(call_id, *refusal)

    def _why_not(self, method: str, call_id: Any) -> tuple[types.ErrorCodes, str] | None:
        """Code and words of the refusal of a call that comes at the wrong time or asks for what we do not have."""
        if method == types.EXIT:
            return None
        if not self._is_initialized and method != types.INITIALIZE:  # P1
            return ERRORS.ServerNotInitialized, "the first request must be initialize"
        if self._is_initialized and method == types.INITIALIZE:
            return ERRORS.InvalidRequest, "initialize comes only once"
        if self._shutdown:  # P9
            return ERRORS.InvalidRequest, "the server is shutting down"
        if call_id is not None and call_id in self._request_futures:  # P26
            return ERRORS.InvalidRequest, "a request with this id is not answered yet"
        if call_id is not None and method not in self.fm.builtin_features and method not in self.fm.features:
            return ERRORS.MethodNotFound, f"there is no method {method}"
        if call_id is not None and _is_notification(method):  # pygls would handle it and never answer
            return ERRORS.InvalidRequest, f"{method} is a notification and has no id"
        return None

    def _receive_structured(self, data: dict[str, Any]) -> None:
        try:
            message = self.structure_message(data)  # of the top object only: P5
        except (JsonRpcException, RecursionError):
            logger.warning("cannot read the parameters of %s", data.get("method", "an answer"))
            if data.get("method") == types.TEXT_DOCUMENT_DID_CHANGE:
                self.documents.distrust(_uri_of(data, "textDocument"))
            elif data.get("method") == types.NOTEBOOK_DOCUMENT_DID_CHANGE:
                self.notebooks.distrust(_uri_of(data, "notebookDocument"))
            if "method" in data and "id" in data:  # P3
                self._refuse(data["id"], ERRORS.InvalidParams, "the parameters do not fit the method")
            return
        self._is_initialized = self._is_initialized or data.get("method") == types.INITIALIZE
        self.handle_message(message)

    def _refuse(self, call_id: str | int | None, code: types.ErrorCodes, message: str) -> None:
        error = {"code": int(code), "message": message}
        self._send_data({"jsonrpc": "2.0", "id": call_id, "error": error})

    def _send_handler_result(self, future: "Future[Any]", *, msg_id: str | int) -> None:
        self._request_futures.pop(msg_id, None)
        if future.cancelled():
            self._send_response(msg_id, error=_response_error(types.LSPErrorCodes.RequestCancelled, "cancelled"))
        elif (error := future.exception()) is None:
            self._send_result(msg_id, future.result())
        elif isinstance(error, JsonRpcException):
            self._send_response(msg_id, error=error.to_response_error())
        else:  # P6: the traceback is ours, not the client's
            logger.error("a request failed", exc_info=error)
            self._send_response(msg_id, error=_response_error(ERRORS.InternalError, "internal error; see the log"))

    def _send_result(self, msg_id: str | int, result: Any) -> None:
        try:
            json.dumps(result, default=self._serialize_message)  # pygls would log the failure and answer nothing
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            logger.error("a result cannot be sent: %s", error)
            self._send_response(msg_id, error=_response_error(ERRORS.InternalError, "internal error; see the log"))
        else:
            self._send_response(msg_id, result=result)

    @lsp_method(types.SHUTDOWN)
    def lsp_shutdown(self, *args: Any) -> Generator[Any, Any, None]:
        """The end is near: what runs is cancelled, and answered so."""
        yield self.fm.features[types.SHUTDOWN], args, None
        for msg_id, future in list(self._request_futures.items()):  # pygls's own loop fails when one ends in it
            if msg_id != self.msg_id:
                future.cancel()
        self._shutdown = True

    @lsp_method(types.EXIT)
    def lsp_exit(self, *args: Any) -> None:  # type: ignore[override]  # pygls's is a generator that raises SystemExit
        """The end; the process ends with `exit_status` (P10: pygls ends with 0 always)."""
        self.exit_status = 0 if self._shutdown else 1
        self._server.end()  # type: ignore[attr-defined]  # the server that app.py makes

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> Iterator[Any]:
        """A document was opened."""
        self.documents.open(params.text_document)
        yield self.fm.features[types.TEXT_DOCUMENT_DID_OPEN], (params,), None

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        """A document has a new version."""
        self.documents.change(params.text_document.uri, params.text_document.version, params.content_changes)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> Iterator[Any]:
        """A document was closed."""
        self.documents.close(params.text_document.uri)
        yield self.fm.features[types.TEXT_DOCUMENT_DID_CLOSE], (params,), None  # as pygls's own do: run the handler

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    def lsp_notebook_document__did_open(self, params: types.DidOpenNotebookDocumentParams) -> Iterator[Any]:
        """A notebook was opened, with all its cells."""
        self.notebooks.open(params)
        yield self.fm.features[types.NOTEBOOK_DOCUMENT_DID_OPEN], (params,), None

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def lsp_notebook_document__did_change(self, params: types.DidChangeNotebookDocumentParams) -> Iterator[Any]:
        """A notebook has other cells, or a cell another text."""
        self.notebooks.change(params)
        yield self.fm.features[types.NOTEBOOK_DOCUMENT_DID_CHANGE], (params,), None

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    def lsp_notebook_document__did_close(self, params: types.DidCloseNotebookDocumentParams) -> Iterator[Any]:
        """A notebook was closed, and with it its cells, of which the handler may still ask."""
        yield self.fm.features[types.NOTEBOOK_DOCUMENT_DID_CLOSE], (params,), None
        self.notebooks.close(params.notebook_document.uri)


def _uri_of(data: dict[str, Any], name: str) -> str:
    """The document that unreadable parameters are about, "" when they do not even say that."""
    document = params.get(name) if isinstance(params := data.get("params"), dict) else None
    return str(document.get("uri")) if isinstance(document, dict) else ""


def _is_notification(method: str) -> bool:
    return method in types.METHOD_TO_TYPES and types.METHOD_TO_TYPES[method][1] is None


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_message(data: Any) -> bool:
    if not isinstance(data, dict) or data.get("jsonrpc") != "2.0":
        return False
    has_good_id = "id" not in data or _is_id(data["id"])
    has_good_method = isinstance(data.get("method", ""), str)
    return has_good_id and has_good_method and ("method" in data or "result" in data or "error" in data)


def _response_error(code: int, message: str) -> types.ResponseError:
    return types.ResponseError(code=int(code), message=message)
