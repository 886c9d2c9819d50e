"""Which alternatives are offered at a cursor, and with how little work: from the cache, from work that runs, anew."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from spa_lsp.completion import CompletionRequest, CompletionResult, OnAlternative, StopPolicy
from spa_lsp.server.accepted_counts import LearnedOrder
from spa_lsp.server.anchors import SETTLED_CHARS, Anchors
from spa_lsp.server.answers import Answer, AnswerCache
from spa_lsp.server.context import make_request, make_site
from spa_lsp.server.documents import Document
from spa_lsp.server.neighbours import Neighbours
from spa_lsp.server.pace import Pace
from spa_lsp.server.spots import Cursor, Spot, spot_of, typed_since
from spa_lsp.server.window_size import COLD_S, FOR_RULES, READ_S, WindowSize, window_size
from spa_lsp.server.work import Complete, Names, RankerOf, Work, WorkOrder, no_ranker
from spa_lsp.settings.engine_url import LOCAL
from spa_lsp.settings.schema import AUTO, Settings
from spa_lsp.text.ipython import as_python
from spa_lsp.text.site import Site

SETTLE_S = 1.5  # without a request, before a larger prompt is read where the user is
IDLE_S = 0.05  # without a request, before what may follow is asked for: editors ask within this time or wait longer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a front asks for: where, and whether the first good ones will do."""

    cursor: Cursor
    is_hasty: bool = False
    is_asked: bool = False  # the user wants them, and waits
    wants_block: bool = False  # and not the single lines that are offered unasked


