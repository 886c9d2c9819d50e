"""Alternatives from a server elsewhere: a request for the lead, those of the others, and the one answer of them."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from spa_lsp.adapters.finding import find_served_set, places_stamp
from spa_lsp.adapters.leads import Leads
from spa_lsp.adapters.row_plan import RowPlan
from spa_lsp.adapters.served_base import served_base
from spa_lsp.adapters.server_export import check_servable, served_name
from spa_lsp.completion import CompletionRequest, CompletionResult, OnAlternative, Timing
from spa_lsp.errors import BadInput, SpaError, Unavailable
from spa_lsp.remote.asking import Model, check_has, plan_of, row_asks
from spa_lsp.remote.branching import Lead, branch_off, lead_of
from spa_lsp.remote.http import HttpServer
from spa_lsp.remote.key import read_key
from spa_lsp.remote.rows import Row
from spa_lsp.remote.served import Served, find_served
from spa_lsp.remote.turns import InOrder, run_in_turn
from spa_lsp.settings.engine_url import parse_engine_url
from spa_lsp.settings.schema import Settings
from spa_lsp.storage.whole_files import Stamp

FIND_AGAIN_S = 60.0  # a server may have been started anew, with other adapters

OnProblem = Callable[[SpaError], None]


class RemoteEngine:
    """One server, a base and a set; used in one event loop."""

    def __init__(self, settings: Settings) -> None:
        """The server that these settings name; nothing is sent yet.

        Raises:
            BadInput: others could read what is sent, or the key is not there.
        """
        url = parse_engine_url(settings.engine)
        if not url.is_private and not settings.allow_insecure:
            what = f"everybody on the way to {url.place} could read your text"
            raise BadInput(f"{what}; use https, or a tunnel to this machine, or set allowInsecure in your own settings")
        self.place = url.place
        self._settings = settings
        self._http = HttpServer(url, key=read_key(settings.engine_key), is_insecure=settings.allow_insecure)
        self._served: Served | None = None
        self._found_at = 0.0
        self._has_choices = True  # the server has not shown that it tells of no other tokens
        self._leads = Leads[Lead]()
        self._model: tuple[tuple[str, tuple[Stamp, ...]], Model] | None = None

    async def close(self) -> None:
        """End all connections."""
        await self._http.close()

    def forget(self) -> None:
        """Find anew what the server has before it is asked."""
        self._served = None
        self._leads.clear()

    async def check(self) -> Model:
        """What is to answer, once the server was seen to have it.

        Raises:
            SpaError: why it cannot.
        """
        model, served = await asyncio.to_thread(self._find_model), await self._find_served()
        if chosen := model.adapter_set:
            check_has(served, [served_name(chosen, info.name) for info in chosen.adapters])
        return model

    async def complete(
        self,
        request: CompletionRequest,
        on_alternative: OnAlternative | None = None,
        on_problem: OnProblem = lambda error: None,
    ) -> CompletionResult:
        """The alternatives that came in time. `on_problem` is told why one is missing where others are there.

        Raises:
            SpaError: why there is none.
        """
        began = time.monotonic()
        late = Unavailable(f"{self.place} did not answer within {request.deadline_s or 0:g} s; is it overloaded?")
        try:
            async with asyncio.timeout(request.deadline_s):
                model, served = await asyncio.to_thread(self._find_model), await self._find_served()
        except TimeoutError:
            raise late from None
        plan = plan_of(request, model)
        rows = [Row(ask) for ask in row_asks(request, plan, model, served)]
        lead = self._leading(request, plan, rows, model, served)
        left_s = None if request.deadline_s is None else max(0.0, began + request.deadline_s - time.monotonic())
        in_order = InOrder(rows[0] if plan.has_lead else None, on_alternative)
        await run_in_turn(self._http, rows, lead=lead, timeout_s=left_s, on_end=in_order)
        if lead:
            self._learn(request, lead)
        problems = [row.problem for row in rows if row.problem]
        if all(row.is_empty for row in rows):
            raise problems[0] if problems else late
        for error in problems[:1]:
            on_problem(error)
        return self._result([row for row in rows if not row.problem], model, began)

    def _find_model(self) -> Model:
        """The base and the set that are to be served, read again when they may be others."""
        settings = self._settings
        base_id = served_base(settings.base, settings.adapter_set)
        stamp = base_id, places_stamp(base_id)
        if self._model is None or self._model[0] != stamp:
            chosen = find_served_set(settings.adapter_set, base_id)
            self._model = stamp, Model(base_id=base_id, adapter_set=chosen)
            self._leads.clear()
        if chosen := self._model[1].adapter_set:
            check_servable(chosen)
        return self._model[1]

    async def _find_served(self) -> Served:
        if self._served is None or time.monotonic() - self._found_at > FIND_AGAIN_S:
            self._served = await find_served(self._http)
            self._found_at = time.monotonic()
            self._has_choices = True
        return self._served

    def _leading(
        self, request: CompletionRequest, plan: RowPlan, rows: Sequence[Row], model: Model, served: Served
    ) -> Row | None:
        """The row that the others wait for, to branch off it; where its lead is known already, they are told."""
        if plan.behind is not None and (lead := self._leads.find(request, plan.behind)):
            branch_off(lead, rows)
        elif plan.behind is not None and self._has_choices:  # forgotten: it is asked again, and not told again
            again = replace(request, adapters=(request.behind,), behind="", k=None, lead_first=True)
            (ask,) = row_asks(again, plan_of(again, model), model, served)
            return Row(ask)
        return rows[0] if plan.has_lead and self._has_choices else None

    def _learn(self, request: CompletionRequest, lead: Row) -> None:
        """What later rows may want of a lead."""
        self._has_choices = not lead.is_without_choices
        if lead.finish:
            self._leads.keep(request, lead.ask.about["index"], lead_of(lead))

    def _result(self, rows: Sequence[Row], model: Model, began: float) -> CompletionResult:
        ended = time.monotonic()
        first_at = min((row.first_at for row in rows if row.first_at), default=ended)
        timing = Timing(
            prefill_ms=(first_at - began) * 1000, decode_ms=(ended - first_at) * 1000, total_ms=(ended - began) * 1000
        )
        return CompletionResult(
            base=model.base_id,
            adapter_set=model.adapter_set.name if model.adapter_set else "",
            quantization="as served",
            device=self.place,
            alternatives=tuple(row.alternative() for row in rows),
            timing=timing,
        )
