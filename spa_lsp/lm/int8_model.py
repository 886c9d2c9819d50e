"""A model over the mapped int8 file: built without weights from its config, each module then given its tensors.

Several times faster than `from_pretrained`, and nothing is copied: what is never used is never read. A base of Qwen2's
kind gets our own modules (`qwen2.py`), another one transformers'.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spa_lsp.errors import Damaged
from spa_lsp.lm.backends import Backend
from spa_lsp.lm.int8 import Int8Embedding
from spa_lsp.lm.qwen2 import Qwen2, read_config
from spa_lsp.lm.weights_file import read_int8


def build_model(folder: Path, weights: Path, backend: Backend) -> Any:
    """A `Qwen2`, else a transformers `*ForCausalLM`, in float32 activations whose linears are int8.

    Raises:
        Damaged: a tensor is missing.
    """
    tensors = read_int8(weights)
    model = _empty_model(folder)
    try:
        for name, module in list(model.named_modules()):
            _fill(model, name, module, tensors, backend)
    except KeyError as error:
        raise Damaged(f"{weights} has no tensor {error}") from None
    return model


def _empty_model(folder: Path) -> Any:
    config = read_config(folder)
    if config is None:
        from spa_lsp.lm.transformers_model import empty_model  # seconds, which a base of Qwen2's kind does without

        return empty_model(folder)
    with torch.device("meta"):
        return Qwen2(config)


def _fill(model: Any, name: str, module: nn.Module, tensors: dict[str, Tensor], backend: Backend) -> None:
    if type(module) is nn.Linear:
        model.set_submodule(name, _linear(name, module, tensors, backend))
    elif type(module) is nn.Embedding:
        numbers, scales = tensors[f"{name}.weight"], tensors[f"{name}.scales"]
        model.set_submodule(name, Int8Embedding(numbers, scales, width=module.embedding_dim))
    elif any(buffer.is_meta for buffer in module.buffers(recurse=False)):
        kind: Any = type(module)  # transformers' rotary embedding: its numbers follow from the config
        model.set_submodule(name, kind(config=model.config))
    else:
        for key, _ in list(module.named_parameters(recurse=False)):
            setattr(module, key, nn.Parameter(tensors[f"{name}.{key}"], requires_grad=False))


def _linear(name: str, module: nn.Linear, tensors: dict[str, Tensor], backend: Backend) -> nn.Module:
    weight, scales = tensors[f"{name}.weight"], tensors[f"{name}.scales"]
    bias = tensors[f"{name}.bias"] if module.bias is not None else None
    shape = (module.out_features, module.in_features)
    return backend.make(weight, scales, bias, shape)
