import json
import shutil
from collections import namedtuple

import gguf
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoTokenizer, Qwen2ForCausalLM

from spa_lsp import paths
from spa_lsp.bases.catalog import FLOATS_NAME, INT8_NAME, base_dir, find_base, installed_base, is_ready, source_path
from spa_lsp.bases.fetch import verify_base
from spa_lsp.errors import BadInput, Damaged, NoSpace, NotFound
from spa_lsp.lm import convert
from spa_lsp.lm.convert import convert_base, provide
from spa_lsp.lm.gguf_file import GgufTensor, read_gguf
from spa_lsp.lm.int8 import restore, unpack
from spa_lsp.lm.weights_file import gguf_tensors, int8_size
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


def test_a_conversion_writes_what_a_cpu_serves_and_no_floats(base, tiny_gguf):
    convert_base(base, tiny_gguf)
    assert INT8_NAME in installed_base(base).files
    assert FLOATS_NAME not in installed_base(base).files


def test_the_floats_are_those_of_the_source_in_bf16(base, tiny_gguf, tiny_base_folder):
    convert_base(base, tiny_gguf, with_floats=True)
    read, written = (load_file(folder / "model.safetensors") for folder in (tiny_base_folder, base_dir(base)))
    assert read.keys() == written.keys()
    assert all(torch.equal(read[name].bfloat16(), written[name]) for name in read)


def test_the_int8_numbers_are_off_by_half_a_step_at_most(base, tiny_gguf, tiny_base_folder):
    convert_base(base, tiny_gguf)
    read, written = load_file(tiny_base_folder / "model.safetensors"), load_file(base_dir(base) / INT8_NAME)
    name = "model.layers.1.mlp.down_proj"
    found = unpack(written[f"{name}.weight"], written[f"{name}.scales"], read[f"{name}.weight"].shape)
    largest = read[f"{name}.weight"].view(-1, 32).abs().amax(-1, keepdim=True)
    assert ((found - read[f"{name}.weight"]).view(-1, 32).abs() <= largest / 127 * 0.501).all()


def test_what_is_recorded_is_what_was_written(base, tiny_gguf):
    convert_base(base, tiny_gguf, with_floats=True)
    assert {path.name for path in verify_base(base)} >= {INT8_NAME, FLOATS_NAME, "tokenizer.json", "config.json"}


def test_no_large_file_is_read_again(base, tiny_gguf, monkeypatch):
    hashed = []
    monkeypatch.setattr(convert, "hash_file", lambda path: hashed.append(path.name) or hash_file(path))
    convert_base(base, tiny_gguf, with_floats=True)
    assert not {INT8_NAME, FLOATS_NAME} & set(hashed)


def test_the_conversion_tells_how_far_it_is(base, tiny_gguf, capfd):
    convert_base(base, tiny_gguf)
    size = (base_dir(base) / INT8_NAME).stat().st_size
    assert f"convert {TINY_ID} to int8: done" in capfd.readouterr().err
    assert int8_size(tensors_of(tiny_gguf)) < size < int8_size(tensors_of(tiny_gguf)) + 10_000


def tensors_of(path):
    fields, tensors = read_gguf(path)
    return gguf_tensors(fields["general.architecture"], tensors)


def test_floats_are_made_of_the_kept_source_when_they_are_needed(base, tiny_gguf, tiny_base_folder):
    convert_base(base, tiny_gguf)
    keep_source(base, tiny_gguf)
    read, written = load_file(tiny_base_folder / FLOATS_NAME), load_file(provide(base, FLOATS_NAME))
    assert all(torch.equal(read[name].bfloat16(), written[name]) for name in read)
    assert verify_base(base)


# #16
def test_servers_that_read_the_folder_are_told_which_file_is_theirs(base, tiny_gguf):
    """vLLM and SGLang read all safetensors there are, but for those that this list leaves out."""
    convert_base(base, tiny_gguf, with_floats=True)
    floats = provide(base, FLOATS_NAME)
    with safe_open(floats, framework="pt") as file:
        names = set(file.keys())
    index = floats.with_name("model.safetensors.index.json")
    assert json.loads(index.read_text())["weight_map"] == dict.fromkeys(names, FLOATS_NAME)
    index.unlink()  # as in a base of an older version
    provide(base, FLOATS_NAME)
    assert index.exists()


# #16
def test_damaged_floats_are_for_those_who_load_them_to_report(base, tiny_gguf):
    convert_base(base, tiny_gguf, with_floats=True)
    floats = base_dir(base) / FLOATS_NAME
    floats.with_name("model.safetensors.index.json").unlink()
    floats.write_bytes(bytes(floats.stat().st_size))
    assert provide(base, FLOATS_NAME) == floats


def test_floats_without_the_source_name_the_way_out(base, tiny_gguf):
    convert_base(base, tiny_gguf)
    with pytest.raises(NotFound, match="--force --for-training"):
        provide(base, FLOATS_NAME)


