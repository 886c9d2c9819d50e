"""The state of one front, and what every handler does with it: reach the engine, use settings, tell the user."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from spa_lsp import __version__, errors
from spa_lsp.engine.client import EngineLink, open_link
from spa_lsp.engine.events import LinkEvent, Names, Using
from spa_lsp.remote.link import RemoteLink
from spa_lsp.server import feedback
from spa_lsp.server.adapter_names import AdapterNames
from spa_lsp.server.configuration import Configuration
from spa_lsp.server.neighbours import Neighbours
from spa_lsp.server.offering import Offering
from spa_lsp.server.protocol import SpaProtocol, make_converter
from spa_lsp.server.status import Bar, Status
from spa_lsp.settings.engine_url import LOCAL, parse_engine_url
from spa_lsp.settings.schema import Settings

if TYPE_CHECKING:
    from spa_lsp.remote.engine import RemoteEngine

logger = logging.getLogger(__name__)

# of every kind of notebook all cells: what is not offered in a language is a setting
_ALL_NOTEBOOKS = types.NotebookDocumentSyncOptions(
    notebook_selector=[types.NotebookDocumentFilterWithNotebook(notebook="*")]
)


class SpaServer(LanguageServer):
    """The state of one front."""

    protocol: SpaProtocol

    def __init__(self, engine_command: Sequence[str] | None = None) -> None:
        super().__init__(
            "spa-lsp",
            __version__,
            protocol_cls=SpaProtocol,
            converter_factory=make_converter,
            notebook_document_sync=_ALL_NOTEBOOKS,
        )
        self.configuration = Configuration()
        self.status = Status(self.protocol.notify, self.progress_bar)
        self.recorder = feedback.Recorder()
        self.is_on = True  # `spa-lsp.toggle`
        self.names = AdapterNames()
        self.offering = Offering(
            lambda request, on_alternative=None: self.link.complete(request, on_alternative),
            lambda adapter_set: self.names.of(self.settings.base, adapter_set),
            self.configuration.settings_of,
            Neighbours(lambda: self.configuration.folders, self.configuration.is_ignored),
            ranker_of=lambda adapter_set: self.names.ranker_of(self.settings.base, adapter_set),
        )
        self.takes_first = False  # the client asks again when the user wants to see others
        self.shows_first = False  # the client is told what comes first while its request runs
        self.asking: dict[str, asyncio.Task[Any]] = {}  # by document: the request that has no answer yet
        self.n_answers: Counter[tuple[str, bool]] = Counter()  # by how they were asked for, and whether from the cache
        self.starting: asyncio.Task[None] | None = None  # kept, or it could be collected before it is done
        self._learning: asyncio.Future[None] | None = None  # the same
        self._counting: asyncio.Task[None] | None = None  # the same
        self._held: Names | None = None  # what was told last
        self.is_over = asyncio.Event()
        self._engine_command = engine_command
        self._link: EngineLink | RemoteLink | None = None
        self._are_limits_new = (
            False  # the user has changed those of the engine, which may have been started with others
        )
        self._used = self.settings  # by the link
        self._all_used = self.configuration.all_settings  # and for the answers that are kept
        self._shown: set[type[errors.SpaError]] = set()

    @property
    def settings(self) -> Settings:
        """The settings as they were read last."""
        return self.configuration.settings

    @property
    def link(self) -> EngineLink | RemoteLink:
        """The way to the engine that the settings name."""
        if self._link is None:
            is_local = self.settings.engine == LOCAL
            self._link = self._open_local() if is_local else self._open_remote(self.settings)
        return self._link

    def _open_local(self) -> EngineLink:
        return open_link(
            self.settings.base,
            self.settings.adapter_set,
            self.settings.quantization,
            idle_s=self.settings.engine_idle_s,
            max_memory_mb=self.settings.max_memory_mb or None,
            are_limits_new=self._are_limits_new,
            on_problem=self.report,
            on_event=self._on_engine_event,
            command=self._engine_command,
        )

    def _open_remote(self, settings: Settings) -> RemoteLink:
        def make_engine() -> "RemoteEngine":
            from spa_lsp.remote.engine import RemoteEngine  # and with it HTTP and TLS, which few fronts need

            return RemoteEngine(settings)

        open_local = self._open_local if settings.engine_fallback else None
        return RemoteLink(make_engine, self.report, self._on_engine_event, open_local=open_local)

    def use_settings(self) -> None:
        """Complain about settings that cannot be used, and go by the others: what was computed before is forgotten."""
        for complaint in self.configuration.take_complaints():
            logger.warning("%s", self.configuration.without_folders(complaint))
            self.show(f"spa-lsp: {complaint}")
        before, self._used = self._used, self.settings
        self.status.send_to("" if self.settings.engine == LOCAL else parse_engine_url(self.settings.engine).place)
        all_before, self._all_used = self._all_used, self.configuration.all_settings
        limits = self.settings.engine_idle_s, self.settings.max_memory_mb
        if self._link is not None and limits != (before.engine_idle_s, before.max_memory_mb):
            self._are_limits_new = True
        if self._link is not None and _engine_of(before) != _engine_of(self.settings):
            self.leave_engine()
            self.link.start()
        elif all_before != self._all_used:
            self.offering.clear()
        if self.settings.learned_order and self._learning is None:
            self._learning = asyncio.get_running_loop().run_in_executor(None, self.offering.learned.load)

    def leave_engine(self) -> None:
        """Forget the link and its answers; the next use makes another."""
        if self._link is not None:
            self._link.close()
            self._link = None
        self.offering.adapter_set = ""
        self.offering.clear()
        self._shown.clear()

    def _on_engine_event(self, event: LinkEvent) -> None:
        self.status.on_event(event)
        if isinstance(event, Names | Using):
            self.offering.adapter_set = event.adapter_set
        if isinstance(event, Names):
            self.offering.tokens_per_s = event.prompt_tokens_per_s or self.offering.tokens_per_s
            self.status.hold(event.base, event.adapter_set)
            self._held, self._counting = event, asyncio.get_running_loop().create_task(self._count(event))

    async def _count(self, held: Names) -> None:
        """Tell how many adapters are held, unless it is something else meanwhile."""
        adapters = await self.names.of(held.base, held.adapter_set)
        if held is self._held:
            self.status.count(len(adapters) or None)

    def progress_bar(self) -> Bar | None:
        """The client's progress bar, if it has one."""
        window = self.client_capabilities.window
        return self.work_done_progress if window and window.work_done_progress else None

    def end(self) -> None:
        """Stop reading; the process ends."""
        self.is_over.set()

    def report(self, error: errors.SpaError) -> None:
        """Log an error, and show the first of its kind to the user, who alone can fix it."""
        logger.warning("%s", error)
        if type(error) not in self._shown:
            self._shown.add(type(error))
            self.show(f"spa-lsp: {error}")

    def show(self, message: str) -> None:
        """A message that the user sees."""
        self.window_show_message(types.ShowMessageParams(type=types.MessageType.Warning, message=message))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log it; pygls would show it to the user."""
        logger.error("%s: %s", getattr(source, "__name__", source), type(error).__name__)


def _engine_of(settings: Settings) -> tuple[Any, ...]:
    """The settings that decide which engine, with what, is asked."""
    remote = settings.engine, settings.engine_key, settings.engine_fallback, settings.allow_insecure
    engine = settings.base, settings.adapter_set, settings.quantization, *remote
    return *engine, settings.engine_idle_s, settings.max_memory_mb
