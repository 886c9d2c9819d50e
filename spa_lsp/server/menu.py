"""Inline items as entries of the ordinary completion menu, for editors without inline completion. Pure."""

import re
from collections.abc import Sequence

from lsprotocol import types

from spa_lsp.server.documents import offset_at, position_at

MAX_LABEL_CHARS = 80

_WORD = re.compile(r"\w*\Z")


def to_menu(
    items: Sequence[types.InlineCompletionItem], text: str, position: types.Position, encoding: str
) -> types.CompletionList:
    """The entries in the items' order. Each begins with the word before the cursor, by which editors filter them."""
    cursor = offset_at(text, position, encoding)
    line_start = max(text.rfind("\n", 0, cursor), text.rfind("\r", 0, cursor)) + 1
    found = _WORD.search(text[line_start:cursor])
    assert found is not None
    word = found[0]
    start = position_at(text, cursor - len(word), encoding)
    entries = [_entry(item, n, word, start) for n, item in enumerate(items)]
    return types.CompletionList(is_incomplete=True, items=entries)


def _entry(item: types.InlineCompletionItem, n: int, word: str, start: types.Position) -> types.CompletionItem:
    assert item.range is not None  # ours have one: it may take in what stands behind the cursor
    text = word + str(item.insert_text)
    lines = text.strip().split("\n")
    label = lines[0][:MAX_LABEL_CHARS] + (" …" if len(lines) > 1 or len(lines[0]) > MAX_LABEL_CHARS else "")
    adapter = item.command.title if item.command else ""
    return types.CompletionItem(
        label=label,
        label_details=types.CompletionItemLabelDetails(description=adapter),
        kind=types.CompletionItemKind.Text,
        detail=adapter,
        documentation=text,
        sort_text=f"{n:03}",
        filter_text=text,
        text_edit=types.TextEdit(range=types.Range(start=start, end=item.range.end), new_text=text),
        command=item.command,
    )
