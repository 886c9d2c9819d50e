"""Decoding many requests at once: a request begins where rows of others have ended, so that the batch stays full.

Rows lie in lanes, one for each adapter: `[K, M]` cells for K lanes of M rows at most. So the bank multiplies all rows
of an adapter at once, and copies none for a second row. One request alone is `decode.py`'s.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.decode import Row, choose, extend
from spa_lsp.lm.forward import device_clock
from spa_lsp.lm.load import LoadedBase
from spa_lsp.lm.vocabulary import Vocabulary

OPEN_ROWS = 128  # more gain little on two cores, and their keys and values take memory


@dataclass(kw_only=True)
class Asked:
    """One request in the making: its rows began together, so those that go on are all of one length."""

    number: int  # the caller's
    rows: list[Row]
    lanes: list[int]  # of each row
    key_values: KeyValues  # of the rows that go on, behind the prompt that they share
    prompt_s: float
    decode_s: float = 0.0  # its rows' share of the steps they were in
    going: list[int] = field(init=False)  # places of the rows that have not ended

    def __post_init__(self) -> None:
        self.going = list(range(len(self.rows)))


class Cells(KeyValues):
    """The keys and values of the open rows of several requests, as the attention of one forward sees them."""

    def __init__(self, open_requests: Sequence[Asked], n_lanes: int) -> None:
        super().__init__(0)
        self.parts = [asked.key_values for asked in open_requests]
        self.sizes = [len(asked.going) for asked in open_requests]
        lanes = [asked.lanes[place] for asked in open_requests for place in asked.going]
        before = [lanes[:n].count(lane) for n, lane in enumerate(lanes)]
        self.shape = (n_lanes, max(before) + 1)
        self.cells = torch.tensor([lane * self.shape[1] + n for lane, n in zip(lanes, before, strict=True)])

    def lay(self, values: Sequence[int]) -> Tensor:
        """One number for each row where the row's cell is, `[K, M]`; 0 where no row is."""
        return torch.zeros(self.shape, dtype=torch.long).put_(self.cells, torch.tensor(values))

    def rows_of(self, x: Tensor) -> Tensor:
        """What is in the cells of the rows, `[rows, ...]` of `[K, M, ...]`."""
        return x.flatten(0, 1).index_select(0, self.cells.to(x.device))

    def positions(self) -> list[int]:
        """Of the next token of each row."""
        return [part.position for part, size in zip(self.parts, self.sizes, strict=True) for _ in range(size)]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """Let each row look at its own request, `[K, H, M, D]`; cells without a row have zeros."""
        rows = [self.rows_of(x.transpose(1, 2))[:, :, None].split(self.sizes) for x in (query, key, value)]
        seen = [part.attend(layer, *own, scaling) for part, *own in zip(self.parts, *rows, strict=True)]
        K, M = self.shape
        out = query.new_zeros(K * M, query.shape[1], query.shape[3])
        out[self.cells.to(out.device)] = torch.cat(seen)[:, :, 0]
        return out.view(K, M, *out.shape[1:]).transpose(1, 2)


def decode_many(
    base: LoadedBase,
    waiting: Iterator[Asked],
    *,
    n_lanes: int,
    under_adapters: Callable[[], AbstractContextManager[None]],
    vocabulary: Vocabulary,
    open_rows: int = OPEN_ROWS,
) -> Iterator[Asked]:
    """Yield each request when all its rows have ended; the next ones begin when there is room for all their rows.

    Args:
        base: the base.
        waiting: the requests, whose prompts are computed when they are drawn.
        n_lanes: how many lanes the rows name.
        under_adapters: a context in which row i of a batch runs under the adapter of lane i.
        vocabulary: of the base's tokenizer.
        open_rows: of all requests together, at most; one alone may have more.
    """
    going: list[Asked] = []
    following = next(waiting, None)
    while going or following:
        while following and (not going or sum(len(own.going) for own in going) + len(following.rows) <= open_rows):
            going.append(following)
            following = next(waiting, None)
        with torch.inference_mode():  # inside the loop: the caller's code between two results is not ours
            _step(base, going, Cells(going, n_lanes), under_adapters, vocabulary)
        yield from [asked for asked in going if not asked.going]
        going = [asked for asked in going if asked.going]


def _step(
    base: LoadedBase,
    going: Sequence[Asked],
    cells: Cells,
    under_adapters: Callable[[], AbstractContextManager[None]],
    vocabulary: Vocabulary,
) -> None:
    """One more token of every open row."""
    started = device_clock(base)
    rows = [asked.rows[place] for asked in going for place in asked.going]
    ids = cells.lay([row.ids[-1] if row.ids else row.last_token for row in rows]).to(base.device)
    positions = cells.lay(cells.positions()).to(base.device)
    with under_adapters():
        output = base.decoder(input_ids=ids, position_ids=positions, use_cache=False, key_values=cells)
    tokens = choose(base.logits(cells.rows_of(output.last_hidden_state)), rows, vocabulary)
    for row, token in zip(rows, tokens, strict=True):
        extend(row, token, base, vocabulary)
    row_s = (device_clock(base) - started) / len(rows)
    for asked in going:
        asked.decode_s += row_s * len(asked.going)
        _drop_ended(base, asked)


def _drop_ended(base: LoadedBase, asked: Asked) -> None:
    asked.key_values.advance(1)
    kept = [n for n, place in enumerate(asked.going) if not asked.rows[place].finish]
    if len(kept) < len(asked.going):
        asked.key_values.select(torch.tensor(kept, dtype=torch.long, device=base.device))
        asked.going = [asked.going[n] for n in kept]
