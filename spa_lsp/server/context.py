"""From a document and a cursor to the request for the engine: which text the model sees. Pure."""

import re
from collections.abc import Sequence

from spa_lsp.completion import CompletionRequest, ContextPiece
from spa_lsp.prompt import clean_text
from spa_lsp.server.documents import Document
from spa_lsp.settings.schema import AUTO, Settings
from spa_lsp.text.site import Site
from spa_lsp.text.stop_policy import stop_policy

_DEFINITION = re.compile(r"\n(?=[^\s)\]}])")  # a line that is not indented begins one, as a rule
AUTO_DEADLINE_S = 3.0  # nobody looks at one place for longer, waiting
MAX_DOCUMENT_CHARS = 2_000_000  # a longer one is followed but not completed


def is_usable(document: Document) -> bool:
    """Whether the text is the client's, and not too long."""
    return len(document.text) <= MAX_DOCUMENT_CHARS and not document.is_desynced


def make_site(
    text: str, start: int, end: int, *, prefix_chars: int, suffix_chars: int, typed: str = "", language: str = ""
) -> Site:
    """The text before `start`, then `typed`, and the text from `end` on, cut on line borders.

    `start` and `end` differ only where the client's own menu would replace text by `typed`.
    """
    before = text[_prefix_start(text, start, prefix_chars) : start] + typed
    behind = text[end : _suffix_end(text, end, suffix_chars)]
    return Site(prefix=plain_text(before), suffix=plain_text(behind), language=language)


def make_request(
    site: Site,
    document: Document,
    settings: Settings,
    *,
    context: Sequence[ContextPiece] = (),
    path: str = "",
    is_asked: bool = False,
) -> CompletionRequest:
    """What the engine is asked.

    Args:
        site: the text around the place where the prompt is anchored, and what was typed behind it.
        document: the one with the cursor.
        settings: of the front.
        context: of other files.
        path: of the document.
        is_asked: the user wants alternatives, and waits.
    """
    stop = settings.stop
    if stop == AUTO:
        stop = stop_policy(site, is_asked=is_asked)
    return CompletionRequest(
        prefix=site.prefix,
        suffix=site.suffix,
        begun=site.begun,
        context=tuple(context),
        path=path if context else "",
        language=document.language,
        k=settings.alternatives,
        max_tokens=settings.max_tokens,
        stop=stop,
        deadline_s=AUTO_DEADLINE_S if settings.deadline_s == AUTO else settings.deadline_s,
        document=document.uri,
        lead_first=True,
        tells_growing=True,
    )


def _prefix_start(text: str, cursor: int, n_chars: int) -> int:
    """The start of a definition at most `n_chars` before the cursor, else of a line.

    It moves in steps of a third, not with every key: the engine keeps what it computed for an unchanged beginning.
    """
    step = n_chars // 3
    earliest = -(-max(0, cursor - n_chars) // step) * step
    if earliest == 0:
        return 0
    whole = _DEFINITION.search(text, earliest, min(cursor, earliest + step))
    border = whole.start() if whole else text.find("\n", earliest, cursor)
    return earliest if border < 0 else border + 1


def _suffix_end(text: str, cursor: int, n_chars: int) -> int:
    latest = cursor + n_chars
    if latest >= len(text):
        return len(text)
    border = text.rfind("\n\n", cursor + n_chars // 2, latest)
    if border < 0:
        border = text.rfind("\n", cursor, latest)
    return latest if border < 0 else border


def plain_text(text: str) -> str:
    """The text as a model gets it: `\\n` as its only line end, no lone surrogates."""
    return clean_text(text).replace("\r\n", "\n").replace("\r", "\n")
