"""Prompts that stay while one types: the text around the place where they were anchored, and what was typed since.

Without an anchor the text behind the cursor is read again at every key, because it stands behind what is typed. With
one, prefix and suffix stay as they were and a key costs its own tokens (idea: EFIM, arXiv 2505.21889).
"""

from dataclasses import dataclass

from spa_lsp.server.context import Window
from spa_lsp.server.spots import Spot, typed_since

SETTLED_CHARS = 20  # of what was typed, less is not worth a prompt of its own in idle time
MAX_BEGUN_CHARS = 60  # beyond, what stands before the cursor is better read as what it is: text that is given


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A place and the prompt that was made there."""

    spot: Spot
    window: Window  # the text around it, as the model gets it


class Anchors:
    """The anchor of each document that is being completed."""

    def __init__(self) -> None:
        self._anchors: dict[str, Anchor] = {}

    def find(self, spot: Spot) -> tuple[Anchor, str] | None:
        """The anchor that serves this place, and what was typed since; None when one must be made.

        None when the text around it has changed, the cursor has left it, or much was typed.
        """
        anchor = self._anchors.get(spot.uri)
        begun = typed_since(anchor.spot, spot) if anchor else None
        if anchor is None or begun is None or len(begun) > MAX_BEGUN_CHARS:
            return None
        return anchor, begun

    def put(self, anchor: Anchor) -> None:
        """From now on this is its document's."""
        self._anchors[anchor.spot.uri] = anchor

    def forget(self, uri: str) -> None:
        """The document was closed."""
        self._anchors.pop(uri, None)

    def clear(self) -> None:
        """The settings have changed: other windows are wanted."""
        self._anchors.clear()
