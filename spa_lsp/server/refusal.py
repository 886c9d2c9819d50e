"""Whether alternatives are offered at a place, and why there are none: one word for clients."""

import asyncio
from typing import Literal

from spa_lsp.server import context
from spa_lsp.server.answers import Answer
from spa_lsp.server.documents import Document
from spa_lsp.server.state import SpaServer
from spa_lsp.text.ipython import cell_language
from spa_lsp.text.languages import canonical

REQUEST = "spa-lsp/whyNot"  # of a document, as its status bar asks

# off: switched off, for all or for this language · ignored: the file is private · unusable: the document is not open,
# too long, or its changes came out of order · starting, loading, error: the engine is so · nothing: no adapter had
# anything to say, or the user has typed on
Reason = Literal["off", "ignored", "unusable", "starting", "loading", "error", "nothing"]


async def why_not(ls: SpaServer, document: Document | None) -> Reason | None:
    """Why nothing is offered in this document; None: something is."""
    if not ls.is_on or (document is not None and _is_disabled(ls, document)):
        return "off"
    if document is None or not context.is_usable(document):
        return "unusable"
    return "ignored" if await _rule(ls, document) else None


async def rule_of(ls: SpaServer, document: Document | None) -> str:
    """What a person should know of a file that is left alone: by which rule; empty for others."""
    rule = await _rule(ls, document) if document else ""
    return f"this file is left alone ({rule})" if rule else ""


async def _rule(ls: SpaServer, document: Document) -> str:
    """In a thread: ignore files are read, which may be long, and Git may be asked."""
    return await asyncio.to_thread(_rule_now, ls, document)


def _rule_now(ls: SpaServer, document: Document) -> str:
    """A cell's own URI need not have the path of its notebook."""
    own = ls.configuration.why_ignored(document.uri, document.language)
    return own or ls.configuration.why_ignored(document.file_uri, document.language)


def _is_disabled(ls: SpaServer, document: Document) -> bool:
    language = cell_language(document.text, document.language) if document.notebook else document.language
    return language in map(canonical, ls.configuration.settings_of(document.file_uri).disabled_languages)


def why_none(ls: SpaServer, answer: Answer | None) -> Reason | None:
    """Why an answer has nothing to show; None: it has."""
    if answer is not None and answer.offers:
        return None
    state = ls.status.state
    return state if state in ("starting", "loading", "error") else "nothing"
