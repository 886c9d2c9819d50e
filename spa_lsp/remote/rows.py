"""One alternative as it streams in: our own rules decide where it ends, whatever the server would go on to say."""

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spa_lsp.completion import Alternative, Finish
from spa_lsp.errors import SpaError, Unavailable
from spa_lsp.remote.http import HttpServer
from spa_lsp.remote.text_prompt import without_breaks
from spa_lsp.text.stopping import Cut

HALF_CHARACTER = "\ufffd"
_FINISHES: dict[str, Finish] = {"stop": "stop", "length": "length"}


@dataclass(frozen=True, kw_only=True)
class RowAsk:
    """One request."""

    body: Mapping[str, Any]
    owed: str  # with what its text must begin; no part of the alternative
    stops: Sequence[str]  # literals that end it
    cut: Cut
    about: Mapping[str, Any]  # the fields of the alternative that are known before


@dataclass(eq=False)
class Row:
    """What has come of it."""

    ask: RowAsk
    text: str = ""  # behind what is owed
    finish: Finish | None = None
    problem: SpaError | None = None  # why it came to nothing
    first_at: float | None = None  # on the monotonic clock
    _raw: str = ""
    _logprobs: list[float] = field(default_factory=list)
    _n_pieces: int = 0
    _n_tokens: int = 0  # that the server has sent, what is owed included

    async def run(self, http: HttpServer) -> None:
        """Ask, and listen until it is over."""
        try:
            await self._run(http)
        except SpaError as error:
            self.problem = error

    async def _run(self, http: HttpServer) -> None:
        async with contextlib.aclosing(http.stream("/v1/completions", self.ask.body)) as events:
            async for event in events:
                self.take(event, http.url.place)
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
            piece, reason, logprobs = str(choice["text"] or ""), choice.get("finish_reason"), _logprobs(choice)
        except (KeyError, TypeError, IndexError, AttributeError, ValueError):
            raise Unavailable(f"{place} says what no server of completions says; see its log") from None
        self._n_tokens += max(len(logprobs), bool(piece))  # without logprobs a piece is a token, or several
        if self._n_tokens > self.ask.body["max_tokens"] and not reason:
            self._look("length")  # this server would go on until the deadline
            return
        is_repaying = len(self._raw) < len(self.ask.owed)
        self._raw += piece
        if piece:
            self._n_pieces += 1
            self.first_at = self.first_at or time.monotonic()
        if not is_repaying:
            self._logprobs += logprobs
        if not self._raw.startswith(self.ask.owed[: len(self._raw)]):
            raise Unavailable(f"{place} does not begin a completion as it was told to; see its log")
        self._look(_FINISHES.get(str(reason)) if reason else None)

    def _look(self, finish: Finish | None) -> None:
        """See whether what has come is the whole."""
        self.text = without_breaks(self._raw[len(self.ask.owed) :])
        stops = [place for stop in self.ask.stops if (place := self.text.find(stop)) >= 0]
        if stops:
            self.text, finish = self.text[: min(stops)], "stop"
        cut = self.ask.cut(self.text)
        if cut is not None:
            self.text, finish = cut, "cut"
        if finish:
            self.text, self.finish = self.text.rstrip(HALF_CHARACTER), finish

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show: it came to nothing, or nothing has come in time."""
        return self.problem is not None or (self.finish is None and not self.text)

    def alternative(self) -> Alternative:
        """What it has come to; what is open yet has been cut by the deadline."""
        n_tokens = len(self._logprobs) or self._n_pieces
        mean = sum(self._logprobs) / len(self._logprobs) if self._logprobs else 0.0
        return Alternative(
            text=self.text.rstrip(HALF_CHARACTER),
            mean_logprob=mean,
            n_tokens=n_tokens,
            finish=self.finish or "deadline",
            **self.ask.about,
        )


def _logprobs(choice: Mapping[str, Any]) -> list[float]:
    """Of each token of a piece: vLLM and SGLang have a list of them, llama.cpp an object for each."""
    said = choice.get("logprobs") or {}
    found = said.get("token_logprobs") or [each["logprob"] for each in said.get("content") or ()]
    return [value for each in found if each is not None and math.isfinite(value := float(each))]
