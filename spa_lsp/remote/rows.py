"""One alternative as it streams in: our own rules decide where it ends, whatever the server would go on to say."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spa_lsp.completion import Alternative, Finish
from spa_lsp.errors import SpaError, Unavailable
from spa_lsp.prompt import clean_text
from spa_lsp.remote.http import HttpServer
from spa_lsp.remote.logprobs import HALF_CHARACTER, TokenLogprob, read_tokens
from spa_lsp.remote.text_prompt import neutral, without_breaks
from spa_lsp.text.branching import BRANCH_SHARE
from spa_lsp.text.site import Site
from spa_lsp.text.stopping import Cut

_FINISHES: dict[str, Finish] = {"stop": "stop", "length": "length"}


@dataclass(frozen=True, kw_only=True)
class RowAsk:
    """One request."""

    body: Mapping[str, Any]
    owing: Mapping[str, Any]  # what of the request sees to what is owed
    owed: str  # with what its text must begin; no part of the alternative
    stops: Sequence[str]  # literals that end it
    specials: Sequence[str]  # literals that a server reads as special tokens
    cut: Cut
    site: Site  # of the request
    branch: int | None  # which one of the lead's it takes, the likeliest is 0; None: the lead itself
    about: Mapping[str, Any]  # the fields of the alternative that are known before


@dataclass(eq=False)
class Row:
    """What has come of it."""

    ask: RowAsk
    text: str = ""  # behind what is owed
    finish: Finish | None = None
    problem: SpaError | None = None  # why it came to nothing
    first_at: float | None = None  # on the monotonic clock
    raw: str = ""  # what is owed and its text, as the server wrote it
    token_logprobs: list[TokenLogprob] = field(default_factory=list)  # of each token that came
    _body: Mapping[str, Any] = field(init=False)
    _logprobs: list[float] = field(default_factory=list)
    _n_pieces: int = 0
    _n_tokens: int = 0  # that the server has sent, what is owed included
    _n_own: int = 0  # of these, that it was free to choose

    def __post_init__(self) -> None:
        self._body = {**self.ask.body, **self.ask.owing}

    def begin(self, text: str, logprobs: Sequence[float]) -> None:
        """Let a fresh row go on behind a text as if it had written it, by tokens of these logprobs.

        The text has in it what is owed, which no logprob is of.
        """
        body, n_left = self.ask.body, self.ask.body["max_tokens"] - len(logprobs)
        self._body = {
            **body,
            "prompt": body["prompt"] + neutral(text, self.ask.specials),
            "max_tokens": n_left,
            "temperature": body["temperature"] * BRANCH_SHARE,
        }
        self.raw, self._logprobs = text, list(logprobs)
        self._check_end("length" if n_left < 1 else None)

    async def run(self, http: HttpServer, on_event: Callable[[], None] = lambda: None) -> None:
        """Ask, and listen until it is over; where its beginning is all of it nothing is asked."""
        try:
            if not self.finish:
                await self._run(http, on_event)
        except SpaError as error:
            self.problem = error

    async def _run(self, http: HttpServer, on_event: Callable[[], None]) -> None:
        async with contextlib.aclosing(http.stream("/v1/completions", self._body)) as events:
            async for event in events:
                self.take(event, http.url.place)
                on_event()
                if self.finish:
                    return  # which closes the connection: the server need not go on
        raise Unavailable(f"{http.url.place} ended an answer without saying why; see its log")

    def take(self, event: Mapping[str, Any], place: str) -> None:
        """One event of the stream.

        Raises:
            Unavailable: it is none that such servers send, or the text is not what was asked for.
        """
        try:
            choices = event["choices"]
            choice = choices[0] if choices else {"text": ""}  # the last one may only tell of its use
            piece, reason = clean_text(str(choice["text"] or "")), choice.get("finish_reason")
            tokens = read_tokens(choice)
        except (KeyError, TypeError, IndexError, AttributeError, ValueError, OverflowError):
            raise Unavailable(f"{place} says what no server of completions says; see its log") from None
        n_tokens = max(len(tokens), bool(piece))  # without logprobs a piece is a token, or several
        self._n_tokens += n_tokens
        if self._n_tokens > self._body["max_tokens"] and not reason:
            self._check_end("length")  # this server would go on until the deadline
            return
        is_repaying = len(self.raw) < len(self.ask.owed)
        self.raw += piece
        self.token_logprobs += tokens
        if piece:
            self._n_pieces += 1
            self.first_at = self.first_at or time.monotonic()
        if not is_repaying:
            self._n_own += n_tokens
            self._logprobs += [each.logprob for each in tokens if each.logprob is not None]
        if not self.raw.startswith(self.ask.owed[: len(self.raw)]):
            raise Unavailable(f"{place} does not begin a completion as it was told to; see its log")
        self._check_end(_FINISHES.get(str(reason)) if reason else None)

    def _check_end(self, finish: Finish | None) -> None:
        """See whether what has come is the whole."""
        self.text = without_breaks(self.raw[len(self.ask.owed) :])
        stops = [place for stop in self.ask.stops if (place := self.text.find(stop)) >= 0]
        if stops:
            self.text, finish = self.text[: min(stops)], "stop"
        cut = self.ask.cut(self.text)
        if cut is not None:
            self.text, finish = cut, "cut"
        if finish:
            self.text, self.finish = self.text.rstrip(HALF_CHARACTER), finish

    @property
    def is_without_choices(self) -> bool:
        """Whether the server has said something of its own, and never what else it could have said."""
        return self._n_own > 0 and not any(len(each.choices) > 1 for each in self.token_logprobs)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show: it came to nothing, or nothing has come in time."""
        return self.problem is not None or (self.finish is None and not (self.text and self._n_pieces))

    def alternative(self) -> Alternative:
        """What it has come to; what is open yet has been cut by the deadline."""
        n_tokens = len(self._logprobs) or self._n_pieces
        mean = sum(self._logprobs) / len(self._logprobs) if self._logprobs else 0.0
        return Alternative(
            text="" if self.is_empty else self.text.rstrip(HALF_CHARACTER),
            mean_logprob=mean,
            n_tokens=n_tokens,
            finish=self.finish or "deadline",
            **self.ask.about,
        )