def test_a_base_of_the_old_form_is_taken_over(base, tiny_gguf, capfd):
    convert_base(base, tiny_gguf, with_floats=True)
    make_old(base)
    provide(base, INT8_NAME)
    provide(base, INT8_NAME)
    assert capfd.readouterr().err.count(f"convert {TINY_ID} to int8: done") == 2  # the conversion, and once more
    assert verify_base(base)


def test_an_int8_file_of_another_form_is_made_anew(base, tiny_gguf):
    convert_base(base, tiny_gguf, with_floats=True)
    path = base_dir(base) / INT8_NAME
    tensors = load_file(path)
    save_file(tensors, path, metadata={"form": "spa-int8-0"})
    rewrite_record(base, path)
    provide(base, INT8_NAME)
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["form"] == "spa-int8-1"


def test_no_room_for_the_int8_file_is_told_before_it_is_written(base, tiny_gguf, monkeypatch):
    convert_base(base, tiny_gguf, with_floats=True)
    make_old(base)
    usage = namedtuple("usage", "total used free")(10, 9, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(NoSpace, match="1 B are free"):
        provide(base, INT8_NAME)
    assert not (base_dir(base) / INT8_NAME).exists()


def test_an_architecture_that_must_be_rearranged_goes_through_transformers(base, tiny_gguf, monkeypatch):
    convert_base(base, tiny_gguf)
    direct = load_file(base_dir(base) / INT8_NAME)
    monkeypatch.setattr(convert, "gguf_tensors", lambda *_: None)
    convert_base(base, tiny_gguf)
    found = load_file(base_dir(base) / INT8_NAME)
    assert found.keys() == direct.keys()
    assert FLOATS_NAME not in installed_base(base).files


@pytest.mark.parametrize("kind", ["Q4_0", "Q5_0", "Q8_0"])
def test_blocks_of_32_are_held_exactly(kind):
    kind_of = gguf.GGMLQuantizationType[kind]
    weight = torch.randn(8, 64, generator=torch.Generator().manual_seed(0)).numpy()
    data = gguf.quants.quantize(weight, kind_of)
    tensor = GgufTensor(name="a", shape=(8, 64), kind=kind, data=data.reshape(-1))
    assert torch.equal(restore(*tensor.blocks()), torch.from_numpy(gguf.quants.dequantize(data, kind_of)))


def keep_source(base, path):
    source_path(base).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, source_path(base))


def make_old(base):
    """As conversions left it when only bfloat16 was written."""
    (base_dir(base) / INT8_NAME).unlink()
    path = base_dir(base) / "base.json"
    record = json.loads(path.read_text())
    del record["files"][INT8_NAME]
    path.write_text(json.dumps(record))


def rewrite_record(base, changed):
    path = base_dir(base) / "base.json"
    record = json.loads(path.read_text())
    record["files"][changed.name] = {"sha256": hash_file(changed), "bytes": changed.stat().st_size}
    path.write_text(json.dumps(record))


def test_the_tokenizer_is_that_of_the_source(base, tiny_gguf, tiny_base_folder):
    convert_base(base, tiny_gguf)
    read, written = (Tokenizer.from_file(str(path / "tokenizer.json")) for path in (tiny_base_folder, base_dir(base)))
    assert written.encode(TEXT).ids == read.encode(TEXT).ids


def test_a_conversion_may_be_repeated(base, tiny_gguf):
    convert_base(base, tiny_gguf)
    convert_base(base, tiny_gguf)
    assert [path.name for path in paths.bases_dir().iterdir()] == [TINY_ID]


def test_a_conversion_that_lost_a_tensor_is_not_kept(base, tiny_gguf, monkeypatch):
    monkeypatch.setattr(convert, "gguf_tensors", lambda *_: None)
    monkeypatch.setattr(
        convert, "_save", lambda weights, folder: save_file({"a": torch.zeros(2)}, folder / "model.safetensors")
    )
    with pytest.raises(Damaged, match="gave 1 tensors with 2 numbers, expected 27"):
        convert_base(base, tiny_gguf)
    assert list(paths.bases_dir().iterdir()) == []


def test_numbers_that_are_not_finite_are_refused(base, tiny_gguf, monkeypatch):
    tensors = tensors_of(tiny_gguf)
    bad = GgufTensor(name="a", shape=(2,), kind="F32", data=torch.tensor([1.0, float("nan")]).numpy().view("uint8"))
    monkeypatch.setattr(convert, "gguf_tensors", lambda *_: tensors | {"model.norm.weight": bad})
    with pytest.raises(Damaged, match="the tensor model.norm.weight .* not finite"):
        convert_base(base, tiny_gguf)
    assert list(paths.bases_dir().iterdir()) == []


def test_a_source_that_is_cut_short_is_damaged(base, tiny_gguf, tmp_path):
    short = tmp_path / "short.gguf"
    short.write_bytes(tiny_gguf.read_bytes()[:-100])
    with pytest.raises(Damaged, match="ends inside the tensor"):
        convert_base(base, short)


def test_another_format_is_refused(tiny_gguf):
    with pytest.raises(BadInput, match="safetensors format"):
        convert_base(find_base("starcoder2-3b"), tiny_gguf)
