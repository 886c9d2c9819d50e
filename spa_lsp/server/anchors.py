"""Prompts that stay while one types: the text around the place where they were anchored, and what was typed since.

Without an anchor the text behind the cursor is read again at every key, because it stands behind what is typed. With
one, prefix and suffix stay as they were and a key costs its own tokens (idea: EFIM, arXiv 2505.21889).
"""

from dataclasses import replace

from spa_lsp.server.spots import Spot, typed_since
from spa_lsp.text.site import Site

SETTLED_CHARS = 20  # of what was typed, less is not worth a prompt of its own in idle time
MAX_BEGUN_CHARS = 60  # beyond, what stands before the cursor is better read as what it is: text that is given


class Anchors:
    """Of each document that is being completed the place where its prompt was made, and that text."""

    def __init__(self) -> None:
        self._anchors: dict[str, tuple[Spot, Site]] = {}

    def find(self, spot: Spot) -> Site | None:
        """The anchored text that serves this place, with what was typed since; None when there must be another.

        None when the text around it has changed, the cursor has left it, or much was typed.
        """
        anchor, site = self._anchors.get(spot.uri, (None, None))
        begun = typed_since(anchor, spot) if anchor else None
        if site is None or begun is None or len(begun) > MAX_BEGUN_CHARS:
            return None
        return replace(site, begun=begun)

    def put(self, spot: Spot, site: Site) -> None:
        """From now on the document's prompts are those of this text around this place."""
        self._anchors[spot.uri] = spot, site

    def forget(self, uri: str) -> None:
        """The document was closed."""
        self._anchors.pop(uri, None)

    def clear(self) -> None:
        """The settings have changed: other windows are wanted."""
        self._anchors.clear()
