"""All alternatives at a cursor side by side: texts, figures, and what differs from the first. Pure."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from spa_lsp.completion import Alternative, CompletionResult
from spa_lsp.server.context import Window
from spa_lsp.shown import shown_infills

REQUEST = "spa-lsp/alternatives"


def to_panel(result: CompletionResult | None, window: Window, language: str) -> dict[str, Any]:
    """The answer: every adapter's text as it would be inserted, also the same ones (`same_as`: number from 1)."""
    if result is None or result.is_cancelled:
        return {"base": "", "adapter_set": "", "alternatives": []}
    shown = shown_infills(result.alternatives, prefix=window.prefix, suffix=window.suffix, language=language)
    texts = [each.text for each in shown]
    first = next((text for text in texts if text is not None), "")
    alternatives = [
        {**_about(each.alternative), "text": each.text, "same_as": each.same_as, "diff": line_diff(first, each.text)}
        for each in shown
        if each.text is not None
    ]
    return {"base": result.base, "adapter_set": result.adapter_set, "alternatives": alternatives}


def line_diff(first: str, text: str) -> list[dict[str, str]]:
    """The lines of both, in order: `=` in both, `-` only in the first, `+` only in the text."""
    before, after = first.split("\n"), text.split("\n")
    lines = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            lines += [{"kind": "=", "line": line} for line in before[i1:i2]]
            continue
        lines += [{"kind": "-", "line": line} for line in before[i1:i2]]
        lines += [{"kind": "+", "line": line} for line in after[j1:j2]]
    return lines


def _about(alternative: Alternative) -> dict[str, Any]:
    names: Sequence[str] = ("adapter", "label", "index", "mean_logprob", "n_tokens", "finish")
    return {name: getattr(alternative, name) for name in names}
