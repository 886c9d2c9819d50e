"""Attention of rows that share one prefix, and the keys and values it reads.

k rows decode over one prompt: the prompt's K,V exist once, `[1, Hkv, P, D]`, and each row adds only its own. Folding
the rows into the query dimension makes the shared part one matrix product; copying the prefix to every row cost two
thirds of a step. Exact: one softmax over both parts.

Source: bifurcated attention, arXiv:2403.08845, §4.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spa_lsp.completion import IsCancelled


class Interrupted(Exception):
    """Nobody wants the rest of a forward; what it wrote so far does not count."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rows, one after the other, that share a prefix: the alternatives to one of several prompts in a batch."""

    prefix: "KeyValues"
    n_rows: int


class KeyValues:
    """Keys and values of `rows` sequences, one pair per layer, optionally behind a prefix.

    All rows share one `prefix`, or each of the `groups` has its own; all rows have equally many own tokens.
    """

    def __init__(
        self,
        n_layers: int,
        *,
        prefix: "KeyValues | None" = None,
        groups: Sequence[Group] = (),
        capacity: int = 256,
    ) -> None:
        assert prefix is None or not groups
        self.keys: list[Tensor | None] = [None] * n_layers  # [rows, Hkv, capacity, D]
        self.values: list[Tensor | None] = [None] * n_layers
        self.prefix = prefix
        self.groups = list(groups)
        self.length = 0  # own tokens that are valid
        self.is_cancelled: IsCancelled | None = None  # asked in every layer: some hundred tokens take seconds
        self.capacity = capacity

    @property
    def position(self) -> int:
        """Of the next token, counted from the beginning of the prompt; groups have no common one."""
        assert not self.groups
        return self.length + (self.prefix.position if self.prefix else 0)

    def next_positions(self, n_tokens: int) -> Tensor:
        """Of the next tokens, `[rows, T]` for groups, else `[1, T]`."""
        own = torch.arange(n_tokens)
        if not self.groups:
            return own[None] + self.position
        starts = [group.prefix.position for group in self.groups for _ in range(group.n_rows)]
        return torch.tensor(starts)[:, None] + self.length + own

    def behind_same_prefix(self) -> "KeyValues":
        """Those of other rows over the same prefix; they have nothing of their own yet."""
        return KeyValues(len(self.keys), prefix=self.prefix, groups=self.groups, capacity=self.capacity)

    def raise_if_cancelled(self) -> None:
        """To be called in every layer.

        Raises:
            Interrupted: nobody wants the rest.
        """
        if self.is_cancelled and self.is_cancelled():
            raise Interrupted

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """Store the new tokens and let them look at all before them: `[rows, H, T, D]`."""
        own_key, own_value = self.append(layer, key, value)
        if self.groups:
            return _attend_groups(query, own_key, own_value, layer, self.groups, scaling=scaling)
        prefix = self.prefix.if_any(layer) if self.prefix else None
        return attend(query, own_key, own_value, prefix, scaling)

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store the new tokens' `[rows, Hkv, T, D]` behind the valid ones; all own keys and values come back.

        The new tokens count only after `advance`, since every layer of one forward writes at the same place.
        """
        end = self.length + key.shape[2]
        return self._write(self.keys, layer, key, end), self._write(self.values, layer, value, end)

    def make_room(self, n_tokens: int, *, n_rows: int, n_heads: int, width: int) -> list[tuple[Tensor, Tensor]]:
        """The own keys and values of every layer, `[rows, Hkv, length + n_tokens, D]`; the last are not set yet."""
        like, end = torch.empty(n_rows, n_heads, 0, width), self.length + n_tokens
        return [
            (self._room(self.keys, layer, like, end), self._room(self.values, layer, like, end))
            for layer in range(len(self.keys))
        ]

    def advance(self, n_tokens: int) -> None:
        """Count the tokens of the forward that has just ended."""
        self.length += n_tokens

    def truncate(self, length: int) -> None:
        """Forget the own tokens from `length` on; their room is used again."""
        self.length = min(self.length, length)

    def select(self, rows: Tensor) -> None:
        """Keep only these rows, in this order, which for groups must be the one they have."""
        self.keys = [None if key is None else key.index_select(0, rows) for key in self.keys]
        self.values = [None if value is None else value.index_select(0, rows) for value in self.values]
        self.groups = _keep_rows(self.groups, rows.tolist())

    def own(self, layer: int) -> tuple[Tensor, Tensor]:
        """The valid keys and values of one layer, `[rows, Hkv, length, D]`."""
        key, value = self.keys[layer], self.values[layer]
        assert key is not None and value is not None
        return key[:, :, : self.length], value[:, :, : self.length]

    def if_any(self, layer: int) -> tuple[Tensor, Tensor] | None:
        """As `own`; None while there is no token, as before the last token of a prompt that has only that one."""
        return self.own(layer) if self.length else None

    def _write(self, store: list[Tensor | None], layer: int, new: Tensor, end: int) -> Tensor:
        room = self._room(store, layer, new, end)
        room[:, :, self.length :] = new
        return room

    def _room(self, store: list[Tensor | None], layer: int, new: Tensor, end: int) -> Tensor:
        held = store[layer]
        if held is None or held.shape[2] < end:
            while self.capacity < end:
                self.capacity *= 2
            rows, heads, _, width = new.shape
            larger = new.new_empty(rows, heads, self.capacity, width)
            if held is not None:
                larger[:, :, : self.length] = held[:, :, : self.length]
            store[layer] = held = larger
        return held[:, :, :end]


def _keep_rows(groups: Sequence[Group], rows: Sequence[int]) -> list[Group]:
    kept, start = [], 0
    for group in groups:
        n_rows = sum(start <= row < start + group.n_rows for row in rows)
        start += group.n_rows
        kept += [Group(prefix=group.prefix, n_rows=n_rows)] if n_rows else []
    return kept


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prefix: tuple[Tensor, Tensor] | None,
    scaling: float,
    *,
    hidden: Tensor | None = None,
) -> Tensor:
    """Causal attention over a shared prefix and own tokens, `[B, H, T, D]`; softmax in float32.

    Args:
        query: of the T newest tokens, `[B, H, T, D]`; H is a multiple of Hkv.
        key: own tokens, the newest last, `[B, Hkv, S, D]`.
        value: the same shape.
        prefix: keys and values that all B rows share, `[1, Hkv, P, D]` each.
        scaling: factor of the scores, usually D ** -0.5.
        hidden: places of prefix and own tokens that nobody may look at, `[P + S]`.
    """
    B, H, T, D = query.shape
    Hkv, S = key.shape[1], key.shape[2]
    G = H // Hkv
    grouped = query.reshape(B, Hkv, G * T, D)
    scores = torch.matmul(grouped, key.transpose(-1, -2))  # [B, Hkv, G*T, S]
    if T > 1:
        future = torch.ones(T, S, dtype=torch.bool, device=query.device).triu(S - T + 1)
        scores = scores.masked_fill(future.repeat(G, 1), float("-inf"))
    if prefix is None:
        weights = torch.softmax(scores * scaling, dim=-1, dtype=torch.float32).to(query.dtype)
        return torch.matmul(weights, value).reshape(B, H, T, D)
    prefix_key, prefix_value = prefix
    P = prefix_key.shape[2]
    folded = grouped.transpose(0, 1).reshape(Hkv, B * G * T, D)
    shared = torch.matmul(folded, prefix_key[0].transpose(-1, -2))  # [Hkv, B*G*T, P]
    shared = shared.view(Hkv, B, G * T, P).transpose(0, 1)
    scores = torch.cat([shared, scores], -1)
    if hidden is not None:
        scores = scores.masked_fill(hidden, float("-inf"))
    weights = torch.softmax(scores * scaling, dim=-1, dtype=torch.float32).to(query.dtype)
    own = torch.matmul(weights[..., P:], value)
    folded_weights = weights[..., :P].transpose(0, 1).reshape(Hkv, B * G * T, P)
    from_prefix = torch.matmul(folded_weights, prefix_value[0]).view(Hkv, B, G * T, D).transpose(0, 1)
    return (own + from_prefix).reshape(B, H, T, D)


def _attend_groups(
    query: Tensor, key: Tensor, value: Tensor, layer: int, groups: Sequence[Group], *, scaling: float
) -> Tensor:
    """`attend` for each group's rows over the group's prefix: prompts differ in length, and padding would be work."""
    sizes = [group.n_rows for group in groups]
    parts = zip(*(torch.split(x, sizes) for x in (query, key, value)), groups, strict=True)
    return torch.cat([attend(q, k, v, group.prefix.if_any(layer), scaling) for q, k, v, group in parts])
