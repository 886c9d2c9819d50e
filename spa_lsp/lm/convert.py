"""Turns fetched weights of a base into what `load` reads, once and checked, and adds a form of them when it is needed.

`models pull` writes the int8 file that a CPU serves. The bfloat16 file follows when training, CUDA or a precision of
floats asks for it. Whatever is written is hashed and looked at on the way: no file is read again.
"""

import importlib.metadata
import json
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from spa_lsp.bases.catalog import (
    FLOATS_INDEX_NAME,
    FLOATS_NAME,
    INT8_NAME,
    RECORD_NAME,
    Base,
    base_dir,
    installed_base,
    source_path,
)
from spa_lsp.bases.fetch import base_lock, check_space, float_bytes, int8_bytes
from spa_lsp.errors import BadInput, Damaged, NotFound
from spa_lsp.lm.gguf_file import read_gguf
from spa_lsp.lm.weights_file import (
    EMBEDDING,
    FORM,
    HEAD,
    Readable,
    Written,
    float_tensors,
    gguf_tensors,
    int8_size,
    write_floats,
    write_index,
    write_int8,
)
from spa_lsp.progress import BYTES, progress
from spa_lsp.storage.checked_files import OnBytes, hash_file
from spa_lsp.storage.whole_files import put_in_place, written_whole

_SPECIAL = {"bos": "bos", "eos": "eos", "pad": "padding"}  # transformers' names and GGUF's


def convert_base(base: Base, weights: Path, *, with_floats: bool = False) -> None:
    """Write the folder of the base; it appears only whole, an older one is replaced at the end.

    Takes half a minute for 0.5 billion parameters on two cores.

    Args:
        base: its catalog entry.
        weights: the GGUF file with the sha256 of the entry.
        with_floats: write the bfloat16 file, too.

    Raises:
        BadInput: the format cannot be converted.
        NoSpace: the disk cannot hold the result.
        Damaged: the source holds what no base has.
    """
    if base.format != "gguf":
        raise BadInput(
            f"{base.id} is in {base.format} format, which cannot be converted yet; choose a base in gguf format"
        )
    with base_lock(base):
        fields, tensors = _read_source(weights)
        with_all = with_floats or tensors is None
        check_space(base, int8_bytes(base) + (float_bytes(base) if with_all else 0))
        folder = base_dir(base).with_name(f".{base.id}.tmp")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            if tensors is None:
                written = _convert_by_transformers(base, weights, folder, with_floats=with_floats)
            else:
                written = _convert_directly(base, weights, folder, fields, tensors, with_floats=with_floats)
            _write_record(base, folder, written)
            _index_floats(folder)
            put_in_place(folder, base_dir(base))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def provide(base: Base, name: str) -> Path:
    """One of the two files of a base that lies here, written now if it is not there or has an older form.

    Args:
        base: its catalog entry.
        name: `catalog.INT8_NAME` or `FLOATS_NAME`.

    Raises:
        NotFound: it was never pulled, or what the file is made from was not kept.
        NoSpace: the disk cannot hold it.
        Damaged: what it is made from is.
    """
    if not _is_there(base, name):
        with base_lock(base):
            if not _is_there(base, name):  # another process may just have made it
                _add(base, name)
    if name == FLOATS_NAME:
        _index_floats(base_dir(base))
    return base_dir(base) / name


def _index_floats(folder: Path) -> None:
    """Tell servers that read this folder which of its files are theirs; a base of an older version has no such list."""
    floats, index = folder / FLOATS_NAME, folder / FLOATS_INDEX_NAME
    if floats.exists() and not index.exists():
        with suppress(OSError, SafetensorError):  # nothing of ours needs it, and who loads the weights says more
            write_index(floats, index)


def _is_there(base: Base, name: str) -> bool:
    if name not in installed_base(base).files:
        return False
    if name == FLOATS_NAME:
        return True
    try:
        with safe_open(base_dir(base) / name, framework="pt") as file:
            return (file.metadata() or {}).get("form") == FORM
    except SafetensorError:
        return False  # damaged: it is made anew


