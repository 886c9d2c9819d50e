"""Decoding over shapes and places that never change, so that CUDA can replay a step as one captured graph.

Eager, a step of a small base is a thousand kernel launches, and launching takes longer than computing. Here rows stay
in their places when others end, keys and values lie in buffers of full size of which a mask shows the valid part, the
next tokens are chosen on the device, and the host reads them every few steps. What a graph cannot do is left to
`decode.decode`, which goes on where this stops. The same steps run without a graph on any device: so they are tested.
"""

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spa_lsp.lm.attention import KeyValues, attend
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.decode import Row, extend
from spa_lsp.lm.load import LoadedBase
from spa_lsp.lm.sampling import argmax, draw, likeliest, log_sums
from spa_lsp.lm.vocabulary import Vocabulary
from spa_lsp.text.branching import N_CHOICES, Choice

PREFIX_TOKENS = 2048  # room for the longest prompt
OWN_TOKENS = 128  # and for a completion; a longer one is ended by eager steps
_BLOCK = 8  # steps between two checks by the host; what a row writes beyond its end is thrown away
_MAX_STEPS = 8  # with other adapters or numbers of rows, each with a graph
_WARM_UP_RUNS = 3  # before a capture, as CUDA's libraries want it


class StaticKeyValues(KeyValues):
    """Keys and values in buffers of full size behind a prefix that is copied in; lengths are numbers on the device."""

    def __init__(self, base: LoadedBase, n_rows: int, prefix: "StaticPrefix") -> None:
        super().__init__(base.n_layers, capacity=OWN_TOKENS)
        self.static_prefix = prefix
        shape = (n_rows, prefix.n_heads, OWN_TOKENS, prefix.width)
        self.keys = [torch.zeros(shape, dtype=base.dtype, device=base.device) for _ in range(base.n_layers)]
        self.values = [torch.zeros_like(key) for key in self.keys if key is not None]
        self.place = torch.zeros(1, dtype=torch.long, device=base.device)  # of the next own token
        self.hidden: Tensor | None = None
        self._places = torch.arange(PREFIX_TOKENS, device=base.device)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """As `KeyValues.attend`, over whole buffers."""
        own = self.append(layer, key, value)
        return attend(query, *own, self.static_prefix.of(layer), scaling, hidden=self.hidden)

    def hide(self) -> None:
        """Look up where attention must not look, `[PREFIX_TOKENS + OWN_TOKENS]`: once a step, for all layers."""
        prefix = self._places[:PREFIX_TOKENS] >= self.static_prefix.length
        self.hidden = torch.cat([prefix, self._places[:OWN_TOKENS] > self.place])

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store one token of every row at `place`; the whole buffers come back."""
        keys, values = self.keys[layer], self.values[layer]
        assert keys is not None and values is not None
        return keys.index_copy_(2, self.place, key), values.index_copy_(2, self.place, value)

    def clear(self) -> None:
        """Let nothing be stored; what is hidden counts 0 times, and 0 times a number that is not finite is none."""
        self.place.zero_()
        for values in self.values:
            assert values is not None
            values.zero_()

    def behind(self, prefix: KeyValues | None, rows: Tensor, length: int) -> KeyValues:
        """The valid ones of these rows, for eager steps behind the prefix that was copied."""
        found = KeyValues(len(self.keys), prefix=prefix, capacity=OWN_TOKENS)
        found.keys = [key.index_select(0, rows) for key in self.keys if key is not None]
        found.values = [value.index_select(0, rows) for value in self.values if value is not None]
        found.length = length
        return found


class StaticPrefix:
    """The prompt's keys and values where every step looks for them."""

    def __init__(self, base: LoadedBase) -> None:
        config = base.model.config
        self.n_heads = int(config.num_key_value_heads)
        self.width = int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
        shape = (1, self.n_heads, PREFIX_TOKENS, self.width)
        self.keys = [torch.zeros(shape, dtype=base.dtype, device=base.device) for _ in range(base.n_layers)]
        self.values = [torch.zeros_like(key) for key in self.keys]
        self.length = torch.zeros(1, dtype=torch.long, device=base.device)

    def of(self, layer: int) -> tuple[Tensor, Tensor]:
        """The whole buffers of one layer."""
        return self.keys[layer], self.values[layer]

    def copy(self, prefix: KeyValues | None) -> None:
        """Take over a prompt's; None is one of a single token, which has none."""
        n = prefix.length if prefix else 0
        for layer, (keys, values) in enumerate(zip(self.keys, self.values, strict=True)):
            if prefix and n:
                key, value = prefix.own(layer)
                keys[:, :, :n], values[:, :, :n] = key, value
        self.length.fill_(n)


@dataclass(frozen=True, kw_only=True)
class Written:
    """What some steps chose, `[steps][rows]` each."""

    tokens: list[list[int]]
    logprobs: list[list[float]]
    log_sums: list[list[float]]  # not finite: the row is broken
    choice_tokens: list[list[list[int]]]  # the likeliest few
    choice_logprobs: list[list[list[float]]]
    is_short: list[list[bool]]  # the likeliest few tokens did not have `top_p`: the token was drawn wrongly


