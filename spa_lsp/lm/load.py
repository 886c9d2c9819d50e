"""Loads a base: weights in one of four precisions, its tokenizer, and what its prompts are made of.

int8 is our own on a CPU (`int8.py`), mapped into memory, and bitsandbytes' on CUDA.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from torch import Tensor

from spa_lsp.bases.catalog import FLOATS_NAME, INT8_NAME, Base, find_base, installed_base, pull_again
from spa_lsp.errors import Damaged
from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.backends import fastest_on_cpu, find_backend, has_bf16
from spa_lsp.lm.convert import provide
from spa_lsp.lm.int8_model import build_model
from spa_lsp.lm.qwen2 import Qwen2
from spa_lsp.lm.step import CompiledStep, compile_step
from spa_lsp.lm.tokenizer import Tokenizer, read_tokenizer
from spa_lsp.prompt import PromptTokens

logger = logging.getLogger(__name__)

Quantization = Literal["nf4", "int8", "bf16", "fp32"]
QUANTIZATIONS: tuple[Quantization, ...] = ("nf4", "int8", "bf16", "fp32")


@dataclass(frozen=True, kw_only=True)
class LoadedBase:
    """A base ready to run; the model is in eval mode and needs no gradients."""

    base_id: str
    model: Any  # a `Qwen2`, else a transformers *ForCausalLM
    tokenizer: Tokenizer
    quantization: Quantization
    device: str
    prompt: PromptTokens
    stop_ids: frozenset[int]
    end_id: int  # the stop token that training puts behind a completion
    kernel: str = ""  # what multiplies int8 weights on a CPU: `backends.Backend.name`
    step: CompiledStep | None = None  # in place of the decoder, for one token a row

    @property
    def decoder(self) -> Any:
        """The model without its head; called as transformers', unless it is that of a `Qwen2`."""
        return self.model.get_decoder()

    def hidden_states(self, ids: Tensor, positions: Tensor, key_values: KeyValues) -> Tensor:
        """What the decoder makes of ids at positions, `[B, T]` both: `[B, T, D]`.

        Keys and values are added, not counted.
        """
        hidden: Tensor
        if isinstance(self.model, Qwen2):
            hidden = self.decoder(ids, positions, key_values)
        else:
            output = self.decoder(input_ids=ids, position_ids=positions, use_cache=False, key_values=key_values)
            hidden = output.last_hidden_state
        return hidden

    @property
    def n_layers(self) -> int:
        """Layers that keep keys and values."""
        return int(self.model.config.num_hidden_layers)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """What the head makes of hidden states `[..., D]`: `[..., V]` in float32."""
        made: torch.Tensor = self.model.lm_head(hidden).float()
        return made

    @property
    def dtype(self) -> torch.dtype:
        """Of activations and adapters."""
        is_float32 = self.quantization == "fp32" or (self.quantization == "int8" and self.device == "cpu")
        return torch.float32 if is_float32 else torch.bfloat16

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, special tokens left out; a character cut in half shows as U+FFFD."""
        return self.tokenizer.decode(ids)


@dataclass(frozen=True, kw_only=True)
class BaseTokens:
    """What is known of a base without its weights: how texts become its tokens."""

    base_id: str
    prompt: PromptTokens
    end_id: int  # as `LoadedBase.end_id`
    context_tokens: int


def pick_device() -> str:
    """`cuda` when there is one, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def pick_quantization(device: str, *, is_training: bool = False) -> Quantization:
    """What `auto` means: nf4 on CUDA; on a CPU the faster one of int8 and bf16, and for training never int8."""
    if device == "cuda":
        return "nf4"
    if is_training:
        return "bf16" if has_bf16() else "fp32"
    return fastest_on_cpu()