class Offering:
    """The state behind the answers of one front; lives in the event loop."""

    def __init__(
        self,
        complete: Complete,
        names: Names,
        settings_of: Callable[[str], Settings],
        neighbours: Neighbours,
        *,
        ranker_of: RankerOf = no_ranker,
    ) -> None:
        self.answers = AnswerCache()
        self.anchors = Anchors()
        self.learned = LearnedOrder()
        self.neighbours = neighbours
        self._ask_engine = complete
        self._names = names
        self._ranker_of = ranker_of
        self._settings_of = settings_of
        self._works: dict[str, Work] = {}
        self._n_cleared = 0
        self.adapter_set = ""  # that the engine holds, as far as is known
        self.pace = Pace()
        self.tokens_per_s: float | None = None  # of a prompt, as the engine has measured it
        self._speculation: asyncio.Task[None] | None = None
        self._last: Ask | None = None  # that the engine was asked for
        self._dismissed: Spot | None = None  # where what was offered is not on the screen any more

    async def answer(self, ask: Ask, on_part: Callable[[Answer], None] | None = None) -> Answer | None:
        """The alternatives here; None when there are none.

        `on_part` gets what would do for who is hasty, when that is not all.
        """
        if not ask.is_asked:
            self.pace.key(time.monotonic())
        spot = spot_of(ask.cursor)
        answer = self._found(ask, spot)
        if answer is None and (work := self._agreeing_work(ask, spot)):
            await work.first(0.0)
            answer = self._found(ask, spot)
        if _is_enough(answer, ask):
            return answer
        if answer is not None and (work := self._running_work(ask, spot)):
            if on_part:
                on_part(answer)
            await work.all()  # what was shown in part is being completed
            return self.answers.find(spot)
        work = self._fitting_work(ask, spot) or await self._start_for(ask, spot, kept=answer)
        if not ask.is_hasty and not on_part:
            return await work.all()
        first = await work.first(self._settings(ask).first_items_ms / 1000)
        if ask.is_hasty or not on_part or first is None or first.is_whole:
            return first
        on_part(first)
        return await work.all()

    def knows(self, ask: Ask) -> bool:
        """Whether the answer comes without the engine."""
        return _is_enough(self._found(ask, spot_of(ask.cursor)), ask)

    def is_dismissed(self, cursor: Cursor) -> bool:
        """Whether the user has let go of what was offered here, or where this was typed since."""
        return self._dismissed is not None and typed_since(self._dismissed, spot_of(cursor)) is not None

    def accepted(self, adapter_set: str, index: int, find: Callable[[str], Document | None], uri: str = "") -> None:
        """An alternative was inserted: ask for what may follow it, if there is nothing else to do.

        `find` gives an open document; `uri` is that of the one it was offered in, where the client says so.
        """
        self._stop_speculating()
        found = self.answers.latest(adapter_set, index, uri)
        document = find(found[0].spot.uri) if found else None
        if found is None or document is None or not self._settings_of(document.file_uri).speculative:
            return
        answer, offer = found
        cursor = cursor_after(answer, offer.text, document)
        if cursor is not None:
            self._speculation = asyncio.create_task(self._speculate(Ask(cursor=cursor)))

    def is_on_screen(self, adapter_set: str, index: int, uri: str = "") -> None:
        """The user looks at this alternative: when more of it is typed or inserted, what is left of it comes first."""
        self._dismissed = None
        self.answers.prefer(adapter_set, index, uri)

    def dismissed(self, adapter_set: str, index: int, uri: str = "") -> None:
        """The user does not want to see this alternative."""
        found = self.answers.latest(adapter_set, index, uri)
        self._dismissed = found[0].spot if found else None

    def forget(self, uri: str) -> None:
        """The document was closed: when it is opened again, its versions may begin anew."""
        self.answers.forget(uri)
        self.anchors.forget(uri)
        self.neighbours.closed(uri)
        if work := self._works.pop(uri, None):
            work.cancel()

    def clear(self) -> None:
        """The settings or the adapters have changed: nothing computed before them is shown, whoever waits for it."""
        self._n_cleared += 1
        self.answers.clear()
        self.anchors.clear()
        self._stop_speculating()
        for work in self._works.values():
            work.cancel()
        self._works.clear()

    def _found(self, ask: Ask, spot: Spot) -> Answer | None:
        """The answer that is known already, if it will do."""
        answer = self.answers.find(spot)
        return answer if answer and self._will_do(answer.stop, ask) else None

    def _will_do(self, stop: StopPolicy, ask: Ask) -> bool:
        return stop != "single" or not ask.wants_block or self._settings(ask).stop != AUTO

    def _running_work(self, ask: Ask, spot: Spot) -> Work | None:
        """The work for this place, or for one from which this was typed."""
        work = self._works.get(spot.uri)
        if work is None or work.is_over or not self._will_do(work.order.request.stop, ask):
            return None
        return work if typed_since(work.order.spot, spot) is not None else None

    def _agreeing_work(self, ask: Ask, spot: Spot) -> Work | None:
        """The work whose lead is being written and says so far what was typed meanwhile."""
        work = self._running_work(ask, spot)
        typed = typed_since(work.order.spot, spot) if work else ""
        return work if work and typed and work.goes_on_with(typed) else None

    def _fitting_work(self, ask: Ask, spot: Spot) -> Work | None:
        work = self._running_work(ask, spot)
        return work if work and typed_since(work.order.spot, spot) == "" else None

    async def _start_for(self, ask: Ask, spot: Spot, kept: Answer | None) -> Work:
        self._stop_speculating()
        self._stop_all_works(but=None)
        n_cleared = self._n_cleared
        wait_s = 0.0 if ask.is_asked else self.pace.wait_s
        await asyncio.sleep(wait_s)  # the next key ends this request before it costs anything
        order = await self._order(ask, spot)
        while n_cleared != self._n_cleared:  # meanwhile: what was found and asked for is of other settings
            n_cleared, kept = self._n_cleared, None
            order = await self._order(ask, spot)
        if not ask.is_asked:
            order = replace(order, others_after_s=max(0.0, self.pace.pause_s - wait_s))
        return self._fitting_work(ask, spot) or self._start(_keeping(order, kept, ask))

    def _start(self, order: WorkOrder) -> Work:
        self._stop_all_works(but=order.spot)
        work = Work(
            order,
            self._complete,
            self._names,
            self._keep,
            adapter_set=lambda: self.adapter_set,
            ranker_of=self._ranker_of,
            on_first=self.pace.answered,
        )
        self._works[order.spot.uri] = work
        return work

    async def _order(self, ask: Ask, spot: Spot) -> WorkOrder:
        self._last = ask
        site = self.anchors.find(spot)
        if site is None:
            site = site_at(ask.cursor, self._size(ask))
            self.anchors.put(spot, site)
        request = await self._request(ask, site)
        language = ask.cursor.document.language
        return WorkOrder(
            spot=spot,
            site=_site_for_rules(ask.cursor),
            request=request,
            counts=self.learned.of(language) if self._settings(ask).learned_order else {},
        )

    async def _request(self, ask: Ask, site: Site) -> CompletionRequest:
        """What the engine is asked, with what other files have to say."""
        document, size = ask.cursor.document, self._size(ask)
        pieces = await self.neighbours.pieces(
            document, ask.cursor.start, site, n_chars=size.files, n_diff_chars=size.diff
        )
        return make_request(
            site,
            document,
            self._settings(ask),
            context=pieces,
            path=self.neighbours.label(document.file_uri, document.language),
            is_asked=ask.is_asked,
        )

    def _settings(self, ask: Ask) -> Settings:
        return self._settings_of(ask.cursor.document.file_uri)

    async def _complete(
        self, request: CompletionRequest, on_alternative: OnAlternative | None = None
    ) -> CompletionResult | None:
        result = await self._ask_engine(request, on_alternative)
        if result is not None and result.prompt_tokens_per_s:
            self.tokens_per_s = result.prompt_tokens_per_s
        return result

    def _size(self, ask: Ask, seconds: float = COLD_S) -> WindowSize:
        return window_size(self._settings(ask), self.tokens_per_s, seconds=seconds)

    def _keep(self, answer: Answer) -> None:
        self.adapter_set = answer.adapter_set
        if answer.offers:  # nothing may have come for want of time
            self.answers.put(answer)
        is_idle = self._speculation is None or self._speculation.done()
        if answer.is_whole and is_idle and self._last is not None and _reads_ahead(self._settings(self._last)):
            self._speculation = asyncio.create_task(self._settle(self._last))

    def _stop_all_works(self, *, but: Spot | None) -> None:
        """Free the engine of what nobody waits for, and of what was asked in the same document before."""
        for uri, work in list(self._works.items()):
            if not work.is_waited_for or (but is not None and uri == but.uri):
                work.cancel()
                del self._works[uri]

    def _stop_speculating(self) -> None:
        if self._speculation:
            self._speculation.cancel()
            self._speculation = None

    async def _speculate(self, ask: Ask) -> None:
        """Start a work that nobody waits for yet; a request for its place joins it, any other ends it."""
        await asyncio.sleep(IDLE_S)
        spot = spot_of(ask.cursor)
        if any(not work.is_over for work in self._works.values()) or self.answers.find(spot):
            return
        self._start(await self._order(ask, spot))

    async def _settle(self, ask: Ask) -> None:
        """While nothing is to be done, have the engine read more of the text, up to where the user is now."""
        await asyncio.sleep(SETTLE_S)
        spot = spot_of(ask.cursor)
        found = self.anchors.find(spot)
        if found is None or any(not work.is_over for work in self._works.values()):
            return
        site = site_at(ask.cursor, self._size(ask, seconds=READ_S))
        if len(found.begun) < SETTLED_CHARS and len(found.before) >= len(site.prefix):
            return
        request = await self._request(ask, site)
        request = replace(request, use_base=True, k=1, max_tokens=1, lead_first=False, deadline_s=None)
        read = await self._complete(request)
        if read is not None and not read.is_cancelled and self.anchors.find(spot) == found:
            self.anchors.put(spot, site)


