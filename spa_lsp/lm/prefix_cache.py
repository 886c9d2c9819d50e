"""Keys and values of prompts seen lately, so that a keystroke costs only the tokens it changed.

They are the base's own: adapters do not act on a prompt (`activation: completion`). Where they do, a prompt can be kept
under one adapter, for rows that are all of that one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from spa_lsp.completion import IsCancelled
from spa_lsp.lm.attention import Interrupted, KeyValues
from spa_lsp.lm.forward import device_clock, forward
from spa_lsp.lm.load import LoadedBase

CHUNK_TOKENS = 256  # a cancel costs at most this much work, and smaller chunks more time: 64 take 1.2 times as long
_MAX_ENTRIES = 4  # documents edited in turn
_MIN_SHARE = 0.5  # of an entry that a prompt must share with it to take its place
_MAX_WHOLE_TOKENS = 2**15  # 0.8 GB in float32 with the default base

OnRead = Callable[[int, float], None]  # tokens of a chunk, and the seconds that they took


@dataclass
class CachedPrompt:
    """One prompt: its tokens so far and their keys and values; both always of the same length."""

    key_values: KeyValues
    tokens: list[int] = field(default_factory=list)


class PrefixCache:
    """A few prompts, the least recently used of which goes first."""

    def __init__(self, n_layers: int, *, max_entries: int = _MAX_ENTRIES) -> None:
        self.n_layers = n_layers
        self.max_entries = max_entries
        self.entries: list[CachedPrompt] = []  # most recently used last

    def entry_for(self, tokens: Sequence[int]) -> CachedPrompt:
        """An entry that holds the longest prefix of `tokens` known, and nothing behind it.

        An entry that shares little with `tokens` is kept for its own document, and the shared part is copied.
        """
        best = max(self.entries, key=lambda entry: common_length(entry.tokens, tokens), default=None)
        n_shared = common_length(best.tokens, tokens) if best else 0
        if best is not None and n_shared >= _MIN_SHARE * len(best.tokens):
            self.entries.remove(best)
            entry = best
        else:
            entry = self._copy(best, n_shared) if best else CachedPrompt(key_values=KeyValues(self.n_layers))
        entry.key_values.truncate(n_shared)
        del entry.tokens[n_shared:]
        self.entries = [*self.entries, entry][-self.max_entries :]
        return entry

    def _copy(self, source: CachedPrompt, n_tokens: int) -> CachedPrompt:
        copied = KeyValues(self.n_layers)
        for layer in range(self.n_layers if n_tokens else 0):
            key, value = source.key_values.own(layer)
            copied.append(layer, key[:, :, :n_tokens], value[:, :, :n_tokens])
        copied.advance(n_tokens)
        return CachedPrompt(key_values=copied, tokens=source.tokens[:n_tokens])


@dataclass(frozen=True)
class WholePrompt:
    """Keys and values of one prompt, and the time that they took when they were computed."""

    key_values: KeyValues
    seconds: float


class WholePrompts:
    """Prompts that are asked again as a whole, with other adapters: an evaluation asks each once per arm.

    Unlike an entry of the prefix cache what is kept here never changes, so that many can stand in one batch.
    """

    def __init__(self, n_layers: int, *, max_tokens: int = _MAX_WHOLE_TOKENS) -> None:
        self.n_layers = n_layers
        self.max_tokens = max_tokens  # of all prompts together; the least recently used go first
        self._known: dict[tuple[int, ...], WholePrompt] = {}

    def compute(self, base: LoadedBase, tokens: Sequence[int]) -> "WholePrompt":
        """The keys and values of these tokens under the base, computed now unless they are kept."""
        found = self.find(tokens)
        if found is None:
            entry = CachedPrompt(key_values=KeyValues(self.n_layers, capacity=max(1, len(tokens))))
            started = device_clock(base)
            prefill(base, entry, tokens)
            found = WholePrompt(key_values=entry.key_values, seconds=device_clock(base) - started)
            self._known[tuple(tokens)] = found
        while len(self._known) > 1 and sum(map(len, self._known)) > self.max_tokens:
            del self._known[next(iter(self._known))]
        return found

    def find(self, tokens: Sequence[int]) -> "WholePrompt | None":
        """What is kept of exactly these tokens, which now are the most recently used."""
        found = self._known.pop(tuple(tokens), None)
        if found is not None:
            self._known[tuple(tokens)] = found
        return found


def prefill(
    base: LoadedBase,
    entry: CachedPrompt,
    tokens: Sequence[int],
    is_cancelled: IsCancelled | None = None,
    on_read: OnRead = lambda n_tokens, seconds: None,
) -> bool:
    """Bring the entry up to `tokens`, of which it holds a prefix; False when cancelled on the way.

    What was computed before a cancel stays in the entry. `on_read` is told of each chunk.
    """
    missing = tokens[len(entry.tokens) :]
    n_done = _run_chunks(base, entry.key_values, missing, 1, is_cancelled, on_read)
    entry.tokens += missing[:n_done]
    return n_done == len(missing)


def prefill_rows(
    base: LoadedBase, key_values: KeyValues, tokens: Sequence[int], n_rows: int, is_cancelled: IsCancelled
) -> bool:
    """The same tokens in every row, each under its own adapter (`activation: all`): nothing to share, nothing kept."""
    return _run_chunks(base, key_values, tokens, n_rows, is_cancelled) == len(tokens)


def _run_chunks(
    base: LoadedBase,
    key_values: KeyValues,
    tokens: Sequence[int],
    n_rows: int,
    is_cancelled: IsCancelled | None,
    on_read: OnRead = lambda n_tokens, seconds: None,
) -> int:
    """How many of the tokens were run, chunk by chunk, before a cancel, which is read in every layer."""
    size = max(1, CHUNK_TOKENS // n_rows)
    key_values.is_cancelled = is_cancelled
    try:
        for start in range(0, len(tokens), size):
            n_done, began = start, device_clock(base)
            chunk = tokens[start : start + size]
            forward(base, torch.tensor([chunk] * n_rows, device=base.device), key_values)
            on_read(len(chunk), device_clock(base) - began)
    except Interrupted:
        return n_done
    finally:
        key_values.is_cancelled = None
    return len(tokens)


def common_length(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    n = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        n += 1
    return n
