"""Turns fetched weights of a base into what `load` reads, once and checked: bf16 safetensors and a tokenizer."""

import importlib.metadata
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from spa_lsp.bases.catalog import RECORD_NAME, Base, base_dir
from spa_lsp.bases.fetch import base_lock, check_space, converted_bytes
from spa_lsp.errors import BadInput, Damaged
from spa_lsp.progress import MakeProgress, progress
from spa_lsp.storage.checked_files import hash_file
from spa_lsp.storage.whole_files import sync

WEIGHTS_NAME = "model.safetensors"


def convert_base(base: Base, weights: Path, *, progress: MakeProgress = progress) -> None:
    """Write the folder of the base; it appears only whole and verified, an older one is replaced at the end.

    Takes about a minute for 0.5 billion parameters on two cores, and twice the size of the bf16 weights in memory.

    Args:
        base: its catalog entry.
        weights: the GGUF file with the sha256 of the entry.
        progress: how to show it.

    Raises:
        BadInput: the format cannot be converted.
        NoSpace: the disk cannot hold the result.
        Damaged: what was written is not what was read.
    """
    if base.format != "gguf":
        raise BadInput(
            f"{base.id} is in {base.format} format, which cannot be converted yet; choose a base in gguf format"
        )
    with base_lock(base), progress(f"convert {base.id} (a minute or more)", 0, "") as shown:
        check_space(base, converted_bytes(base))
        folder = base_dir(base).with_name(f".{base.id}.tmp")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            _save(weights, folder)
            shown.note(f"convert {base.id}: written, checking it")
            _check_against_source(weights, folder / WEIGHTS_NAME)
            _write_record(base, folder)
            _put_in_place(folder, base_dir(base))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _save(weights: Path, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    source: dict[str, Any] = {"gguf_file": weights.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, **source)
    model = AutoModelForCausalLM.from_pretrained(
        weights.parent, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16, **source
    )
    model.save_pretrained(folder, max_shard_size="1TB")  # one file: the readers look for model.safetensors
    tokenizer.save_pretrained(folder)


def _check_against_source(weights: Path, path: Path) -> None:
    """Counts tensors and numbers in both files, and looks for numbers that are not finite."""
    from gguf import GGUFReader

    read = [tensor for tensor in GGUFReader(weights).tensors if not tensor.name.startswith("rope_freqs")]
    n_read = sum(int(tensor.n_elements) for tensor in read)
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        n_written = 0
        for name in names:
            tensor = file.get_tensor(name)
            n_written += tensor.numel()
            if not torch.isfinite(tensor).all():
                raise Damaged(f"the tensor {name} of {weights} holds numbers that are not finite; fetch the base again")
    if (len(names), n_written) != (len(read), n_read):
        raise Damaged(
            f"the conversion of {weights} gave {len(names)} tensors with {n_written} numbers, expected {len(read)} "
            f"with {n_read}; this version of transformers cannot convert it, install the one in requirements.lock"
        )


def _write_record(base: Base, folder: Path) -> None:
    files = {
        path.name: {"sha256": hash_file(path), "bytes": path.stat().st_size}
        for path in sorted(folder.iterdir())
        if path.is_file()
    }
    record = {
        "id": base.id,
        "source_sha256": base.sha256,
        "files": files,
        "transformers": importlib.metadata.version("transformers"),
    }
    (folder / RECORD_NAME).write_text(json.dumps(record, indent=1), encoding="utf-8")


def _put_in_place(folder: Path, target: Path) -> None:
    for path in folder.iterdir():
        sync(path)
    if target.exists():
        replaced = target.with_name(f".{target.name}.old")
        shutil.rmtree(replaced, ignore_errors=True)
        target.rename(replaced)
        folder.rename(target)
        shutil.rmtree(replaced)
    else:
        folder.rename(target)
    sync(target.parent)