class StaticStep:
    """The next token of rows that stay as they are: `adapters[i]` acts on row i, or no adapter at all."""

    def __init__(self, base: LoadedBase, bank: AdapterBank, adapters: Sequence[int], n_rows: int, prefix: StaticPrefix):
        self._base, self._bank, self._adapters = base, bank, torch.tensor(adapters, dtype=torch.long)
        self._has_adapters = bool(adapters)
        self.key_values = StaticKeyValues(base, n_rows, prefix)
        self._prefix = prefix
        n_tokens = base.model.lm_head.out_features

        def numbers(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=base.device)

        self.ids = numbers(n_rows, 1, dtype=torch.long)
        self.bias = numbers(n_rows, n_tokens)  # -inf for what a row may not choose
        self.temperatures = numbers(n_rows)  # 0: greedy
        self.top_p = numbers(n_rows)
        self.randoms = numbers(OWN_TOKENS, n_rows)  # by own token
        self.tokens = numbers(OWN_TOKENS, n_rows, dtype=torch.long)
        self.logprobs = numbers(OWN_TOKENS, n_rows)
        self.log_sums = numbers(OWN_TOKENS, n_rows)
        self.is_short = numbers(OWN_TOKENS, n_rows, dtype=torch.bool)
        self.beginnings = numbers(OWN_TOKENS, n_rows, dtype=torch.long)  # a token that is taken in any case, or -1
        self.choice_logprobs = numbers(OWN_TOKENS, n_rows, N_CHOICES)
        self.choice_tokens = numbers(OWN_TOKENS, n_rows, N_CHOICES, dtype=torch.long)
        self._is_narrow = False  # `bias` forbids something
        self._graph: Any = None  # a torch.cuda.CUDAGraph
        self._held: list[Tensor | None] = []  # a graph reads its adapters where they lay when it was captured
        if base.device == "cuda":
            self._bank.select(self._adapters)
            self._capture()

    def begin(self, rows: Sequence[Row]) -> None:
        """Let these rows have nothing yet."""
        self.key_values.clear()
        self.ids.copy_(torch.tensor([[row.last_token] for row in rows]))
        self.temperatures.copy_(torch.tensor([row.rules.temperature if row.generator else 0.0 for row in rows]))
        self.top_p.copy_(torch.tensor([row.rules.top_p for row in rows]))
        randoms = [row.randoms(OWN_TOKENS) if row.generator else torch.zeros(OWN_TOKENS) for row in rows]
        self.randoms.copy_(torch.stack(randoms, dim=1))
        beginnings = torch.full((OWN_TOKENS, len(rows)), -1)
        for n, row in enumerate(rows):
            own = torch.tensor(row.beginning[:OWN_TOKENS], dtype=torch.long)
            beginnings[: len(own), n] = own
        self.beginnings.copy_(beginnings)

    def allow(self, owed: Sequence[bytes], vocabulary: Vocabulary) -> bool:
        """Let every row choose only what agrees with the text it owes; whether one owes any."""
        do_owe = any(owed)
        if do_owe or self._is_narrow:
            self.bias.zero_()
        for n, text in enumerate(owed):
            if text:
                self.bias[n] = -torch.inf
                self.bias[n, vocabulary.agreeing(text).to(self.bias.device)] = 0.0
        self._is_narrow = do_owe
        return do_owe

    def written(self, start: int, n_steps: int) -> Written:
        """What these steps have chosen; waits for the device."""
        part = slice(start, start + n_steps)
        return Written(
            tokens=self.tokens[part].tolist(),
            logprobs=self.logprobs[part].tolist(),
            log_sums=self.log_sums[part].tolist(),
            choice_tokens=self.choice_tokens[part].tolist(),
            choice_logprobs=self.choice_logprobs[part].tolist(),
            is_short=self.is_short[part].tolist(),
        )

    def run(self, n_steps: int) -> None:
        """The next steps, one after the other."""
        self._bank.select(self._adapters)
        for _ in range(n_steps):
            if self._graph is not None:
                self._graph.replay()
            else:
                self._step()

    def _step(self) -> None:
        key_values, place = self.key_values, self.key_values.place
        with self._bank.on() if self._has_adapters else nullcontext():
            key_values.hide()
            positions = (self._prefix.length + place)[None].expand(self.ids.shape)
            hidden = self._base.hidden_states(self.ids, positions, key_values)
        logits = self._base.logits(hidden[:, -1]) + self.bias
        sums = log_sums(logits)
        drawn, is_short = draw(logits, self.temperatures, self.top_p, self.randoms.index_select(0, place)[0])
        tokens = torch.where(self.temperatures > 0, drawn, argmax(logits))
        begun = self.beginnings.index_select(0, place)[0]
        is_drawn = (self.temperatures > 0) & (begun < 0)
        tokens = torch.where(begun < 0, tokens, begun)
        likely, likely_tokens = likeliest(logits, N_CHOICES)
        self.choice_logprobs.index_copy_(0, place, (likely - sums[:, None])[None])
        self.choice_tokens.index_copy_(0, place, likely_tokens[None])
        self.tokens.index_copy_(0, place, tokens[None])
        self.logprobs.index_copy_(0, place, (logits.gather(1, tokens[:, None])[:, 0] - sums)[None])
        self.log_sums.index_copy_(0, place, sums[None])
        self.is_short.index_copy_(0, place, (is_short & is_drawn)[None])
        self.ids.copy_(tokens[:, None])
        place.add_(1)

    def _capture(self) -> None:
        """Record one step; what the trial runs write is of no row, and gone when one begins."""
        usual = torch.cuda.current_stream()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        stream.wait_stream(usual)
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP_RUNS):
                self._step()
                self.key_values.clear()
        usual.wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._step()
        finally:
            torch.cuda.set_stream(usual)  # torch does not, where it cannot end a capture
        self._graph = graph
        self._held = [each for linear in self._bank.linears.values() for each in (linear.A, linear.B)]


