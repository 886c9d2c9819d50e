"""What a request means for a base and a set: which rows, which prompt, which rules, and the alternative of a row."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from spa_lsp.adapters.manifest import AdapterSet, check_temperature
from spa_lsp.completion import Alternative, CompletionRequest
from spa_lsp.errors import BadInput, NotFound
from spa_lsp.lm.decode import Row, RowRules
from spa_lsp.lm.load import LoadedBase
from spa_lsp.prompt import clean_text, encode_text, infill_prompt, instruct_prompt
from spa_lsp.text.healing import HealedText, heal
from spa_lsp.text.site import Site
from spa_lsp.text.stopping import make_cut

logger = logging.getLogger(__name__)

MAX_PROMPT_TOKENS = 2048
MAX_ROWS = 64
_SEEDS = 2**32
_MIN_PROMPT_TOKENS = 64  # room that a prompt must keep beside the completion
_BEGUN_SHARE = 1 / 32  # of a prompt's room, kept for what is begun whether it is there or not; 60 characters fit well


@dataclass(frozen=True, kw_only=True)
class RowPlan:
    """The rows of one request: adapters by place in the set, or base rows."""

    adapters: tuple[int, ...]
    n_rows: int
    is_shared: bool  # the adapters leave the prompt alone
    has_lead: bool = False  # the first row is greedy and told before all others

    @property
    def streams(self) -> list[int]:
        """The random numbers of each row: an adapter has its own, whichever others are asked for."""
        if not self.adapters:
            return list(range(self.n_rows))
        before = [self.adapters[:n].count(adapter) for n, adapter in enumerate(self.adapters)]
        return [adapter + MAX_ROWS * n for adapter, n in zip(self.adapters, before, strict=True)]


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What the rows of a request begin behind."""

    tokens: list[int]
    owed: str = ""  # what every row must write first: the end of the text before the cursor, see `text.healing`


def check_request(request: CompletionRequest) -> None:
    """Refuse what no base could serve.

    Raises:
        BadInput: a number is out of its range.
    """
    if request.k is not None and not 1 <= request.k <= MAX_ROWS:
        raise BadInput(f"k is {request.k}; choose 1 to {MAX_ROWS}")
    if len(request.adapters) > MAX_ROWS:
        raise BadInput(f"{len(request.adapters)} adapters are asked for; choose at most {MAX_ROWS}")
    if request.temperature is not None:
        check_temperature(request.temperature)
    if not 0 < request.top_p <= 1:
        raise BadInput(f"top_p is {request.top_p}; choose more than 0 and at most 1")
    if not 0 <= request.seed < _SEEDS:
        raise BadInput(f"the seed is {request.seed}; choose 0 to {_SEEDS - 1}")


def plan_rows(request: CompletionRequest, adapter_set: AdapterSet | None) -> RowPlan:
    """The rows that the request asks for.

    Raises:
        NotFound: an adapter that the set does not have. BadInput: more rows than adapters.
    """
    if request.use_base or adapter_set is None:
        if request.adapters and not request.use_base:
            raise NotFound("no adapter set is loaded; choose one with `spa-lsp adapters use NAME`")
        return RowPlan(adapters=(), n_rows=request.k or 1, is_shared=True)
    chosen = _find_adapters(adapter_set, request.adapters)
    if request.lead_first and not request.adapters:
        chosen = tuple(sorted(chosen, key=lambda index: index != adapter_set.lead_index))
    if request.k is not None and request.k > len(chosen):
        raise BadInput(f"k is {request.k}, but {adapter_set.name} has {len(chosen)} adapters to choose from")
    chosen = chosen[: request.k]
    return RowPlan(
        adapters=chosen,
        n_rows=len(chosen),
        is_shared=adapter_set.activation == "completion",
        has_lead=request.lead_first,
    )


