"""Decoding many requests at once: a request begins where rows of others have ended, so that the batch stays full.

Rows of an adapter are multiplied together, whichever requests they are of, and no adapter is copied for a second row.
One request alone is `decode.py`'s.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor

from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.bank import AdapterBank, Lanes
from spa_lsp.lm.decode import Row, choose, extend
from spa_lsp.lm.forward import device_clock
from spa_lsp.lm.load import LoadedBase
from spa_lsp.lm.turns import Turns
from spa_lsp.lm.vocabulary import Vocabulary

OPEN_ROWS = 128  # more gain little on two cores, and their keys and values take memory


@dataclass(kw_only=True)
class Asked:
    """One request in the making: rows of a turn begin together, so those that go on are all of one length."""

    number: int  # the caller's
    turns: Turns
    lanes: list[int]  # of each row, where it runs under an adapter
    key_values: KeyValues  # of the rows that go on, behind the prompt that they share
    prompt_s: float
    decode_s: float = 0.0  # its rows' share of the steps they were in
    going: list[int] = field(init=False)  # places of the rows that have begun and not ended

    def __post_init__(self) -> None:
        self.going = self.turns.next()

    @property
    def rows(self) -> list[Row]:
        """Of all turns, by place."""
        return self.turns.rows

    @property
    def n_open_rows(self) -> int:
        """Rows to keep room for."""
        return max(len(self.going), self.turns.n_waiting)

    def drop_ended(self, device: str) -> None:
        """Keep the rows that go on; when none does, the next turn's begin, if there is one."""
        kept = [n for n, place in enumerate(self.going) if not self.rows[place].finish]
        if len(kept) == len(self.going):
            return
        for row in [self.rows[place] for place in self.going]:
            if row.finish:
                self.turns.note_end(row)
        self.key_values.select(torch.tensor(kept, dtype=torch.long, device=device))
        self.going = [self.going[n] for n in kept]
        if not self.going:
            self.going = self.turns.next()
            self.key_values = self.key_values.behind_same_prefix()


class OpenRows(KeyValues):
    """The keys and values of the open rows of several requests, as the attention of one forward sees them."""

    def __init__(self, going: Sequence[Asked]) -> None:
        super().__init__(0)
        self.parts = [asked.key_values for asked in going]
        self.sizes = [len(asked.going) for asked in going]

    def next_positions(self, n_tokens: int) -> Tensor:
        """Of the next tokens of each row, `[rows, T]`."""
        parts = zip(self.parts, self.sizes, strict=True)
        return torch.cat([part.next_positions(n_tokens).expand(size, n_tokens) for part, size in parts])

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """Let the rows of each request look at what is theirs, `[rows, H, T, D]`."""
        own = zip(self.parts, *(torch.split(x, self.sizes) for x in (query, key, value)), strict=True)
        return torch.cat([part.attend(layer, q, k, v, scaling) for part, q, k, v in own])

    def advance(self, n_tokens: int) -> None:
        """Count the tokens of the forward that has just ended."""
        for part in self.parts:
            part.advance(n_tokens)


def decode_many(
    base: LoadedBase,
    waiting: Iterator[Asked],
    *,
    bank: AdapterBank | None,
    vocabulary: Vocabulary,
    open_rows: int = OPEN_ROWS,
) -> Iterator[Asked]:
    """Yield each request when all its rows have ended; the next ones begin when there is room for all their rows.

    Args:
        base: the base.
        waiting: the requests, whose prompts are computed when they are drawn.
        bank: in which lane i is the i-th of the adapters that are selected; None for rows of the base.
        vocabulary: of the base's tokenizer.
        open_rows: of all requests together, at most; one alone may have more.
    """
    going: list[Asked] = []
    following = next(waiting, None)
    while going or following:
        while following and (not going or sum(own.n_open_rows for own in [*going, following]) <= open_rows):
            going.append(following)
            following = next(waiting, None)
        with torch.inference_mode():  # inside the loop: the caller's code between two results is not ours
            _step(base, bank, going, vocabulary)
        yield from [asked for asked in going if not asked.going]
        going = [asked for asked in going if asked.going]


def _step(base: LoadedBase, bank: AdapterBank | None, going: Sequence[Asked], vocabulary: Vocabulary) -> None:
    """One more token of every open row."""
    started = device_clock(base)
    rows = [asked.rows[place] for asked in going for place in asked.going]
    ids = torch.tensor([[row.ids[-1] if row.ids else row.last_token] for row in rows], device=base.device)
    key_values = OpenRows(going)
    with bank.on(lanes=_lanes(bank, going, base.device)) if bank else nullcontext():
        hidden = base.hidden_states(ids, key_values.next_positions(1).to(base.device), key_values)
    key_values.advance(1)
    tokens = choose(base.logits(hidden[:, -1]), rows, vocabulary)
    for row, token in zip(rows, tokens, strict=True):
        extend(row, token, base, vocabulary)
    row_s = (device_clock(base) - started) / len(rows)
    for asked in going:
        asked.decode_s += row_s * len(asked.going)
        asked.drop_ended(base.device)


def _lanes(bank: AdapterBank, going: Sequence[Asked], device: str) -> Lanes:
    return Lanes.of([own.lanes[place] for own in going for place in own.going], n_lanes=bank.n_selected, device=device)