def _add(base: Base, name: str) -> None:
    check_space(base, int8_bytes(base) if name == INT8_NAME else float_bytes(base))
    folder = base_dir(base).resolve()
    source, floats = source_path(base), folder / FLOATS_NAME
    tensors = _read_source(source)[1] if source.exists() else None
    if tensors is None and name == INT8_NAME and floats.exists():
        tensors = float_tensors(floats)
    if tensors is None and not source.exists():
        raise NotFound(
            f"{base.id} is here only as it is served in int8, and the fetched file was not kept; "
            f"run: spa-lsp models pull {base.id} --force --for-training"
        )
    scratch = folder.with_name(f".{base.id}.tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        if tensors is None:
            written = _convert_by_transformers(base, source, scratch, with_floats=name == FLOATS_NAME)
        else:
            written = {name: _write_file(base, scratch / name, tensors)}
        (scratch / name).replace(folder / name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    record = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
    record["files"][name] = _to_record(written[name])
    _replace_record(folder, record)


def _read_source(weights: Path) -> tuple[dict[str, Any], dict[str, Readable] | None]:
    """Fields and tensors of the GGUF file; no tensors for an architecture that only transformers can rearrange."""
    fields, tensors = read_gguf(weights)
    return fields, gguf_tensors(str(fields.get("general.architecture")), tensors)


def _convert_directly(
    base: Base,
    weights: Path,
    folder: Path,
    fields: Mapping[str, Any],
    tensors: dict[str, Readable],
    *,
    with_floats: bool,
) -> dict[str, Written]:
    _save_config(fields, tensors, folder)  # first: transformers' names must not be asked for by two threads at once
    with ThreadPoolExecutor(1) as beside:  # the vocabulary is ten seconds of Python, the weights are not
        tokenizer = beside.submit(_save_tokenizer, weights, folder)
        names = [INT8_NAME, FLOATS_NAME] if with_floats else [INT8_NAME]
        written = {name: _write_file(base, folder / name, tensors) for name in names}
        if not tokenizer.done():
            with progress(f"read the tokenizer of {base.id}", 0, ""):
                tokenizer.result()
        tokenizer.result()
    return written


def _write_file(base: Base, path: Path, tensors: dict[str, Readable]) -> Written:
    write: Callable[[Path, dict[str, Readable], OnBytes | None], Written]
    if path.name == INT8_NAME:
        label, write = f"convert {base.id} to int8", write_int8
        total = int8_size(tensors)
    else:
        label, write = f"convert {base.id} to bf16", write_floats
        total = sum(2 * _size(tensor) for tensor in tensors.values())
    with progress(label, total, BYTES) as shown:
        return write(path, tensors, shown.advance)


def _size(tensor: Readable) -> int:
    n = 1
    for length in tensor.shape:
        n *= length
    return n


def _save_tokenizer(weights: Path, folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name, local_files_only=True)
    tokenizer.save_pretrained(folder)


def _save_config(fields: Mapping[str, Any], tensors: Mapping[str, Readable], folder: Path) -> None:
    """The same as transformers makes of the file, in no time."""
    from transformers import AutoTokenizer as _  # noqa: F401  (its modules, before another thread wants them)
    from transformers import Qwen2Config

    def field(name: str) -> Any:
        return fields[f"qwen2.{name}"]

    Qwen2Config(
        architectures=["Qwen2ForCausalLM"],
        dtype="bfloat16",
        vocab_size=tensors[EMBEDDING].shape[0],
        hidden_size=field("embedding_length"),
        intermediate_size=field("feed_forward_length"),
        num_hidden_layers=field("block_count"),
        num_attention_heads=field("attention.head_count"),
        num_key_value_heads=field("attention.head_count_kv"),
        max_position_embeddings=field("context_length"),
        rms_norm_eps=field("attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_theta": field("rope.freq_base"), "rope_type": "default"},
        tie_word_embeddings=HEAD not in tensors,
        **{f"{name}_token_id": fields.get(f"tokenizer.ggml.{short}_token_id") for name, short in _SPECIAL.items()},
    ).save_pretrained(folder)


def _convert_by_transformers(base: Base, weights: Path, folder: Path, *, with_floats: bool) -> dict[str, Written]:
    with progress(f"convert {base.id} by transformers (a minute or more)", 0, ""):
        _save(weights, folder)
        _check_count(weights, folder / FLOATS_NAME)
    tensors = float_tensors(folder / FLOATS_NAME)
    written = {INT8_NAME: _write_file(base, folder / INT8_NAME, tensors)}
    if with_floats:
        path = folder / FLOATS_NAME
        return written | {FLOATS_NAME: Written(sha256=hash_file(path), n_bytes=path.stat().st_size)}
    (folder / FLOATS_NAME).unlink()
    return written


def _save(weights: Path, folder: Path) -> None:
    """The whole model through memory: for architectures whose tensors transformers knows to rearrange."""
    import torch
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


def _check_count(weights: Path, path: Path) -> None:
    """Compares what both headers say; numbers that are not finite are looked for when int8 is made of them."""
    _, tensors = read_gguf(weights)
    read = [tensor for tensor in tensors if not tensor.name.startswith("rope_freqs")]
    written = float_tensors(path).values()
    n_read, n_written = sum(tensor.n_elements for tensor in read), sum(map(_size, written))
    if (len(written), n_written) != (len(read), n_read):
        raise Damaged(
            f"the conversion of {weights} gave {len(written)} tensors with {n_written} numbers, expected {len(read)} "
            f"with {n_read}; this version of transformers cannot convert it, install the one in requirements.lock"
        )


def _write_record(base: Base, folder: Path, written: dict[str, Written]) -> None:
    small = [path for path in folder.iterdir() if path.is_file() and path.name not in written]
    known = written | {path.name: Written(sha256=hash_file(path), n_bytes=path.stat().st_size) for path in small}
    record = {
        "id": base.id,
        "source_sha256": base.sha256,
        "files": {name: _to_record(known[name]) for name in sorted(known)},
        "transformers": importlib.metadata.version("transformers"),
    }
    _replace_record(folder, record)


def _to_record(written: Written) -> dict[str, Any]:
    return {"sha256": written.sha256, "bytes": written.n_bytes}


def _replace_record(folder: Path, record: dict[str, Any]) -> None:
    with written_whole(folder / RECORD_NAME) as unfinished:
        unfinished.write_text(json.dumps(record, indent=1), encoding="utf-8")
