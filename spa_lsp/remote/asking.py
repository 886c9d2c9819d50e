"""From a request to the k requests that a server gets: which adapter, at which temperature, with which prompt. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.row_plan import RowPlan, check_request, plan_rows
from spa_lsp.adapters.server_export import served_name
from spa_lsp.bases.catalog import find_base
from spa_lsp.completion import CompletionRequest
from spa_lsp.errors import NotFound
from spa_lsp.remote.rows import RowAsk
from spa_lsp.remote.served import Served
from spa_lsp.remote.text_prompt import text_prompt
from spa_lsp.text.site import Site
from spa_lsp.text.stopping import make_cut

_OWED_TOKENS = 8  # that do not count against a completion's length


@dataclass(frozen=True, kw_only=True)
class Model:
    """What is to answer."""

    base_id: str
    adapter_set: AdapterSet | None  # None: the base alone


@dataclass(frozen=True, kw_only=True)
class _Voice:
    """Who speaks in a row, and how."""

    about: dict[str, Any]
    name: str | None  # at the server; None: the base


def row_asks(request: CompletionRequest, model: Model, served: Served) -> list[RowAsk]:
    """The requests for the rows of one request, in their order.

    Raises:
        BadInput: as `check_request` and `text_prompt`. NotFound: an adapter that the set, or the server, does not have.
    """
    check_request(request)
    plan = plan_rows(request, model.adapter_set)
    voices = list(_voices(plan, model))
    check_has(served, [voice.name for voice in voices if voice.name])
    base = find_base(model.base_id)
    prompt = text_prompt(request, base, can_owe=served.can_owe)
    common = {
        "prompt": prompt.text,
        "max_tokens": request.max_tokens + (_OWED_TOKENS if prompt.owed else 0),
        "top_p": request.top_p,
        "logprobs": 1,
        "stream": True,
        **served.body_of_samples(),
        **served.body_owing(prompt.owed),
    }
    cut = make_cut(
        request.stop, request.layout, Site(prefix=request.prefix, begun=request.begun, suffix=request.suffix)
    )
    return [
        RowAsk(
            body={
                **common,
                **served.body_for(voice.name),
                "temperature": _temperature(request, plan, is_lead=n == 0),
                "seed": (request.seed + stream) % 2**31,
            },
            owed=prompt.owed,
            stops=base.stop_tokens,
            cut=cut,
            about=voice.about,
        )
        for n, (voice, stream) in enumerate(zip(voices, plan.streams, strict=True))
    ]


def check_has(served: Served, names: Sequence[str]) -> None:
    """Refuse to ask for what is not there: some servers would answer with the base.

    Raises:
        NotFound: these adapters are not at the server.
    """
    missing = [name for name in names if name not in served.adapters]
    if missing:
        way_out = "start it as `spa-lsp adapters export` says, or choose another set"
        raise NotFound(f"the server at {served.place} does not have {', '.join(missing)}; {way_out}")


def _voices(plan: RowPlan, model: Model) -> Iterator[_Voice]:
    if model.adapter_set is None or not plan.adapters:
        for n in range(plan.n_rows):
            about = {"adapter": "base", "label": "base", "index": n}
            yield _Voice(about=about, name=None)
        return
    chosen = model.adapter_set
    for index in plan.adapters:
        info = chosen.adapters[index]
        about = {"adapter": info.name, "label": info.label, "index": index, "set_sha256": chosen.set_id}
        yield _Voice(about=about, name=served_name(chosen, info.name))


def _temperature(request: CompletionRequest, plan: RowPlan, *, is_lead: bool) -> float:
    if is_lead and plan.has_lead:
        return 0.0
    return plan.temperature if request.temperature is None else request.temperature
