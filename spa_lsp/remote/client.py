"""The server elsewhere seen from a command: a `Completer` that blocks."""

import asyncio
import logging

from spa_lsp.completion import CompletionRequest, CompletionResult, IsCancelled, OnAlternative
from spa_lsp.errors import SpaError
from spa_lsp.remote.asking import Model
from spa_lsp.remote.engine import RemoteEngine
from spa_lsp.settings.schema import Settings

POLL_S = 0.02  # how soon a cancel is noticed

_GIVEN_UP = CompletionResult(base="", adapter_set="", quantization="", device="", is_cancelled=True)

logger = logging.getLogger(__name__)


class RemoteClient:
    """Asks the server that the settings name; has an event loop of its own, which runs during calls only."""

    def __init__(self, settings: Settings) -> None:
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        try:
            self._engine = self._runner.run(_make_engine(settings))
        except BaseException:
            self._runner.close()
            raise

    def complete(
        self,
        request: CompletionRequest,
        *,
        on_alternative: OnAlternative | None = None,
        is_cancelled: IsCancelled | None = None,
    ) -> CompletionResult:
        """As `completion.Completer` has it."""
        return self._runner.run(self._complete(request, on_alternative, is_cancelled))

    def check(self) -> Model:
        """What is to answer, once the server was seen to have it; no text is sent.

        Raises:
            SpaError: why it cannot.
        """
        return self._runner.run(self._engine.check())

    def close(self) -> None:
        """End all connections."""
        self._runner.run(self._engine.close())
        self._runner.close()

    async def _complete(
        self, request: CompletionRequest, on_alternative: OnAlternative | None, is_cancelled: IsCancelled | None
    ) -> CompletionResult:
        task = asyncio.create_task(self._engine.complete(request, on_alternative, _note))
        try:
            while is_cancelled is not None and not task.done():
                if is_cancelled():
                    return _GIVEN_UP
                await asyncio.wait({task}, timeout=POLL_S)
            return await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})


async def _make_engine(settings: Settings) -> RemoteEngine:
    """In the event loop that it is used in."""
    return RemoteEngine(settings)


def _note(error: SpaError) -> None:
    logger.warning("%s", error)
