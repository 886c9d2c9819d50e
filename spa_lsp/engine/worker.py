"""The one thread that owns the completer: loading and computing happen here, results go back to the event loop.

torch is not imported here: `load` brings it.
"""

import logging
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol

from spa_lsp.completion import Alternative, Completer, CompletionRequest, CompletionResult, IsCancelled
from spa_lsp.engine.watchdog import LOAD_PATIENCE, Watchdog
from spa_lsp.errors import NoMemory, SpaError, Unavailable

MORE_MEMORY = "close other programs, or choose a smaller base or quantization"

OnProgress = Callable[[str, float], None]  # stage, fraction of the whole load
OnNamedAlternative = Callable[[str, Alternative], None]  # with the name of the set that it is of
About = dict[str, Any]

logger = logging.getLogger(__name__)


class EngineCompleter(Completer, Protocol):
    """What an engine serves. All methods are called in the worker thread only."""

    def describe(self) -> About:
        """The base, adapter set, quantization and device in use, as they stand in a result."""
        ...

    def use_set(self, name: str | None) -> None:
        """Switch to this adapter set, None being the selected one; does nothing when it is in use already."""
        ...


Load = Callable[[OnProgress], EngineCompleter]


class Worker:
    """Takes work from the event loop and answers through `post(function, *args)`, which calls it in the loop."""

    def __init__(self, load: Load, post: Callable[..., None], watchdog: Watchdog) -> None:
        self._get_completer = load
        self._post = post
        self._watchdog = watchdog
        self._completer: EngineCompleter | None = None
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        # a daemon: the engine may end in the middle of a load
        Thread(target=self._run, name="completer", daemon=True).start()

    def load(self, on_progress: OnProgress, on_done: Callable[[About | SpaError], None]) -> None:
        """Get the completer; `on_done` is told what it is, or why there is none."""
        self._work.put(partial(self._load, on_progress, on_done))

    def compute(
        self,
        request: CompletionRequest,
        *,
        adapter_set: str | None,
        on_alternative: OnNamedAlternative,
        is_cancelled: IsCancelled,
        on_done: Callable[[CompletionResult | SpaError, About], None],
    ) -> None:
        """Serve one request with this adapter set; of these functions only `is_cancelled` is called in the thread."""
        post_alternative = partial(self._post, on_alternative)
        self._work.put(partial(self._compute, request, adapter_set, post_alternative, is_cancelled, on_done))

    def _run(self) -> None:
        while True:
            self._work.get()()

    def _load(self, on_progress: OnProgress, on_done: Callable[[About | SpaError], None]) -> None:
        def report(stage: str, fraction: float) -> None:
            self._watchdog.wind(patience=LOAD_PATIENCE)
            self._post(on_progress, stage, fraction)

        try:
            self._watchdog.wind(patience=LOAD_PATIENCE)
            self._completer = self._get_completer(report)
            self._post(on_done, self._completer.describe())
        except Exception as error:  # the engine's border: it must live to tell its clients
            self._post(on_done, _as_spa_error(error, "load the model"))
        finally:
            self._watchdog.stop()

    def _compute(
        self,
        request: CompletionRequest,
        adapter_set: str | None,
        on_alternative: OnNamedAlternative,
        is_cancelled: IsCancelled,
        on_done: Callable[[CompletionResult | SpaError, About], None],
    ) -> None:
        assert self._completer is not None
        answer: CompletionResult | SpaError
        try:
            self._watchdog.wind()
            self._completer.use_set(adapter_set)
            is_over = partial(self._step, is_cancelled)
            on_named = partial(on_alternative, str(self._completer.describe().get("adapter_set", "")))
            answer = self._completer.complete(request, on_alternative=on_named, is_cancelled=is_over)
        except Exception as error:  # the engine's border: one bad request must not end it
            answer = _as_spa_error(error, "serve this request")
        finally:
            self._watchdog.stop()
        self._post(on_done, answer, self._completer.describe())

    def _step(self, is_cancelled: IsCancelled) -> bool:
        """What the completer asks between its steps."""
        self._watchdog.wind()
        return is_cancelled()


def _as_spa_error(error: Exception, aim: str) -> SpaError:
    if isinstance(error, SpaError):
        return error
    logger.error("could not %s", aim, exc_info=error)
    if _is_out_of_memory(error):
        return NoMemory(f"there is not enough memory to {aim}; {MORE_MEMORY}")
    return Unavailable(f"the engine could not {aim} ({type(error).__name__}); its log says why")


def _is_out_of_memory(error: Exception) -> bool:
    """A GPU's lack of memory is an error of torch's own, the processor's a plain RuntimeError."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or any(
        phrase in words for phrase in ("out of memory", "can't allocate memory", "not enough memory")
    )
