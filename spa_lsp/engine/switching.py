"""The engine's completer: a local one that follows what is selected, published or replaced on the disk."""

import logging
from typing import TYPE_CHECKING

from spa_lsp.adapters.finding import find_served_set, places_stamp
from spa_lsp.adapters.reading import MANIFEST_NAME
from spa_lsp.completion import CompletionRequest, CompletionResult, IsCancelled, OnAlternative
from spa_lsp.engine.worker import About
from spa_lsp.errors import SpaError
from spa_lsp.storage.whole_files import Stamp, file_stamp

if TYPE_CHECKING:
    from spa_lsp.lm.completer import LocalCompleter

logger = logging.getLogger(__name__)


class SwitchingCompleter:
    """A local completer whose adapter set is called by name, looked up again when something changed on the disk.

    So a set that is selected or published while the engine runs is used from the next request on. One that cannot be
    used leaves the set before in its place, if that was called by the same name.
    """

    def __init__(self, completer: "LocalCompleter", base_id: str) -> None:
        self._completer = completer
        self._base_id = base_id
        self._name: str | None = None  # by which the set in use was called
        self._is_named = False  # whether it was called at all yet
        self._seen: tuple[Stamp, ...] = ()
        self._complaint = ""

    def use_set(self, name: str | None) -> None:
        """Switch to this adapter set unless it is in use."""
        seen = places_stamp(self._base_id)  # before the look-up: what changes in between is seen the next time
        if self._is_named and name == self._name and (*seen, self._own_stamp()) == self._seen:
            return
        try:
            wanted = find_served_set(name, self._base_id)
            if wanted != self._completer.adapter_set:
                self._completer.swap_set(wanted)
        except SpaError as error:
            if not self._is_named or name != self._name:
                raise
            self._keep(error)
        self._name, self._is_named = name, True
        self._seen = (*seen, self._own_stamp())

    def _own_stamp(self) -> Stamp:
        used = self._completer.adapter_set
        return file_stamp(used.folder / MANIFEST_NAME) if used is not None and used.folder is not None else None

    def _keep(self, error: SpaError) -> None:
        if str(error) != self._complaint:
            self._complaint = str(error)
            logger.warning("the adapter set stays as it was: %s", error)

    def describe(self) -> About:
        """As the local completer says."""
        return self._completer.describe()

    def complete(
        self,
        request: CompletionRequest,
        *,
        on_alternative: OnAlternative | None = None,
        is_cancelled: IsCancelled | None = None,
    ) -> CompletionResult:
        """As the local completer does."""
        return self._completer.complete(request, on_alternative=on_alternative, is_cancelled=is_cancelled)
