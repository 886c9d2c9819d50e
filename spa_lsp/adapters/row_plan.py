"""Which rows a request asks for of an adapter set, or of the base alone. Pure: the same here and behind a server.

What a row computes is not known here: that is `lm`, or a server elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from spa_lsp.adapters.manifest import AdapterSet, check_temperature
from spa_lsp.completion import CompletionRequest
from spa_lsp.errors import BadInput, NotFound
from spa_lsp.text.branching import BRANCH_SHARE

MAX_ROWS = 64
ONE_MODEL_ROWS = 8  # of the base where there is no set, or of the set's only adapter: one alone would be no choice
BASE_TEMPERATURE = 0.8  # of the base's, but for the lead
# how rows behind a lead come about; another way has another name
BRANCHES = f"branches where the program differs, once more where it does not, at {BRANCH_SHARE} of the temperature"
_SEEDS = 2**32


@dataclass(frozen=True, kw_only=True)
class RowPlan:
    """The rows of one request: adapters by place in the set, or base rows."""

    adapters: tuple[int, ...]
    n_rows: int
    is_shared: bool  # the prompt is read once for all rows
    reader: int | None = None  # the adapter that all rows read the prompt under; None: the base alone, or each its own
    has_lead: bool = False  # the first row is greedy and told before all others
    behind: int | None = None  # the adapter that has led already
    temperature: float = 0.0  # where the request names none
    set_size: int = 0  # adapters of the whole set

    @cached_property
    def streams(self) -> list[int]:
        """The random numbers of each row: an adapter has its own, whichever others are asked for."""
        if not self.adapters:
            return list(range(self.n_rows))
        before = [self.adapters[:n].count(adapter) for n, adapter in enumerate(self.adapters)]
        return [adapter + MAX_ROWS * n for adapter, n in zip(self.adapters, before, strict=True)]

    @cached_property
    def branches(self) -> list[int]:
        """Which of the lead's branches each row behind it takes, the likeliest is 0.

        An adapter has its own, too: those that are asked for later, as too few differ, begin otherwise. One that is
        named again takes the first that no other takes.
        """
        if not self.adapters:
            return list(range(self.n_rows - self.has_lead))
        lead, rows = (self.adapters[0], self.adapters[1:]) if self.has_lead else (self.behind, self.adapters)
        own = {adapter: adapter - (lead is not None and adapter > lead) for adapter in rows if adapter != lead}
        free = iter(sorted(set(range(MAX_ROWS)) - set(own.values())))
        return [own.pop(adapter) if adapter in own else next(free) for adapter in rows]

    @property
    def first_spare_branch(self) -> int:
        """The likeliest branch that no row takes, neither of this request nor of one for the set's other adapters."""
        return max(self.set_size - 1, *(number + 1 for number in self.branches), 0)


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
        NotFound: an adapter that the set does not have.
    """
    if request.use_base:
        return RowPlan(adapters=(), n_rows=request.k or 1, is_shared=True)
    if adapter_set is None:
        if request.adapters:
            raise NotFound("no adapter set is loaded; choose one with `spa-lsp adapters use NAME`")
        n_rows = request.k or ONE_MODEL_ROWS
        served_at = BASE_TEMPERATURE if n_rows > 1 else 0.0
        return RowPlan(adapters=(), n_rows=n_rows, is_shared=True, has_lead=request.lead_first, temperature=served_at)
    chosen = _find_adapters(adapter_set, request.adapters)
    if request.lead_first and not request.adapters:
        chosen = tuple(sorted(chosen, key=lambda index: index != adapter_set.lead_index))
    if _may_repeat(request, adapter_set):
        chosen *= request.k or ONE_MODEL_ROWS
    chosen = chosen[: request.k]
    only = chosen[0] if len(set(chosen)) == 1 else None
    return RowPlan(
        adapters=chosen,
        n_rows=len(chosen),
        is_shared=adapter_set.activation == "completion" or only is not None,
        reader=only if adapter_set.activation == "all" else None,
        has_lead=request.lead_first,
        behind=_find_adapters(adapter_set, (request.behind,))[0] if request.behind else None,
        temperature=adapter_set.temperature,
        set_size=adapter_set.k,
    )


def _may_repeat(request: CompletionRequest, adapter_set: AdapterSet) -> bool:
    """Whether the set's only adapter answers in several rows: where these differ."""
    temperature = adapter_set.temperature if request.temperature is None else request.temperature
    return adapter_set.k == 1 and not request.adapters and (request.lead_first or temperature > 0)


def _find_adapters(adapter_set: AdapterSet, names: Sequence[str]) -> tuple[int, ...]:
    known = [info.name for info in adapter_set.adapters]
    for name in names:
        if name not in known:
            raise NotFound(f"{adapter_set.name} has no adapter {name!r}; choose one of: {', '.join(known)}")
    return tuple(known.index(name) for name in names) if names else tuple(range(len(known)))
