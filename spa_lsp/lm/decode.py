"""Decoding: n rows over one prompt, each until it stops. Knows tokens, rows and text; nothing of sets or sockets.

A row that owes text, typed already and taken back from the prompt, may only choose tokens that agree with it until it
is written. Its logprobs are those among such tokens: what the user has typed says nothing about the row.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import torch
from torch import Tensor

from spa_lsp.completion import Finish
from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.forward import forward
from spa_lsp.lm.load import LoadedBase
from spa_lsp.lm.sampling import argmax, choices_of, draw, draw_of_all, log_sums
from spa_lsp.lm.vocabulary import Vocabulary
from spa_lsp.text.branching import BRANCH_SHARE, Choice, branches
from spa_lsp.text.site import Site
from spa_lsp.text.stopping import Cut

_RANDOMS = 64  # that a row fetches at once
HALF_CHARACTER = "\ufffd"  # what the last token may decode to when it is a part of a character


@dataclass(frozen=True, kw_only=True)
class RowRules:
    """How to choose tokens and when a row is over."""

    max_tokens: int
    cut: Cut
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    site: Site = Site()  # of the request


@dataclass(kw_only=True)
class Row:
    """One alternative in the making."""

    index: int  # its place among the rows of the request
    last_token: int  # of the prompt: it has not been run yet, the adapters act from it on
    rules: RowRules
    owed: str = ""  # how the row must begin; no part of its text
    generator: torch.Generator | None = None  # of a sampled row
    beginning: tuple[int, ...] = ()  # tokens that it takes first, whatever the model says
    choices: list[list[Choice[int]]] | None = None  # of a lead: what could stand at each of its places
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)  # of each token under the model, the stop token's included
    still_owed: bytes = b""
    n_repaid: int = 0  # tokens that wrote nothing but owed text; they do not count against `max_tokens`
    text: str = ""
    finish: Finish | None = None
    _randoms: Tensor = field(default_factory=lambda: torch.empty(0))

    def __post_init__(self) -> None:
        self.still_owed = self.owed.encode()

    def make_lead(self) -> None:
        """Let this row take the likeliest token at every step, and note what others could branch off with."""
        self.rules, self.generator, self.choices = replace(self.rules, temperature=0.0), None, []

    @property
    def next_of_beginning(self) -> int | None:
        """The token that it takes next in any case, if there is one."""
        place = len(self.ids)
        return self.beginning[place] if place < len(self.beginning) else None

    def randoms(self, n: int) -> Tensor:
        """The random numbers `[n]`, in 0 to 1, that its next n tokens are drawn with."""
        n_drawn = len(self.logprobs)
        while len(self._randoms) < n_drawn + n:
            self._randoms = torch.cat([self._randoms, torch.rand(_RANDOMS, generator=self.generator)])
        return self._randoms[n_drawn : n_drawn + n]

    @property
    def is_whole(self) -> bool:
        """Whether it ended as the model and the rules would have it."""
        return self.finish in ("stop", "cut", "length")

    @property
    def mean_logprob(self) -> float:
        """Nats per token; 0 for a row without tokens."""
        return sum(self.logprobs) / len(self.logprobs) if self.logprobs else 0.0


def new_rows(streams: Sequence[int], rules: RowRules, last_token: int, owed: str = "") -> list[Row]:
    """Rows that have nothing yet; a sampled row draws from its own stream of numbers, whatever the others do."""
    rows = [Row(index=index, last_token=last_token, rules=rules, owed=owed) for index in range(len(streams))]
    for row, stream in zip(rows, streams, strict=True):
        if rules.temperature:
            row.generator = torch.Generator().manual_seed(rules.seed * 1_000_003 + stream)
    return rows


def branch_off(lead: Row, rows: Sequence[Row], numbers: Sequence[int], vocabulary: Vocabulary) -> None:
    """Let fresh rows begin as a finished lead does, each by the branch of its number, the likeliest is 0.

    Those for which there is none stay as they are, as do all where the lead is not whole.
    """
    if not lead.is_whole:
        return
    owed, text = lead.owed.encode(), lead.text.encode()
    if not owed and vocabulary.spell(lead.ids).startswith(b" ") and not text.startswith(b" "):
        text = b" " + text  # a SentencePiece tokenizer leaves it out
    likeliest = branches(
        lead.ids,
        lead.logprobs,
        lead.choices or [],
        text=owed + text,
        n_owed=len(owed),
        spell=vocabulary.spell,
        site=lead.rules.site,
    )
    found = list(islice(likeliest, max(numbers, default=-1) + 1))
    for row, number in zip(rows, numbers, strict=True):
        if number < len(found):
            branch = found[number]
            row.beginning = (*lead.ids[: branch.place], branch.choice.token)
            row.rules = replace(row.rules, temperature=row.rules.temperature * BRANCH_SHARE)


def decode(
    base: LoadedBase,
    rows: Sequence[Row],
    key_values: KeyValues,
    *,
    keep_rows: Callable[[Tensor], None],
    is_over: Callable[[], bool],
    vocabulary: Vocabulary | None = None,
) -> Iterator[Row]:
    """Yield each row as soon as it is finished; rows still open when `is_over` says so come back unfinished.

    Args:
        base: the base; adapters, if any, are switched on by the caller.
        rows: of one request or of several, fresh or begun; row i runs on batch row i.
        key_values: of all but the last token of each row, usually behind shared prefixes.
        keep_rows: told which batch rows go on when some have finished, so that the bank can follow.
        is_over: asked before every step.
        vocabulary: of the base's tokenizer; needed when a row owes text.
    """
    open_rows = list(rows)
    ids = torch.tensor([row.ids[-1:] or [row.last_token] for row in open_rows], device=base.device)
    while open_rows and not is_over():
        hidden = forward(base, ids, key_values)
        logits = base.logits(hidden[:, -1])  # [n, V]
        tokens = choose(logits, open_rows, vocabulary)
        for row, token in zip(open_rows, tokens, strict=True):
            extend(row, token, base, vocabulary)
        yield from (row for row in open_rows if row.finish)
        going = [n for n, row in enumerate(open_rows) if not row.finish]
        if len(going) < len(open_rows):
            open_rows = [open_rows[n] for n in going]
            kept = torch.tensor(going, dtype=torch.long, device=base.device)
            key_values.select(kept)
            if going:
                keep_rows(kept)
        ids = torch.tensor([[row.ids[-1]] for row in open_rows], device=base.device)
    yield from open_rows


def choose(logits: Tensor, rows: Sequence[Row], vocabulary: Vocabulary | None) -> list[int]:
    """The next token of every row, its logprob noted; a row whose logits are not finite is disabled."""
    sums = log_sums(logits).tolist()
    for n, row in enumerate(rows):
        if not math.isfinite(sums[n]):
            row.finish = "disabled"
        elif row.still_owed:
            assert vocabulary is not None
            logits[n] = _only(logits[n], vocabulary.agreeing(row.still_owed))
            sums[n] = float(log_sums(logits[n]))
        if row.choices is not None:
            row.choices.append([] if row.finish else choices_of(logits[n], sums[n]))
    tokens: list[int] = argmax(logits).tolist()
    begun = {n: token for n, row in enumerate(rows) if (token := row.next_of_beginning) is not None}
    for n, token in begun.items():
        tokens[n] = token
    sampled = [n for n, row in enumerate(rows) if row.generator is not None and not row.finish and n not in begun]
    if sampled:
        own = logits if len(sampled) == len(rows) else logits[sampled]
        drawn = _sample(own, [rows[n] for n in sampled])
        for n, token in zip(sampled, drawn, strict=True):
            tokens[n] = token
    for n, row in enumerate(rows):
        if not row.finish:
            row.logprobs.append(float(logits[n, tokens[n]]) - sums[n])
    return tokens


def _only(logits: Tensor, tokens: Tensor) -> Tensor:
    """The logits `[V]` of these tokens; no other can be chosen."""
    tokens = tokens.to(logits.device)
    return torch.full_like(logits, -math.inf).index_copy(0, tokens, logits[tokens])


def _sample(logits: Tensor, rows: Sequence[Row]) -> list[int]:
    """One token of every row, drawn by its own rules."""
    numbers = [[row.rules.temperature, row.rules.top_p, float(row.randoms(1))] for row in rows]
    tokens, is_short = draw(logits, *torch.tensor(numbers, device=logits.device).T)
    return [
        draw_of_all(logits[n], *numbers[n]) if is_one else token
        for n, (token, is_one) in enumerate(zip(tokens.tolist(), is_short.tolist(), strict=True))
    ]


def extend(row: Row, token: int, base: LoadedBase, vocabulary: Vocabulary | None) -> None:
    """Let a row have its next token, and see whether that ends it."""
    if row.finish:  # disabled
        row.text = ""
        return
    if token in base.stop_ids:
        row.finish = "stop"
        row.text = row.text.rstrip(HALF_CHARACTER)
        return
    row.ids.append(token)
    if row.still_owed:
        assert vocabulary is not None
        row.still_owed = row.still_owed[len(vocabulary.spell([token])) :]
        if row.still_owed:
            row.n_repaid += 1
            return
    row.text = _text_behind_owed(row, vocabulary) if row.owed and vocabulary else base.decode(row.ids)
    cut = row.rules.cut(row.text)
    if cut is not None:
        row.text, row.finish = cut, "cut"
    elif len(row.ids) - row.n_repaid >= row.rules.max_tokens:
        row.finish = "length"
        row.text = row.text.rstrip(HALF_CHARACTER)


def _text_behind_owed(row: Row, vocabulary: Vocabulary) -> str:
    return vocabulary.spell(row.ids)[len(row.owed.encode()) :].decode(errors="replace")