def prompt_of(request: CompletionRequest, base: LoadedBase, *, can_owe: bool = True) -> Prompt:
    """The prompt, cut to what the base can read; without `can_owe` it ends where the text does.

    Raises:
        BadInput: nothing to complete, no room for it, or a layout that the base does not have.
    """
    context_tokens = base.model.config.max_position_embeddings
    limit = min(MAX_PROMPT_TOKENS, context_tokens - request.max_tokens)
    if request.max_tokens < 1 or limit < _MIN_PROMPT_TOKENS:
        most = context_tokens - _MIN_PROMPT_TOKENS
        raise BadInput(f"max_tokens is {request.max_tokens}; choose 1 to {most} for {base.base_id}")
    prefix, suffix = clean_text(request.prefix), clean_text(request.suffix)
    if request.layout == "instruct":
        if not prefix.strip():
            raise BadInput("the instruction is empty; say what to write")
        prompt = instruct_prompt(base.prompt, prefix, max_tokens=limit, begun=clean_text(request.begun))
        if len(prompt) > limit:
            raise BadInput(f"the beginning of the answer leaves no room in {limit} tokens; give less of it")
        return Prompt(tokens=prompt)
    if base.prompt.fim_middle is None:
        raise BadInput(f"{base.base_id} cannot infill; use the instruct layout or another base")
    text = _divide(prefix, clean_text(request.begun), base, room=int(limit * _BEGUN_SHARE), can_owe=can_owe)
    tokens = infill_prompt(
        base.prompt,
        text.prefix,
        suffix,
        max_tokens=limit - int(limit * _BEGUN_SHARE),
        begun=text.begun,
        context=[(clean_text(piece.path), clean_text(piece.text)) for piece in request.context],
        path=clean_text(request.path),
    )
    return Prompt(tokens=tokens, owed=text.owed)


def _divide(prefix: str, begun: str, base: LoadedBase, *, room: int, can_owe: bool) -> HealedText:
    """The text before the cursor as the prompt has it; what is begun joins the prefix where it takes too much room."""
    text = heal(base.prompt, prefix, begun) if can_owe else HealedText(prefix=prefix, begun=begun, owed="")
    if text.begun and len(encode_text(base.prompt, text.begun)) > room:
        return _divide(prefix + begun, "", base, room=room, can_owe=can_owe)
    return text


def rules_of(request: CompletionRequest, plan: RowPlan, adapter_set: AdapterSet | None) -> RowRules:
    """How its rows choose tokens and when they are over."""
    served = adapter_set.temperature if adapter_set and plan.adapters else 0.0
    site = Site(prefix=request.prefix, begun=request.begun, suffix=request.suffix)
    return RowRules(
        max_tokens=request.max_tokens,
        cut=make_cut(request.stop, request.layout, site),
        temperature=served if request.temperature is None else request.temperature,
        top_p=request.top_p,
        seed=request.seed,
    )


def alternative_of(row: Row, plan: RowPlan, adapter_set: AdapterSet | None) -> Alternative:
    """The finished row as an alternative."""
    index = plan.adapters[row.index] if plan.adapters else row.index
    info = adapter_set.adapters[index] if plan.adapters and adapter_set else None
    assert row.finish is not None
    if row.finish == "disabled":
        logger.warning("adapter %s gave numbers that are not finite; its alternative is empty", index)
    return Alternative(
        text=row.text,
        adapter=info.name if info else "base",
        label=info.label if info else "base",
        index=index,
        mean_logprob=row.mean_logprob,
        n_tokens=len(row.logprobs),
        finish=row.finish,
        set_sha256=adapter_set.set_id if info and adapter_set else "",
    )


def _find_adapters(adapter_set: AdapterSet, names: Sequence[str]) -> tuple[int, ...]:
    known = [info.name for info in adapter_set.adapters]
    for name in names:
        if name not in known:
            raise NotFound(f"{adapter_set.name} has no adapter {name!r}; choose one of: {', '.join(known)}")
    return tuple(known.index(name) for name in names) if names else tuple(range(len(known)))
