"""An adapter as a file that llama.cpp reads: the same numbers under its own names of tensors."""

from pathlib import Path
from typing import Any

import numpy as np

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.tensor_file import TensorView, view_tensors
from spa_lsp.bases.catalog import find_base
from spa_lsp.errors import BadInput

_PREFIX = "base_model.model."
_MATRICES = {".lora_A.weight": ".weight.lora_a", ".lora_B.weight": ".weight.lora_b"}
_FAMILIES = {"qwen2.5-coder": "qwen2"}  # of others llama.cpp keeps rows in another order, or the names were not tried


def write_gguf(path: Path, adapter_set: AdapterSet, adapter: bytes) -> None:
    """Write one adapter of the set.

    Raises:
        BadInput: the base is of a family that this cannot write.
    """
    import gguf

    base = find_base(adapter_set.base_id)
    if base.family not in _FAMILIES:
        way_out = "export it with --vllm, or convert an export with --peft by llama.cpp's convert_lora_to_gguf.py"
        raise BadInput(f"adapters of {base.id} cannot be written for llama-server; {way_out}")
    writer = gguf.GGUFWriter(path, _FAMILIES[base.family])
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, adapter_set.alpha)
    architecture = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}[_FAMILIES[base.family]]
    names = gguf.get_tensor_name_map(architecture, 256)
    for tensor in view_tensors(adapter):
        module, matrix = _divide(tensor.name)
        writer.add_tensor(f"{names.get_name(module)}{matrix}", _floats(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    path.chmod(0o600)


def _divide(name: str) -> tuple[str, str]:
    """The linear that a tensor of PEFT belongs to, and what llama.cpp calls that half of the pair."""
    end = next(each for each in _MATRICES if name.endswith(each))
    return name.removeprefix(_PREFIX).removesuffix(end), _MATRICES[end]


def _floats(tensor: TensorView) -> Any:
    """In float32: numpy has no bfloat16, and adapters are small."""
    if tensor.dtype == "BF16":
        values = (np.frombuffer(tensor.data, dtype="<u2").astype("<u4") << 16).view("<f4")
    else:
        values = np.frombuffer(tensor.data, dtype={"F32": "<f4", "F16": "<f2"}[tensor.dtype]).astype("<f4")
    return values.reshape(tensor.shape)
