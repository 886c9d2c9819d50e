"""Models of transformers, with our attention: for training, floats, CUDA and architectures other than Qwen2's.

Importing this takes longer than loading a base: whoever may do without it imports it when needed.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AutoConfig, AutoModelForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.utils.logging import disable_progress_bar

from spa_lsp.errors import Unavailable
from spa_lsp.lm.attention import KeyValues

# Not registered with the mask interface: transformers then makes no mask, and `KeyValues` sees to causality itself.
ATTENTION = "spa_shared_prefix"


def load_floats(folder: Path, precision: str, device: str) -> Any:
    """The base in this folder, from its bfloat16 weights, in `nf4`, `int8` (both bitsandbytes'), `bf16` or `fp32`.

    Raises:
        Unavailable: bitsandbytes cannot be used.
    """
    _prepare()
    arguments: dict[str, Any] = {
        "local_files_only": True,
        "attn_implementation": ATTENTION,
        "dtype": torch.float32 if precision == "fp32" else torch.bfloat16,
    }
    if precision in ("nf4", "int8"):
        arguments |= {"quantization_config": _bitsandbytes_config(precision), "device_map": {"": device}}
        model: nn.Module = AutoModelForCausalLM.from_pretrained(folder, **arguments)
        return model
    model = AutoModelForCausalLM.from_pretrained(folder, **arguments)
    return model.to(device)


def empty_model(folder: Path) -> Any:
    """The base in this folder without its weights, on the meta device."""
    _prepare()
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION, dtype=torch.float32)


def _prepare() -> None:
    AttentionInterface.register(ATTENTION, _shared_prefix_attention)
    disable_progress_bar()  # stderr is the editor's log


def _shared_prefix_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    key_values: KeyValues | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in every layer; without `key_values` it is ordinary SDPA (training, oracles)."""
    if key_values is None:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **rest)
        return output, None
    key_values.raise_if_cancelled()
    return key_values.attend(module.layer_idx, query, key, value, scaling).transpose(1, 2), None


def _bitsandbytes_config(precision: str) -> Any:
    try:
        import bitsandbytes  # noqa: F401  (only needed, and only imported, for these two precisions)
        from transformers import BitsAndBytesConfig
    except ImportError as error:
        raise Unavailable(f"{precision} needs the package bitsandbytes ({error}); use --quantization fp32") from error
    if precision == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
