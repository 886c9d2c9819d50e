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
from spa_lsp.text.branching import N_CHOICES
from spa_lsp.text.site import site_of
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


def plan_of(request: CompletionRequest, model: Model) -> RowPlan:
    """The rows of one request.

    Raises:
        BadInput: as `check_request`. NotFound: an adapter that the set does not have.
    """
    check_request(request)
    return plan_rows(request, model.adapter_set)


def row_asks(request: CompletionRequest, plan: RowPlan, model: Model, served: Served) -> list[RowAsk]:
    """The requests for its rows, in their order.

    Raises:
        BadInput: as `text_prompt`. NotFound: an adapter that the server does not have.
    """
    voices = list(_voices(plan, model))
    check_has(served, [voice.name for voice in voices if voice.name])
    base = find_base(model.base_id)
    prompt = text_prompt(request, base, can_owe=served.can_owe)
    common = {
        "prompt": prompt.text,
        "max_tokens": request.max_tokens,
        "top_p": request.top_p,
        "stream": True,
        **served.body_of_samples(),
    }
    owing = {"max_tokens": request.max_tokens + _OWED_TOKENS, **served.body_owing(prompt.owed)} if prompt.owed else {}
    site = site_of(request)
    cut = make_cut(request.stop, request.layout, site)
    branches = [None, *plan.branches] if plan.has_lead else plan.branches
    return [
        RowAsk(
            body={
                **common,
                **served.body_for(voice.name),
                "temperature": _temperature(request, plan, is_lead=n == 0),
                "logprobs": N_CHOICES if plan.has_lead and n == 0 else 1,
                "seed": (request.seed + stream) % 2**31,
            },
            owing=owing,
            owed=prompt.owed,
            stops=base.stop_tokens,
            specials=base.neutral_tokens,
            cut=cut,
            site=site,
            branch=branch,
            about=voice.about,
        )
        for n, (voice, stream, branch) in enumerate(zip(voices, plan.streams, branches, strict=True))
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
    for adapter, index in zip(plan.adapters, plan.streams, strict=True):
        info = chosen.adapters[adapter]
        about = {"adapter": info.name, "label": info.label, "index": index, "set_sha256": chosen.set_id}
        yield _Voice(about=about, name=served_name(chosen, info.name))


def _temperature(request: CompletionRequest, plan: RowPlan, *, is_lead: bool) -> float:
    if is_lead and plan.has_lead:
        return 0.0
    return plan.temperature if request.temperature is None else request.temperature
