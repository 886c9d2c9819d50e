import json

import gguf
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoTokenizer, Qwen2ForCausalLM

from spa_lsp import paths
from spa_lsp.bases.catalog import base_dir, find_base, is_ready
from spa_lsp.errors import BadInput, Damaged
from spa_lsp.lm import convert
from spa_lsp.lm.convert import convert_base
from spa_lsp.storage.checked_files import hash_file
from tests.conftest import TINY_CATALOG, TINY_ID, TINY_SHA256

TEXT = "<|fim_prefix|>def add(a, b):\n    return é<|fim_suffix|>"


@pytest.fixture(scope="session")
def tiny_gguf(tiny_base_folder, tmp_path_factory):
    """The tiny base as a GGUF file in float32, written from its tensors and vocabulary."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(tiny_base_folder, path)
    return path


@pytest.fixture
def base(tiny_gguf, homes):
    """The catalog's entry of the tiny base, with the sha256 of that file."""
    paths.data_dir().mkdir(parents=True)
    (paths.data_dir() / "catalog.toml").write_text(TINY_CATALOG.replace(TINY_SHA256, hash_file(tiny_gguf)))
    return find_base(TINY_ID)


def write_gguf(folder, path):
    writer = gguf.GGUFWriter(path, "qwen2")
    config = Qwen2ForCausalLM.config_class.from_pretrained(folder)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    add_tokenizer(writer, folder, config.vocab_size)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config.num_hidden_layers)
    for name, tensor in load_file(folder / "model.safetensors").items():
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), tensor.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer, folder, vocab_size):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    n_tokens = len(tokenizer)
    tokens = [tokenizer.convert_ids_to_tokens(n) if n < n_tokens else f"[PAD{n}]" for n in range(vocab_size)]
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    kinds = [gguf.TokenType.CONTROL if n in special else gguf.TokenType.NORMAL for n in range(n_tokens)]
    model = tokenizer._tokenizer.to_str()
    merges = [" ".join(pair) for pair in json.loads(model)["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds + [gguf.TokenType.UNUSED] * (vocab_size - n_tokens))
    writer.add_token_merges(merges)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_chat_template(tokenizer.chat_template)


def test_a_converted_base_is_ready_and_nothing_else_is_left(base, tiny_gguf):
    convert_base(base, tiny_gguf)
    assert is_ready(base)
    assert [path.name for path in paths.bases_dir().iterdir()] == [TINY_ID]


def test_the_weights_are_those_of_the_source_in_bf16(base, tiny_gguf, tiny_base_folder):
    convert_base(base, tiny_gguf)
    read, written = (load_file(folder / "model.safetensors") for folder in (tiny_base_folder, base_dir(base)))
    assert read.keys() == written.keys()
    assert all(torch.equal(read[name].bfloat16(), written[name]) for name in read)


def test_the_tokenizer_is_that_of_the_source(base, tiny_gguf, tiny_base_folder):
    convert_base(base, tiny_gguf)
    read, written = (Tokenizer.from_file(str(path / "tokenizer.json")) for path in (tiny_base_folder, base_dir(base)))
    assert written.encode(TEXT).ids == read.encode(TEXT).ids


def test_a_conversion_may_be_repeated(base, tiny_gguf):
    convert_base(base, tiny_gguf)
    convert_base(base, tiny_gguf)
    assert [path.name for path in paths.bases_dir().iterdir()] == [TINY_ID]


def test_a_conversion_that_lost_a_tensor_is_not_kept(base, tiny_gguf, monkeypatch):
    monkeypatch.setattr(
        convert, "_save", lambda weights, folder: save_file({"a": torch.zeros(2)}, folder / "model.safetensors")
    )
    with pytest.raises(Damaged, match="gave 1 tensors with 2 numbers, expected 27"):
        convert_base(base, tiny_gguf)
    assert list(paths.bases_dir().iterdir()) == []


def test_numbers_that_are_not_finite_are_refused(base, tiny_gguf, monkeypatch):
    nan = {"a": torch.tensor([float("nan")])}
    monkeypatch.setattr(convert, "_save", lambda weights, folder: save_file(nan, folder / "model.safetensors"))
    with pytest.raises(Damaged, match="the tensor a of .* not finite"):
        convert_base(base, tiny_gguf)


def test_another_format_is_refused(tiny_gguf):
    with pytest.raises(BadInput, match="safetensors format"):
        convert_base(find_base("starcoder2-3b"), tiny_gguf)