def _reads_ahead(settings: Settings) -> bool:
    """Whether a prompt that the base reads helps: on a server elsewhere each adapter reads its own."""
    return settings.speculative and settings.engine == LOCAL


def _is_enough(answer: Answer | None, ask: Ask) -> bool:
    if answer is None or (answer.is_late and ask.is_asked):  # who asks again waits for what the deadline had cut
        return False
    return answer.is_whole or ask.is_hasty


def _keeping(order: WorkOrder, kept: Answer | None, ask: Ask) -> WorkOrder:
    """The order of more of what is on the screen, which stays but for what the deadline had cut."""
    if kept is None:
        return order
    on_time = (offer for offer in kept.offers if offer.alternative.finish != "deadline")
    offers = tuple(
        replace(offer, same=tuple(each for each in offer.same if each.finish != "deadline")) for offer in on_time
    )
    request = order.request if ask.wants_block else replace(order.request, stop=kept.stop)
    return replace(order, kept=offers, request=request)


def _site_for_rules(cursor: Cursor) -> Site:
    """What the rules look at."""
    site = site_at(cursor, FOR_RULES)
    if not cursor.document.notebook or site.language != "python":
        return site
    text, n = as_python(site.prefix + site.suffix), len(site.prefix)
    return replace(site, prefix=text[:n], suffix=text[n:])


def site_at(cursor: Cursor, size: WindowSize) -> Site:
    """The text around a cursor."""
    return make_site(
        cursor.document.text,
        cursor.start,
        cursor.end,
        prefix_chars=size.prefix,
        suffix_chars=size.suffix,
        typed=cursor.typed,
        language=cursor.document.language,
    )


def cursor_after(answer: Answer, text: str, document: Document) -> Cursor | None:
    """The cursor behind an alternative that was inserted; None while the document does not have it, or has more."""
    start = answer.spot.start
    for end in range(start + len(text), start + len(text) + text.count("\n") + 1):  # `\r\n` takes one more
        cursor = Cursor(document=document, start=end, end=end)
        if end <= len(document.text) and typed_since(answer.spot, spot_of(cursor)) == text:
            return cursor
    return None