def pays(base: LoadedBase) -> bool:
    """Whether steps of this base are to be captured: where launching kernels is what takes the time.

    bitsandbytes' int8 looks for outliers on the host, in every product: no step of that can be.
    """
    return base.device == "cuda" and base.quantization != "int8"


def fits(key_values: KeyValues) -> bool:
    """Whether rows with these can be decoded here: fresh, over one prompt that is not too long."""
    prefix = key_values.prefix
    return not key_values.groups and not key_values.length and (prefix is None or prefix.length <= PREFIX_TOKENS)


@dataclass(frozen=True, kw_only=True)
class Rest:
    """The rows that static steps have left open, and what an eager decoding of them goes on from."""

    rows: list[Row]
    places: list[int]  # of these rows among all
    key_values: KeyValues


class StaticDecoder:
    """Decodes the rows of one request in static steps, as far as these go."""

    def __init__(self, base: LoadedBase, bank: AdapterBank, vocabulary: Vocabulary) -> None:
        self._base, self._bank, self._vocabulary = base, bank, vocabulary
        self._prefix = StaticPrefix(base)
        self._steps: dict[tuple[int, ...], StaticStep] = {}

    def clear(self) -> None:
        """The bank holds other adapters: what was captured would use those from before."""
        self._steps.clear()

    def step_for(self, adapters: Sequence[int], n_rows: int) -> StaticStep:
        """What makes a step of so many rows, `adapters[i]` acting on row i, or the base alone where there are none.

        Raises:
            RuntimeError: torch's own; on CUDA, it cannot be captured.
        """
        key = tuple(adapters) or (-1,) * n_rows
        step = self._steps.pop(key, None) or StaticStep(self._base, self._bank, adapters, n_rows, self._prefix)
        self._steps[key] = step  # the most recently used one is the last
        if len(self._steps) > _MAX_STEPS:
            del self._steps[next(iter(self._steps))]
        return step

    def decode(
        self, step: StaticStep, rows: Sequence[Row], prefix: KeyValues | None, is_over: Callable[[], bool]
    ) -> Generator[Row, None, Rest]:
        """Yield each row as it finishes, and return those that did not.

        Args:
            step: of `step_for`.
            rows: fresh ones of one request.
            prefix: at most `PREFIX_TOKENS` of the prompt, but for the last one.
            is_over: asked every few steps.
        """
        self._prefix.copy(prefix)
        step.begin(rows)
        going, n_done, is_whole = list(range(len(rows))), 0, True
        while going and is_whole and n_done < OWN_TOKENS and not is_over():
            do_owe = step.allow([row.still_owed for row in rows], self._vocabulary)
            n_steps = 1 if do_owe else min(_BLOCK, OWN_TOKENS - n_done)
            step.run(n_steps)
            n_read = self._read(step.written(n_done, n_steps), rows)
            ended = (rows[n] for n in going if rows[n].finish)
            yield from sorted(ended, key=lambda row: len(row.logprobs))  # as they have ended, as in eager steps
            going = [n for n in going if not rows[n].finish]
            n_done, is_whole = n_done + n_read, n_read == n_steps
        kept = torch.tensor(going, dtype=torch.long, device=self._base.device)
        key_values = step.key_values.behind(prefix, kept, n_done)
        return Rest(rows=[rows[n] for n in going], places=going, key_values=key_values)

    def _read(self, written: Written, rows: Sequence[Row]) -> int:
        """Give the rows their tokens; how many steps that were, up to one in which a row must be drawn otherwise."""
        for n_read, step in enumerate(zip(*vars(written).values(), strict=True)):
            going = [own for own in zip(rows, *step, strict=True) if not own[0].finish]
            if any(is_short for *_, is_short in going):
                return n_read
            for row, token, logprob, log_sum, *likeliest_few, _ in going:
                if math.isfinite(log_sum):
                    row.logprobs.append(logprob)
                else:
                    row.finish = "disabled"
                if row.choices is not None:
                    row.choices.append([] if row.finish else _choices(*likeliest_few))
                extend(row, token, self._base, self._vocabulary)
        return len(written.tokens)


def _choices(tokens: Sequence[int], logprobs: Sequence[float]) -> list[Choice[int]]:
    return [Choice(token=token, logprob=logprob) for token, logprob in zip(tokens, logprobs, strict=True)]
