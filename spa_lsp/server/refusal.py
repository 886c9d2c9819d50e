"""Whether alternatives are offered at a place, and why there are none: one word for clients."""

from typing import Literal

from spa_lsp.server import context
from spa_lsp.server.answers import Answer
from spa_lsp.server.documents import Document
from spa_lsp.server.state import SpaServer
from spa_lsp.text.languages import canonical

# off: switched off, for all or for this language · ignored: the file is private · unusable: the document is not open,
# too long, or its changes came out of order · starting, loading, error: the engine is so · nothing: no adapter had
# anything to say, or the user has typed on
Reason = Literal["off", "ignored", "unusable", "starting", "loading", "error", "nothing"]


def why_not(ls: SpaServer, document: Document | None) -> Reason | None:
    """Why nothing is offered in this document; None: something is."""
    if not ls.is_on or (document is not None and document.language in map(canonical, ls.settings.disabled_languages)):
        return "off"
    if document is None or not context.is_usable(document):
        return "unusable"
    return "ignored" if _ignore_rule(ls, document) else None


def rule_of(ls: SpaServer, document: Document | None) -> str:
    """What a person should know of a file that is left alone: by which rule; empty for others."""
    rule = _ignore_rule(ls, document) if document else ""
    return f"this file is left alone ({rule})" if rule else ""


def _ignore_rule(ls: SpaServer, document: Document) -> str:
    """A cell's own URI need not have the path of its notebook."""
    own = ls.configuration.why_ignored(document.uri, document.language)
    return own or ls.configuration.why_ignored(document.file_uri, document.language)


def why_none(ls: SpaServer, answer: Answer | None) -> Reason | None:
    """Why an answer has nothing to show; None: it has."""
    if answer is not None and answer.offers:
        return None
    state = ls.status.state
    return state if state in ("starting", "loading", "error") else "nothing"
