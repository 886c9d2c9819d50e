"""What a request means for a base: which prompt, which rules, and the alternative of a row."""

import logging
from dataclasses import dataclass

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.row_plan import RowPlan
from spa_lsp.completion import Alternative, CompletionRequest
from spa_lsp.errors import BadInput, TooLong
from spa_lsp.lm.decode import Row, RowRules
from spa_lsp.lm.load import LoadedBase
from spa_lsp.prompt import clean_text, encode_text, infill_prompt, instruct_prompt
from spa_lsp.text.healing import HealedText, heal
from spa_lsp.text.site import site_of
from spa_lsp.text.stopping import make_cut

logger = logging.getLogger(__name__)

MAX_PROMPT_TOKENS = 2048
_MIN_PROMPT_TOKENS = 64  # room that a prompt must keep beside the completion
_BEGUN_SHARE = 1 / 32  # of a prompt's room, kept for what is begun whether it is there or not; 60 characters fit well


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What the rows of a request begin behind."""

    tokens: list[int]
    owed: str = ""  # what every row must write first: the end of the text before the cursor, see `text.healing`


def prompt_of(request: CompletionRequest, base: LoadedBase, *, can_owe: bool = True) -> Prompt:
    """The prompt, cut to what the base can read; without `can_owe` it ends where the text does.

    Raises:
        BadInput: nothing to complete, no room for it, or a layout that the base does not have.
        TooLong: the beginning of an answer leaves no room for a question.
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
            raise TooLong(f"the beginning of the answer leaves no room in {limit} tokens; give less of it")
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


def rules_of(request: CompletionRequest, plan: RowPlan) -> RowRules:
    """How its rows choose tokens and when they are over."""
    site = site_of(request)
    return RowRules(
        max_tokens=request.max_tokens,
        cut=make_cut(request.stop, request.layout, site),
        temperature=plan.temperature if request.temperature is None else request.temperature,
        top_p=request.top_p,
        seed=request.seed,
        site=site,
    )


def alternative_of(row: Row, plan: RowPlan, adapter_set: AdapterSet | None) -> Alternative:
    """The finished row as an alternative."""
    index = plan.streams[row.index]
    info = adapter_set.adapters[plan.adapters[row.index]] if plan.adapters and adapter_set else None
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
