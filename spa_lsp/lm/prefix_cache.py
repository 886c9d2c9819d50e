"""Keys and values of prompts seen lately, under the base alone, so that a keystroke costs only the tokens it changed.

The cache does not depend on the adapters: they never act on a prompt (`activation: completion`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from spa_lsp.completion import IsCancelled
from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.load import LoadedBase

CHUNK_TOKENS = 256  # a cancel is read between chunks: at most this much work is wasted
_MAX_ENTRIES = 4  # documents edited in turn
_MIN_SHARE = 0.5  # of an entry that a prompt must share with it to take its place


@dataclass
class Entry:
    """One prompt: its tokens so far and their keys and values; both always of the same length."""

    key_values: KeyValues
    tokens: list[int] = field(default_factory=list)


class PrefixCache:
    """A few prompts, the least recently used of which goes first."""

    def __init__(self, n_layers: int, *, max_entries: int = _MAX_ENTRIES) -> None:
        self.n_layers = n_layers
        self.max_entries = max_entries
        self.entries: list[Entry] = []  # most recently used last

    def entry_for(self, tokens: Sequence[int]) -> Entry:
        """An entry that holds the longest prefix of `tokens` known, and nothing behind it.

        An entry that shares little with `tokens` is kept for its own document, and the shared part is copied.
        """
        best = max(self.entries, key=lambda entry: common_length(entry.tokens, tokens), default=None)
        n_shared = common_length(best.tokens, tokens) if best else 0
        if best is not None and n_shared >= _MIN_SHARE * len(best.tokens):
            self.entries.remove(best)
            entry = best
        else:
            entry = self._copy(best, n_shared) if best else Entry(key_values=KeyValues(self.n_layers))
        entry.key_values.truncate(n_shared)
        del entry.tokens[n_shared:]
        self.entries = [*self.entries, entry][-self.max_entries :]
        return entry

    def _copy(self, source: Entry, n_tokens: int) -> Entry:
        copied = KeyValues(self.n_layers)
        for layer in range(self.n_layers if n_tokens else 0):
            key, value = source.key_values.own(layer)
            copied.append(layer, key[:, :, :n_tokens], value[:, :, :n_tokens])
        copied.advance(n_tokens)
        return Entry(key_values=copied, tokens=source.tokens[:n_tokens])


def prefill(base: LoadedBase, entry: Entry, tokens: Sequence[int], is_cancelled: IsCancelled | None = None) -> bool:
    """Bring the entry up to `tokens`, of which it holds a prefix; False when cancelled on the way.

    What was computed before a cancel stays in the entry.
    """
    while len(entry.tokens) < len(tokens):
        if is_cancelled and is_cancelled():
            return False
        chunk = tokens[len(entry.tokens) : len(entry.tokens) + CHUNK_TOKENS]
        run(base, torch.tensor([chunk], device=base.device), entry.key_values)
        entry.tokens += chunk
    return True


def prefill_rows(
    base: LoadedBase, key_values: KeyValues, tokens: Sequence[int], n_rows: int, is_cancelled: IsCancelled
) -> bool:
    """The same tokens in every row, each under its own adapter (`activation: all`): nothing to share, nothing kept."""
    chunk_tokens = max(1, CHUNK_TOKENS // n_rows)
    for start in range(0, len(tokens), chunk_tokens):
        if is_cancelled():
            return False
        chunk = tokens[start : start + chunk_tokens]
        run(base, torch.tensor([chunk] * n_rows, device=base.device), key_values)
    return True


def run(base: LoadedBase, ids: torch.Tensor, key_values: KeyValues) -> torch.Tensor:
    """Hidden states `[B, T, D]` of the next T tokens of every row; their keys and values are added."""
    T = ids.shape[1]
    positions = key_values.next_positions(T).to(ids.device).expand(ids.shape)
    output = base.decoder(input_ids=ids, position_ids=positions, use_cache=False, key_values=key_values)
    key_values.advance(T)
    hidden: torch.Tensor = output.last_hidden_state
    return hidden


def common_length(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    n = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        n += 1
    return n
