"""How often this user took which adapter's alternatives in which language: counts of the outcomes noted, no more."""

import logging
from collections import Counter
from collections.abc import Mapping

from spa_lsp.errors import SpaError

logger = logging.getLogger(__name__)


class LearnedOrder:
    """Counts of accepted alternatives, read once and then kept up."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}

    def load(self) -> None:
        """Read what was noted earlier. Reads a file: not for the event loop."""
        from spa_lsp.outcomes.file import accepted_counts  # SQLite is not needed to show alternatives

        try:
            self._counts = {language: Counter(counts) for language, counts in accepted_counts().items()}
        except SpaError as error:
            logger.warning("the order of alternatives is not learned: %s", error)

    def add(self, language: str, adapter: str) -> None:
        """One more was accepted."""
        self._counts.setdefault(language, Counter())[adapter] += 1

    def of(self, language: str) -> Mapping[str, int]:
        """Accepted alternatives in this language by adapter."""
        return self._counts.get(language, {})
