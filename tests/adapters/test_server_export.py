"""A set exported for a server elsewhere: llama.cpp's files, the names that it is asked by, and the commands."""

import shlex
from dataclasses import replace

import numpy as np
import pytest

from spa_lsp.adapters.gguf_adapter import write_gguf
from spa_lsp.adapters.server_export import check_servable, llama_command, served_name, vllm_command
from spa_lsp.adapters.transfer import export_set
from spa_lsp.adapters.writing import write_set
from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.errors import AdapterMismatch, BadInput
from tests.tiny_set import make_adapters, make_set, make_tensors


@pytest.fixture
def mine():
    return make_set(base_id=DEFAULT_BASE, activation="all")


def read_gguf(path):
    import gguf

    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    return fields, {tensor.name: tensor.data for tensor in reader.tensors}


def test_a_file_for_llama_server_has_the_same_numbers_under_its_names(mine, tmp_path):
    write_gguf(tmp_path / "a1.gguf", mine, make_adapters()["a1"])
    fields, tensors = read_gguf(tmp_path / "a1.gguf")
    assert (fields["general.architecture"], fields["adapter.type"], fields["adapter.lora.alpha"]) == (
        "qwen2",
        "lora",
        4,
    )
    ours = make_tensors(seed=1)
    assert len(tensors) == len(ours)
    query = "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"
    assert np.array_equal(tensors["blk.1.attn_q.weight.lora_a"], ours[query])


def test_half_the_bits_are_read_as_they_are_meant(mine, tmp_path):
    from safetensors.torch import save
    from torch import bfloat16, tensor

    name = "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight"
    write_gguf(tmp_path / "a.gguf", mine, save({name: tensor([[1.5, -2.0]], dtype=bfloat16)}))
    assert read_gguf(tmp_path / "a.gguf")[1]["blk.0.ffn_up.weight.lora_b"].tolist() == [[1.5, -2.0]]


def test_an_export_has_a_file_per_adapter_by_its_name_at_the_server(mine, tmp_path):
    found = write_set(tmp_path / "in", mine, make_adapters())
    export_set(found, tmp_path / "out", is_gguf=True)
    names = sorted(path.stem for path in (tmp_path / "out").glob("*.gguf"))
    assert names == [served_name(found, name) for name in ("a1", "a2", "a3")]


def test_a_base_that_was_not_tried_is_refused(mine, tmp_path):
    with pytest.raises(BadInput, match="convert_lora_to_gguf"):
        write_gguf(tmp_path / "a1.gguf", replace(mine, base_id="starcoder2-3b"), make_adapters()["a1"])


def test_another_set_of_the_same_name_has_other_names_at_the_server(mine):
    assert served_name(mine, "a1") != served_name(replace(mine, figures={"loss": 0.4}), "a1")


def test_a_set_that_acts_on_the_completion_alone_is_refused_with_the_way_out(mine):
    with pytest.raises(AdapterMismatch, match="trainer finetune --activation all"):
        check_servable(replace(mine, activation="completion"))


def test_the_command_for_vllm_names_every_adapter_and_listens_here_alone(mine, tmp_path):
    words = shlex.split(vllm_command(mine, tmp_path / "my set"))
    assert words[:2] == ["vllm", "serve"] and words[words.index("--host") + 1] == "127.0.0.1"
    assert words[words.index("--max-loras") + 1] == "3" and words[words.index("--max-lora-rank") + 1] == "8"
    assert words[-3:] == [f"{served_name(mine, name)}={tmp_path}/my set/{name}" for name in ("a1", "a2", "a3")]


def test_the_command_for_llama_server_names_every_file(mine, tmp_path):
    words = shlex.split(llama_command(mine, tmp_path))
    files = [words[place + 1] for place, word in enumerate(words) if word == "--lora"]
    assert files == [f"{tmp_path}/{served_name(mine, name)}.gguf" for name in ("a1", "a2", "a3")]
    assert "--lora-init-without-apply" in words
