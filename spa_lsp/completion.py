"""Request and answer between front, commands, engine and trainer. Plain data and its JSON form, nothing else."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

Layout = Literal["infill", "instruct"]
# multi: to the end of the block; single: one line; none: only the stop token or the length ends a completion
StopPolicy = Literal["multi", "single", "none"]
# stop: own stop token · cut: the stop policy ended it · disabled: the adapter gave numbers that are not finite ·
# growing: it has not ended yet, see `CompletionRequest.tells_growing`
Finish = Literal["stop", "cut", "length", "deadline", "disabled", "growing"]

TOP_P = 0.95  # of samples: what today's tools and the papers take


def is_open(finish: Finish | None) -> bool:
    """Whether a completion with this finish was not over: its last line may be half a one."""
    return finish in ("length", "deadline")


@dataclass(frozen=True, kw_only=True)
class ContextPiece:
    """Text of another file that the model is shown before the prompt."""

    path: str  # in the workspace
    text: str


@dataclass(frozen=True, kw_only=True)
class CompletionRequest:
    """What to complete. For `instruct`, `prefix` is the instruction and `suffix` is not used.

    `begun` is how the completion begins; an alternative's text goes on behind it and never repeats it. For `infill` it
    is what has been typed since the prompt was anchored: a client that leaves `prefix` and `suffix` as they were and
    lets `begun` grow pays for its new characters only, where a longer prefix has all of the suffix read again. The
    client chooses when to anchor anew (prefix + begun becomes the prefix), best after some 60 characters; what is much
    longer is served as if it had been anchored. A character taken away from `begun` is as cheap.

    Prefix and begun may end anywhere, inside a word or in spaces: the engine sees to half words (`text.healing`).
    For `instruct` begun is the beginning of the answer, taken as it is.
    """

    prefix: str
    suffix: str = ""
    layout: Layout = "infill"
    begun: str = ""  # typed or given already; the alternatives go on behind it
    context: tuple[ContextPiece, ...] = ()  # for `infill`; what seldom changes comes first
    path: str = ""  # of the file that is completed; only used with a context
    language: str = ""  # of the text, an LSP language id; empty: not known
    adapters: tuple[str, ...] = ()  # names, in the order wanted; empty: all of the set
    # at most this many alternatives; None: one per adapter, eight of a base without a set or of a set's only adapter
    k: int | None = None
    # one adapter, the first of `adapters` or the one that leads the set, answers first, greedily and alone, then the
    # others: it is there in a part of the time that all take, and what a deadline cuts are the others, as a rule. They
    # branch off it, see `text.branching`. Here, adapters that act on the prompt are computed together, and told in
    # this order.
    lead_first: bool = False
    behind: str = (
        ""  # an adapter that has led this request already: the rows branch off its greedy answer, not told again
    )
    tells_growing: bool = False  # `on_alternative` gets the lead's text at every token, with the finish `growing`
    use_base: bool = False  # rows without adapters; k of them (1 when k is None)
    max_tokens: int = 64
    stop: StopPolicy = "multi"
    # 0: greedy; None: as the adapter set is to be served, 0.8 for several rows where there is none, `use_base` greedily
    temperature: float | None = None
    top_p: float = TOP_P  # of samples
    seed: int = 0
    deadline_s: float | None = None  # from the start of the work; rows still open then finish as `deadline`
    document: str = ""  # key for latest-wins; empty: never replaced


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """One completion, which has its `index` for itself.

    That is the adapter's place in the set, 64 more for each time that it was asked before; for base rows the number.
    """

    text: str
    adapter: str
    label: str
    index: int
    mean_logprob: float  # nats per token, over the tokens of the row, each among those that agree with what is typed
    n_tokens: int
    finish: Finish
    set_sha256: str = ""  # which of all sets of that name the adapter is of; "" for base rows


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Milliseconds and token counts of one request; `load_ms` is 0 when the base was loaded already."""

    load_ms: float = 0.0
    prefill_ms: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    decode_ms: float = 0.0
    total_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class CompletionResult:
    """All alternatives in the order asked for, raw: neither merged nor ranked (that is the server's work)."""

    base: str
    adapter_set: str
    quantization: str
    device: str
    alternatives: tuple[Alternative, ...] = ()
    timing: Timing = field(default_factory=Timing)
    prompt_tokens_per_s: float = 0.0  # what is read of a prompt, by the last ones; 0: not known
    is_cancelled: bool = False

    def to_json(self) -> dict[str, Any]:
        """The public JSON form, as `spa-lsp complete --json` prints it."""
        return asdict(self)


# Called with each alternative as soon as its row has finished, in order of finishing.
OnAlternative = Callable[[Alternative], None]
# Asked between prefill chunks and decode steps; True ends the work, and `is_cancelled` is set in the result.
IsCancelled = Callable[[], bool]


class Completer(Protocol):
    """The seam between asking and computing: `lm.LocalCompleter`, `engine.EngineClient`, a fake in tests."""

    def complete(
        self,
        request: CompletionRequest,
        *,
        on_alternative: OnAlternative | None = None,
        is_cancelled: IsCancelled | None = None,
    ) -> CompletionResult:
        """Compute the alternatives.

        Raises:
            SpaError: the request cannot be served; the message says why and what to do.
        """


def request_from_json(data: dict[str, Any]) -> CompletionRequest:
    """The request that `asdict` made; unknown keys are ignored so that a newer client can talk to an older engine."""
    known = {name: data[name] for name in CompletionRequest.__dataclass_fields__ if name in data}
    if "adapters" in known:
        known["adapters"] = tuple(known["adapters"])
    if "context" in known:
        known["context"] = tuple(ContextPiece(path=piece["path"], text=piece["text"]) for piece in known["context"])
    return CompletionRequest(**known)