def load_base(
    base_id: str, *, quantization: str = "auto", device: str | None = None, is_training: bool = False
) -> LoadedBase:
    """Load a base that lies on this machine; a form of its weights that is missing is made, once, and kept.

    Args:
        base_id: of the catalog.
        quantization: `auto` or one of `QUANTIZATIONS`.
        device: None is the best there is.
        is_training: gradients will go through its linears, or another library wraps them: `auto`, and int8 on a CPU,
            are then a precision of plain floats.

    Raises:
        NotFound: no such base, or it was never pulled.
        Damaged: its files are not complete.
        Unavailable: bitsandbytes cannot be used for the precision asked for.
        NoSpace: the form of its weights that is needed cannot be written.
        ValueError: unknown quantization.
    """
    base = find_base(base_id)
    folder = installed_base(base).folder
    device = device or pick_device()
    is_auto = quantization == "auto" or (is_training and quantization == "int8" and device == "cpu")
    precision = pick_quantization(device, is_training=is_training) if is_auto else _precision(quantization)
    is_ours = precision == "int8" and device == "cpu"
    weights = provide(base, INT8_NAME if is_ours else FLOATS_NAME)
    backend = find_backend() if is_ours else None
    if backend:
        make = partial(build_model, folder, weights, backend)
    else:
        from spa_lsp.lm.transformers_model import load_floats  # seconds, which an engine in int8 does without

        make = partial(load_floats, folder, precision, device)
    try:
        model = make()
        tokenizer = read_tokenizer(folder)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise Damaged(
            f"the base in {folder} cannot be loaded ({error}); check it with `spa-lsp models verify {base_id}`, "
            f"fix it with `spa-lsp models pull {base_id} --force`"
        ) from error
    model.eval()
    model.requires_grad_(False)
    logger.info("loaded %s in %s on %s", base_id, precision, device)
    return LoadedBase(
        base_id=base_id,
        model=model,
        tokenizer=tokenizer,
        quantization=precision,
        device=device,
        prompt=prompt_tokens(base, tokenizer),
        stop_ids=frozenset(_token_id(tokenizer, literal) for literal in base.stop_tokens),
        end_id=_token_id(tokenizer, base.stop_tokens[0]),
        kernel=backend.name if backend else "",
        step=compile_step(model, backend.kernel) if backend and backend.kernel else None,
    )


def load_tokens(base_id: str) -> BaseTokens:
    """The tokens of a base that lies on this machine.

    Raises:
        NotFound: no such base, or it was never pulled. Damaged: its files are not complete.
    """
    base = find_base(base_id)
    folder = installed_base(base).folder
    try:
        tokenizer = read_tokenizer(folder)
    except ValueError as error:
        raise Damaged(f"the base in {folder} cannot be used ({error}); {pull_again(base)}") from error
    return BaseTokens(
        base_id=base_id,
        prompt=prompt_tokens(base, tokenizer),
        end_id=_token_id(tokenizer, base.stop_tokens[0]),
        context_tokens=base.context_tokens,
    )


def prompt_tokens(base: Base, tokenizer: Tokenizer) -> PromptTokens:
    """What the prompts of this base are made of, from its catalog entry and its tokenizer."""
    head, _, tail = base.instruct.partition("{instruction}")
    infill = base.infill
    return PromptTokens(
        encode=tokenizer.encode,
        fim_prefix=_token_id(tokenizer, infill.prefix) if infill else None,
        fim_suffix=_token_id(tokenizer, infill.suffix) if infill else None,
        fim_middle=_token_id(tokenizer, infill.middle) if infill else None,
        repository=_token_id(tokenizer, infill.repository) if infill and infill.repository else None,
        file=_token_id(tokenizer, infill.file) if infill and infill.file else None,
        instruct_head=tuple(tokenizer.encode(head)),
        instruct_tail=tuple(tokenizer.encode(tail)),
        neutral=base.neutral_tokens,
    )


def _token_id(tokenizer: Tokenizer, literal: str) -> int:
    found = tokenizer.id_of(literal)
    if found is None:
        raise Damaged(f"the tokenizer has no token {literal!r}, which the catalog names; pull the base again")
    return found


def _precision(name: str) -> Quantization:
    for known in QUANTIZATIONS:
        if name == known:
            return known
    raise ValueError(f"unknown quantization {name!r}; choose auto, {', '.join(QUANTIZATIONS)}")
