"""Adapter sets of a few hundred bytes, made without torch; the shapes are those of no real base."""

from dataclasses import replace

import numpy as np
from safetensors.numpy import save

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.writing import describe_adapter

BASE_ID = "tiny-qwen2"
RANK = 2
LINEARS = {
    f"model.layers.{layer}.{path}": shape
    for layer in range(2)
    for path, shape in (("self_attn.q_proj", (8, 4)), ("mlp.up_proj", (16, 4)))
}


def make_tensors(*, seed=0, rank=RANK):
    """The tensors of one adapter by PEFT's names."""
    random = np.random.default_rng(seed)
    tensors = {}
    for path, (n_out, n_in) in LINEARS.items():
        tensors[f"base_model.model.{path}.lora_A.weight"] = random.normal(size=(rank, n_in)).astype("float32")
        tensors[f"base_model.model.{path}.lora_B.weight"] = random.normal(size=(n_out, rank)).astype("float32")
    return tensors


def make_adapters(*, k=3, seed=0):
    """The files of k adapters `a1` …, by name."""
    return {f"a{n}": save(make_tensors(seed=100 * seed + n)) for n in range(1, k + 1)}


def make_set(adapters=None, **changes):
    """A set of these adapters, with any field changed."""
    adapters = make_adapters() if adapters is None else adapters
    infos = tuple(describe_adapter(name, data, label=f"label of {name}") for name, data in adapters.items())
    made = AdapterSet(
        name="mine",
        base_id=BASE_ID,
        base_sha256="0" * 64,
        tokenizer_sha256="1" * 64,
        rank=RANK,
        alpha=4,
        target_modules=("q_proj", "up_proj"),
        activation="completion",
        layouts=("infill", "instruct"),
        method="balanced",
        run_id="r1",
        data={"n_samples": 3},
        figures={"loss": 0.5},
        adapters=infos,
    )
    return replace(made, **changes)
