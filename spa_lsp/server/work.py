"""One asking of the engine, shared by all requests for the same place, with a second asking when too few differ.

Where the lead is there before the next key, it is asked for alone, and the others when the user has stopped typing.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from spa_lsp.completion import Alternative, CompletionRequest, CompletionResult, OnAlternative
from spa_lsp.server.answers import Answer
from spa_lsp.server.spots import Spot
from spa_lsp.text.ranking import make_offers
from spa_lsp.text.shown import Offer
from spa_lsp.text.site import Site

GRACE_S = 0.05  # of a work that nobody waits for: editors give up a request just before they ask anew

logger = logging.getLogger(__name__)

Names = Callable[[str], Awaitable[tuple[str, ...]]]  # the adapters of a set, in its order
RankerOf = Callable[[str], Awaitable[Mapping[str, float]]]  # what orders the alternatives of a set, see `text.ranking`


class Complete(Protocol):
    """The engine; None: it is not there, or loads."""

    def __call__(
        self, request: CompletionRequest, on_alternative: OnAlternative | None = None
    ) -> Awaitable[CompletionResult | None]:
        """The result."""


@dataclass(frozen=True, kw_only=True)
class WorkOrder:
    """What a work is about."""

    spot: Spot
    site: Site  # as the rules about texts see it: more than the model does
    request: CompletionRequest
    counts: Mapping[str, int]  # accepted alternatives by adapter
    kept: tuple[Offer, ...] = ()  # what is on the screen there already: it keeps its place
    others_after_s: float = 0.0  # since the beginning; 0: lead and others are one request


async def no_ranker(adapter_set: str) -> Mapping[str, float]:
    """As if no set had one."""
    return {}


class Work:
    """Goes on until it is done or nobody wants it; must be made in the event loop."""

    def __init__(
        self,
        order: WorkOrder,
        complete: Complete,
        names: Names,
        on_answer: Callable[[Answer], None],
        *,
        adapter_set: Callable[[], str],
        ranker_of: RankerOf = no_ranker,
        on_first: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.order = order
        self._adapter_set = adapter_set  # that answers, as far as is known before the end
        self._ranker_of = ranker_of
        self._on_first = on_first  # told how long the engine's first alternative took
        self._began = time.monotonic()
        self._complete = complete
        self._names = names
        self._on_answer = on_answer
        self._found: list[Alternative] = []
        self._kept = order.kept  # and what was given before the end: they keep their places
        self._lead: Alternative | None = None  # that came before the others: it is shown before them
        self._so_far = ""  # what it says, as far as it is written
        self._is_answered = False
        self._ranking = asyncio.Lock()  # one answer at a time, and none in part after the whole
        self._n_waiting = 0
        self._is_cancelled = False
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_note_failure)

    @property
    def is_waited_for(self) -> bool:
        """Whether a request needs it."""
        return self._n_waiting > 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self._task.done() or self._is_cancelled

    def goes_on_with(self, typed: str) -> bool:
        """Whether the lead, as far as it is written, says what was typed behind the work's place."""
        return bool(self._so_far) and (self._so_far.startswith(typed) or typed.startswith(self._so_far))

    def cancel(self) -> None:
        """Free the engine."""
        self._is_cancelled = True  # the task ends a little later
        self._task.cancel()

    async def all(self) -> Answer | None:
        """The whole answer; None when there is none. When the last one who waits is cancelled, so is the work, soon."""
        return await self._wait(self._whole())

    async def first(self, budget_s: float) -> Answer | None:
        """What there is after `budget_s`, or as soon as there is anything; the rest goes on being computed."""
        return await self._wait(self._first(budget_s))

    async def _wait(self, answer: Awaitable[Answer | None]) -> Answer | None:
        self._n_waiting += 1
        try:
            return await answer
        except asyncio.CancelledError:
            if self._n_waiting == 1:  # the next key may be one that the lead says
                asyncio.get_running_loop().call_later(GRACE_S, self._cancel_unless_waited_for)
            raise
        finally:
            self._n_waiting -= 1

    def _cancel_unless_waited_for(self) -> None:
        if not self.is_waited_for:
            self.cancel()

    async def _whole(self) -> Answer | None:
        await asyncio.wait({self._task})
        return None if self._is_cancelled or self._task.cancelled() else self._task.result()

    async def _first(self, budget_s: float) -> Answer | None:
        await asyncio.wait({self._task}, timeout=budget_s)
        while not self._task.done():
            self._news.clear()
            if (answer := await self._answer_in_part()) is not None:
                return answer
            news = asyncio.ensure_future(self._news.wait())
            await asyncio.wait({self._task, news}, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
        return await self._whole()

    async def _run(self) -> Answer | None:
        request = self.order.request
        names = await self._names(self._adapter_set()) if self.order.others_after_s else ()
        is_lead_alone = len(names) > 1
        result = await self._complete(replace(request, k=1) if is_lead_alone else request, self._add)
        if result is None or result.is_cancelled:
            return None
        async with self._ranking:
            answer = await self._answer(result.alternatives, adapter_set=result.adapter_set)
            is_late, n_wanted = _is_late(result), request.k or (len(names) if is_lead_alone else 0)
            if len(answer.offers) >= n_wanted or is_late:
                return self._finish(replace(answer, is_late=is_late))
        if is_lead_alone:
            await asyncio.sleep(self.order.others_after_s - (time.monotonic() - self._began))
        more = await self._ask_others(result, n_wanted, is_lead_alone=is_lead_alone)
        async with self._ranking:  # without others, too: something may have been shown meanwhile
            answer = await self._answer([*result.alternatives, *more], adapter_set=result.adapter_set)
            return self._finish(replace(answer, offers=answer.offers[: request.k]))

    async def _ask_others(self, result: CompletionResult, k: int, *, is_lead_alone: bool) -> tuple[Alternative, ...]:
        """Alternatives that were not asked for before, as far as there are any."""
        names = await self._names(result.adapter_set)
        asked = {alternative.adapter for alternative in result.alternatives}
        others = [name for name in names if name not in asked]
        if others:
            lead = self._lead.adapter if self._lead else ""
            request = replace(self.order.request, adapters=tuple(others[:k]), k=None, lead_first=False, behind=lead)
        elif is_lead_alone and not names:  # it was no set, after all, or one that cannot be found: the lead comes again
            request = self.order.request
        else:
            return ()
        if request.deadline_s is not None:  # one for both
            left_s = request.deadline_s - (time.monotonic() - self._began)
            if left_s <= 0:
                return ()
            request = replace(request, deadline_s=left_s)
        more = await self._complete(request, self._add)
        if more is None or more.is_cancelled or more.adapter_set != result.adapter_set:
            return ()
        known = [_row(alternative) for alternative in result.alternatives]
        return tuple(each for each in more.alternatives if _row(each) not in known)

    def _add(self, alternative: Alternative) -> None:
        if not self._found:
            self._so_far = alternative.text
        if alternative.finish == "growing" or _row(alternative) in map(_row, self._found):
            return
        if not self._found:
            self._lead = alternative if self.order.request.lead_first else None
            self._on_first(time.monotonic() - self._began)
        self._found.append(alternative)
        self._news.set()

    async def _answer_in_part(self) -> Answer | None:
        """What is offered of what has come so far; None when that is nothing, or the end has come."""
        async with self._ranking:
            answer = await self._answer(self._found, adapter_set=self._adapter_set())
            if not answer.offers or self.is_over or self._is_answered:
                return None
            self._kept = answer.offers
            self._on_answer(part := replace(answer, is_whole=False))
            return part

    def _finish(self, answer: Answer) -> Answer:
        self._is_answered = True
        self._on_answer(answer)
        return answer

    async def _answer(self, alternatives: Sequence[Alternative], *, adapter_set: str) -> Answer:
        """In a thread: to parse a long document once for each alternative takes up to some seconds."""
        order = self.order
        rank = partial(make_offers, tuple(alternatives), order.site, counts=order.counts)
        ranker = await self._ranker_of(adapter_set)
        offers = await asyncio.to_thread(rank, kept=self._kept, lead=self._lead, ranker=ranker)
        return Answer(spot=order.spot, adapter_set=adapter_set, offers=tuple(offers), stop=order.request.stop)


def _note_failure(task: asyncio.Task[Answer | None]) -> None:
    """Who waits raises it too; but maybe nobody waits."""
    if not task.cancelled() and (error := task.exception()):
        logger.debug("a work failed: %s", type(error).__name__)


def _row(alternative: Alternative) -> tuple[str, int]:
    """The same for what is told again."""
    return alternative.adapter, alternative.index


def _is_late(result: CompletionResult) -> bool:
    return any(alternative.finish == "deadline" for alternative in result.alternatives)
