import json
import pickle
import stat
import threading
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from filelock import FileLock
from safetensors.numpy import save

from spa_lsp import paths
from spa_lsp.adapters import finding, reading, selection, writing
from spa_lsp.adapters.check import base_linears, check_adapter, check_base, expected_shapes
from spa_lsp.adapters.manifest import check_name, from_manifest, to_manifest
from spa_lsp.errors import AdapterMismatch, BadInput, Damaged, NoSpace, NotFound, SpaError, TooNew
from spa_lsp.storage import store, whole_files
from tests.tiny_set import BASE_ID, LINEARS, RANK, make_adapters, make_set, make_tensors

A_KEY = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
SHAPES = expected_shapes(make_set(), LINEARS)


def write(folder, made=None, adapters=None):
    adapters = adapters or make_adapters()
    return writing.write_set(folder, made or make_set(adapters), adapters)


def place(parent, made):
    return write(parent / made.base_id / made.name, made)


def place_published(**changes):
    adapters = make_adapters(seed=changes.pop("seed", 0))
    with closing(store.open_store(write=True)) as db:
        return writing.publish(db, make_set(adapters, **changes), adapters)


@pytest.fixture
def shipped(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "shipped_models_dir", lambda: tmp_path / "models")
    return tmp_path / "models"


def edit_manifest(folder, **changes):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def check(tensors=None, *, data=None, shapes=SHAPES, **changes):
    check_adapter(save(tensors) if data is None else data, make_set(**changes), shapes)


# --- a good set ---


def test_written_set_reads_back_equal(tmp_path):
    written = write(tmp_path / "mine")
    assert replace(reading.read_set(tmp_path / "mine"), folder=None) == make_set()
    assert written.k == 3
    assert reading.read_adapter(written, "a2") == make_adapters()["a2"]


def test_set_has_the_same_id_in_memory_in_a_folder_and_in_the_store(tmp_path):
    assert make_set().set_id == write(tmp_path / "mine").set_id == place_published()


def test_the_temperature_is_kept_and_a_greedy_set_has_none_like_older_ones(tmp_path):
    greedy, sampled = make_set(), make_set(temperature=0.8)
    assert "temperature" not in to_manifest(greedy) and greedy.set_id != sampled.set_id
    assert (to_manifest(greedy)["format"], to_manifest(sampled)["format"]) == (
        1,
        2,
    )  # older ones read 1
    for one in (greedy, sampled):
        assert from_manifest(to_manifest(one), None).temperature == one.temperature


def test_set_id_depends_on_the_adapters():
    assert make_set(make_adapters(seed=1)).set_id != make_set().set_id


def test_written_files_are_private(tmp_path):
    write(tmp_path / "mine")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "mine").iterdir()}
    assert modes == {0o600}


def test_published_set_reads_back_equal():
    place_published()
    found = finding.find_set("mine", BASE_ID)
    assert found == make_set()
    assert reading.read_adapter(found, "a3") == make_adapters()["a3"]


def test_good_adapter_passes_with_and_without_the_shapes_of_the_base():
    check(make_tensors())
    check(make_tensors(), shapes=None)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_dtypes_of_adapters_pass(dtype):
    check({name: tensor.astype(dtype) for name, tensor in make_tensors().items()})


def test_bf16_adapter_passes():
    check(data=as_bf16(make_tensors()))


def as_bf16(tensors):
    """The upper halves of float32, which the numpy writer has no name for."""
    data = save({name: (tensor.view("<u4") >> 16).astype("<u2") for name, tensor in tensors.items()})
    size = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + size].replace(b'"U16"', b'"BF16"')
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def test_adapter_that_peft_wrote_passes(tiny_base, tiny_peft_adapters):
    from spa_lsp.adapters.tensor_file import read_shapes

    data = (tiny_peft_adapters["a1"] / "adapter_model.safetensors").read_bytes()
    modules = tuple(json.loads((tiny_peft_adapters["a1"] / "adapter_config.json").read_text())["target_modules"])
    made = make_set({"a1": data}, rank=4, alpha=8, target_modules=modules)
    linears = base_linears(read_shapes(tiny_base / "model.safetensors"))
    check_adapter(data, made, expected_shapes(made, linears))
    check_adapter(data, made, None)


# --- bad adapters ---


def test_missing_tensor_is_refused():
    tensors = make_tensors()
    del tensors[A_KEY]
    with pytest.raises(AdapterMismatch, match="1 tensors are missing.*q_proj.lora_A"):
        check(tensors)


def test_missing_tensor_is_refused_without_the_shapes_of_the_base():
    tensors = make_tensors()
    del tensors[A_KEY]
    with pytest.raises(AdapterMismatch, match="missing"):
        check(tensors, shapes=None)


def test_missing_module_is_refused_without_the_shapes_of_the_base():
    tensors = {name: tensor for name, tensor in make_tensors().items() if "up_proj" not in name}
    with pytest.raises(AdapterMismatch, match="no LoRA matrices for up_proj"):
        check(tensors, shapes=None)


def test_extra_tensor_is_refused():
    with pytest.raises(AdapterMismatch, match="not of this base.*lm_head"):
        check(make_tensors() | {"base_model.model.lm_head.lora_A.weight": np.zeros((RANK, 4), "f4")})


@pytest.mark.parametrize("name", ["../../x", "base_model.model.lm_head.weight", A_KEY.replace("lora_A", "lora_C")])
def test_foreign_tensor_is_refused_without_the_shapes_of_the_base(name):
    with pytest.raises(AdapterMismatch, match="not a LoRA matrix"):
        check(make_tensors() | {name: np.zeros((RANK, 4), "f4")}, shapes=None)


def test_no_tensors_at_all_is_refused():
    with pytest.raises(AdapterMismatch, match="missing"):
        check({})


def test_wrong_shape_is_refused():
    with pytest.raises(AdapterMismatch, match=r"shape \[2, 5\], expected \[2, 4\]"):
        check(make_tensors() | {A_KEY: np.zeros((RANK, 5), "f4")})


def test_rank_other_than_the_manifest_says_is_refused():
    with pytest.raises(AdapterMismatch, match="expected"):
        check(make_tensors(rank=3), shapes=None)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_numbers_that_are_not_finite_are_refused(value, dtype):
    tensors = {name: tensor.astype(dtype) for name, tensor in make_tensors().items()}
    tensors[A_KEY][1, 2] = value
    with pytest.raises(BadInput, match="lora_A.*NaN or Inf"):
        check(tensors)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bf16_numbers_that_are_not_finite_are_refused(value):
    tensors = make_tensors()
    tensors[A_KEY][1, 2] = value
    with pytest.raises(BadInput, match="NaN or Inf"):
        check(data=as_bf16(tensors))


@pytest.mark.parametrize("alpha", [0, -1, 1e30, 129, float("nan"), float("inf"), True, "8", 10**400])
def test_scaling_out_of_range_is_refused(alpha):
    with pytest.raises(BadInput, match="alpha"):
        check(make_tensors(), alpha=alpha)


@pytest.mark.parametrize("rank", [0, -2, 10**6, 2.0, "2"])
def test_rank_out_of_range_is_refused(rank):
    with pytest.raises(BadInput, match="rank"):
        check(make_tensors(), rank=rank)


def test_other_dtype_is_refused():
    with pytest.raises(BadInput, match="dtype F64"):
        check(make_tensors() | {A_KEY: np.zeros((RANK, 4))})


@pytest.mark.parametrize("n_bytes", [0, 4, 100, 700, -1])
def test_cut_file_is_damaged(n_bytes):
    with pytest.raises(Damaged):
        check(data=make_adapters()["a1"][:n_bytes])


def test_header_length_that_looks_like_a_pickle_is_none():
    data = save(make_tensors())
    header = data[8 : 8 + int.from_bytes(data[:8], "little")].ljust(0x480)
    check(data=len(header).to_bytes(8, "little") + header + data[8 + int.from_bytes(data[:8], "little") :])


def test_bytes_at_the_end_are_damaged():
    with pytest.raises(Damaged, match="4 bytes at the end"):
        check(data=make_adapters()["a1"] + b"tail")


@pytest.mark.parametrize("data", [pickle.dumps({"a": 1}, protocol=2), b"PK\x03\x04" + bytes(200)])
def test_pickle_is_refused(data):
    with pytest.raises(BadInput, match="pickle"):
        check(data=data)


@pytest.mark.parametrize(
    "header",
    [
        b"not json at all",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a": 5}',
        b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [true], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 9999]}}',
        b'{"a": {"dtype": "F32", "shape": [99999999999999999999], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},'
        b' "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},'
        b' "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
    ],
)
def test_malformed_header_is_refused(header):
    with pytest.raises((BadInput, Damaged)):
        check(data=len(header).to_bytes(8, "little") + header + bytes(4))


def test_huge_header_is_refused_before_it_is_read():
    with pytest.raises(Damaged, match="cut short"):
        check(data=(1 << 60).to_bytes(8, "little") + b"{}")


# --- bad files and manifests ---


def test_flipped_bit_is_damaged(tmp_path):
    written = write(tmp_path / "mine")
    path = tmp_path / "mine" / "a2.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(Damaged, match="a2.safetensors has sha256"):
        reading.read_adapter(written, "a2")


def test_cut_file_of_a_set_is_damaged(tmp_path):
    written = write(tmp_path / "mine")
    path = tmp_path / "mine" / "a2.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(Damaged, match="bytes, the manifest says"):
        reading.read_adapter(written, "a2")


def test_lost_file_is_not_found(tmp_path):
    written = write(tmp_path / "mine")
    (tmp_path / "mine" / "a2.safetensors").unlink()
    with pytest.raises(NotFound, match="a2.safetensors"):
        reading.read_adapter(written, "a2")


def test_link_out_of_the_folder_is_refused(tmp_path):
    written = write(tmp_path / "mine")
    path = tmp_path / "mine" / "a2.safetensors"
    path.rename(tmp_path / "outside")
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(BadInput, match="out of its folder"):
        reading.read_adapter(written, "a2")


def test_unknown_adapter_is_not_found_and_the_known_ones_are_named():
    with pytest.raises(NotFound, match="'a9'; it has a1, a2, a3"):
        reading.read_adapter(make_set(), "a9")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A1", "a.b", "-a", "a" * 65, "a\n", "nul", "com1", "ä", None, 3])
def test_hostile_names_are_refused(name):
    with pytest.raises(BadInput, match="name"):
        check_name(name, what="adapter")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 5}, "upgrade"),
        ({"format": None}, "format None"),
        ({"format": True}, "format True"),
        ({"name": "../../x"}, "name"),
        ({"base_id": "../x"}, "base_id"),
        ({"base_sha256": "123"}, "base_sha256"),
        ({"tokenizer_sha256": None}, "tokenizer_sha256"),
        ({"rank": "4"}, "rank"),
        ({"alpha": 1e30}, "alpha"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": 1e-40}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"target_modules": []}, "target_modules"),
        ({"target_modules": ["q_proj; rm"]}, "target module"),
        ({"activation": "prompt"}, "activation"),
        ({"layouts": ["chat"]}, "layout"),
        ({"method": 3}, "method"),
        ({"data": []}, "data"),
        ({"adapters": []}, "adapters"),
        ({"adapters": ["a1"]}, "object"),
        ({"auto_mapping": {}}, "auto_mapping"),
    ],
)
def test_bad_manifest_is_refused_with_the_field(change, reason, tmp_path):
    write(tmp_path / "mine")
    edit_manifest(tmp_path / "mine", **change)
    with pytest.raises(SpaError, match=f"manifest.json: .*{reason}"):
        reading.read_set(tmp_path / "mine")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"file": "../a1.safetensors"}, "must be a1.safetensors"),
        ({"file": "a1.bin"}, "must be a1.safetensors"),
        ({"name": "a2"}, "must be a2.safetensors|twice"),
        ({"name": "a2", "file": "a2.safetensors"}, "twice"),
        ({"label": "two\nlines"}, "label"),
        ({"label": "\x1b[2J"}, "label"),
        ({"sha256": "x"}, "sha256"),
        ({"n_bytes": 1 << 40}, "bytes"),
        ({"modules_to_save": []}, "modules_to_save"),
    ],
)
def test_bad_adapter_record_is_refused_with_the_field(change, reason):
    manifest = to_manifest(make_set())
    manifest["adapters"][0] |= change
    with pytest.raises(BadInput, match=reason):
        from_manifest(manifest, None)


# #12
def test_a_set_may_name_the_adapter_that_leads():
    led = make_set(lead="a2")
    manifest = to_manifest(led)
    assert (manifest["format"], from_manifest(manifest, None).lead_index) == (3, 1)
    assert "lead" not in to_manifest(make_set()) and make_set().lead_index == 0
    with pytest.raises(BadInput, match="lead 'nobody' is none"):
        from_manifest(manifest | {"lead": "nobody"}, None)


# #15
def test_a_set_may_have_a_ranker():
    ranked = make_set(ranker={"votes": 1.5, "parses": 0.5})
    manifest = json.loads(json.dumps(to_manifest(ranked)))
    assert (manifest["format"], from_manifest(manifest, None).set_id) == (4, ranked.set_id)
    assert "ranker" not in to_manifest(make_set()) and make_set().ranker == {}


# #15
@pytest.mark.parametrize(
    ("ranker", "words"),
    [
        ({"magic": 1.0}, "a ranker knows no 'magic'"),
        ({"votes": "1"}, "weight '1' of 'votes'"),
        ({"votes": float("nan")}, "weight nan of 'votes'"),
        ({"votes": 10**400}, "no number up to 1e[+]06"),
        ({"votes": -1e308}, "no number up to 1e[+]06"),
        ([], "ranker must be an object"),
    ],
)
def test_a_ranker_that_cannot_be_used_is_refused(ranker, words):
    with pytest.raises(BadInput, match=words):
        from_manifest(to_manifest(make_set(ranker={"votes": 1.0})) | {"ranker": ranker}, None)


def test_manifest_of_a_newer_format_asks_for_an_upgrade():
    with pytest.raises(TooNew, match="format 5"):
        from_manifest(to_manifest(make_set()) | {"format": 5}, None)


def test_missing_field_is_named():
    manifest = to_manifest(make_set())
    del manifest["base_sha256"]
    with pytest.raises(BadInput, match="base_sha256 missing"):
        from_manifest(manifest, None)


def test_folder_without_a_manifest_is_not_found(tmp_path):
    with pytest.raises(NotFound, match="not an adapter set"):
        reading.read_set(tmp_path)


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[" * 100_000])
def test_manifest_that_is_no_json_is_damaged(data, tmp_path):
    write(tmp_path / "mine")
    (tmp_path / "mine" / "manifest.json").write_bytes(data)
    with pytest.raises(Damaged):
        reading.read_set(tmp_path / "mine")


# --- the base ---


def test_set_of_other_weights_is_refused_naming_both():
    with pytest.raises(AdapterMismatch, match="weights sha256 000000000000….*222222222222…"):
        check_base(make_set(), base_id=BASE_ID, base_sha256="2" * 64, tokenizer_sha256="1" * 64)


def test_set_of_another_tokenizer_is_refused_naming_both():
    with pytest.raises(AdapterMismatch, match="tokenizer sha256 111111111111….*222222222222…"):
        check_base(make_set(), base_id=BASE_ID, base_sha256="0" * 64, tokenizer_sha256="2" * 64)


def test_set_of_another_base_is_refused_naming_both():
    with pytest.raises(AdapterMismatch, match="made for tiny-qwen2, the base is other"):
        check_base(make_set(), base_id="other", base_sha256="0" * 64, tokenizer_sha256=None)


def test_set_fits_its_own_base():
    check_base(make_set(), base_id=BASE_ID, base_sha256="0" * 64, tokenizer_sha256="1" * 64)
    check_base(make_set(), base_id=BASE_ID, base_sha256="0" * 64, tokenizer_sha256=None)


# --- finding ---


def test_default_is_the_shipped_set_when_nothing_was_published(shipped):
    place(shipped, make_set(name="another"))
    place(shipped, make_set(name="default"))
    assert finding.find_set(None, BASE_ID).name == "default"


def test_default_is_the_newest_published_set(shipped):
    place(shipped, make_set(name="default"))
    place_published(name="old")
    place_published(name="new", seed=1)
    assert finding.find_set(None, BASE_ID).name == "new"


def test_published_set_of_another_base_is_no_default(shipped):
    place(shipped, make_set(name="default"))
    place_published(name="new", base_id="other")
    assert finding.find_set(None, BASE_ID).name == "default"


def test_imported_set_is_no_default(shipped):
    place(paths.user_sets_dir(), make_set(name="foreign"))
    with pytest.raises(NotFound, match="no adapter set for tiny-qwen2"):
        finding.find_set(None, BASE_ID)


def test_selected_set_is_the_default_until_it_is_cleared(shipped):
    place(shipped, make_set(name="default"))
    selection.select_set(place(paths.user_sets_dir(), make_set(name="foreign")))
    assert finding.find_set(None, BASE_ID).name == "foreign"
    selection.clear_selection()
    assert finding.find_set(None, BASE_ID).name == "default"


def test_selection_holds_for_its_base_alone(shipped):
    selection.select_set(place(shipped, make_set(name="one")))
    selection.select_set(place(shipped, make_set(name="two", base_id="other")))
    assert selection.read_selection() == {BASE_ID: "one", "other": "two"}
    selection.clear_selection("other")
    assert selection.read_selection() == {BASE_ID: "one"}


def test_selected_set_that_is_gone_is_said_with_the_way_out(shipped):
    place(shipped, make_set(name="default"))
    selection.select_set(make_set(name="gone"))
    with pytest.raises(NotFound, match="'gone' is no longer there.*use --default"):
        finding.find_set(None, BASE_ID)


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}'])
def test_damaged_selection_is_said_and_can_be_cleared(text):
    selection.select_set(make_set())
    (paths.data_dir() / selection.SELECTION_NAME).write_text(text)
    with pytest.raises(Damaged, match="use --default"):
        selection.read_selection()
    selection.clear_selection()
    assert selection.read_selection() == {}


def test_unknown_set_is_not_found_and_the_known_ones_are_named(shipped):
    place(shipped, make_set(name="default"))
    with pytest.raises(NotFound, match="'mine'; default known"):
        finding.find_set("mine", BASE_ID)


def test_set_for_another_base_is_a_mismatch(shipped):
    place(shipped, make_set(name="mine", base_id="other"))
    with pytest.raises(AdapterMismatch, match="made for other, the base is tiny-qwen2; pass --base other"):
        finding.find_set("mine", BASE_ID)


def test_name_of_two_bases_asks_for_the_base(shipped):
    place(shipped, make_set(base_id="one"))
    place(shipped, make_set(base_id="two"))
    with pytest.raises(BadInput, match="for one and for two; pass --base"):
        finding.find_set("mine", None)
    assert finding.find_set("mine", "two").base_id == "two"


def test_name_that_is_a_path_is_refused():
    with pytest.raises(BadInput, match="name"):
        finding.find_set("../../etc", BASE_ID)


def test_imported_set_comes_before_published_and_shipped_ones_of_its_name(shipped):
    place(shipped, make_set(figures={"from": 1.0}))
    place_published(figures={"from": 2.0})
    assert finding.find_set("mine", BASE_ID).figures == {"from": 2.0}
    place(paths.user_sets_dir(), make_set(figures={"from": 3.0}))
    assert finding.find_set("mine", BASE_ID).figures == {"from": 3.0}


def test_unreadable_set_does_not_hide_the_others(shipped, caplog):
    place(shipped, make_set(name="good"))
    place(shipped, make_set(name="broken"))
    (shipped / BASE_ID / "broken" / "manifest.json").write_text("{")
    assert [found.name for found in finding.list_sets()] == ["good"]
    assert "broken" in caplog.text


def test_unreadable_set_asked_for_by_name_gives_the_reason(shipped):
    place(shipped, make_set(name="broken"))
    (shipped / BASE_ID / "broken" / "manifest.json").write_text("{")
    with pytest.raises(Damaged, match="not JSON"):
        finding.find_set("broken", BASE_ID)


def test_set_in_a_folder_of_another_name_is_refused(shipped):
    write(shipped / BASE_ID / "other-name")
    with pytest.raises(BadInput, match="holds the set tiny-qwen2/mine"):
        finding.find_set("other-name", BASE_ID)


# --- writing ---


def test_existing_folder_is_not_written_over(tmp_path):
    write(tmp_path / "mine")
    with pytest.raises(BadInput, match="exists already; remove it"):
        write(tmp_path / "mine")


def test_replacing_leaves_nothing_of_the_old_set(tmp_path):
    write(tmp_path / "mine")
    fewer = make_adapters(k=2)
    writing.write_set(tmp_path / "mine", make_set(fewer), fewer, card="# card", is_replacing=True)
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "README.md",
        "a1.safetensors",
        "a2.safetensors",
        "manifest.json",
    ]
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]


def test_bytes_that_are_not_those_of_the_set_are_not_written(tmp_path):
    with pytest.raises(Damaged, match="'a1'"):
        write(tmp_path / "mine", make_set(), make_adapters(seed=1))
    assert not (tmp_path / "mine").exists()


def test_bad_adapter_is_neither_written_nor_published(tmp_path):
    tensors = make_tensors()
    tensors[A_KEY][0, 0] = np.nan
    adapters = {"a1": save(tensors)}
    with pytest.raises(BadInput, match="NaN"):
        write(tmp_path / "mine", adapters=adapters)
    with closing(store.open_store(write=True)) as db, pytest.raises(BadInput, match="NaN"):
        writing.publish(db, make_set(adapters), adapters)


def test_full_disk_leaves_the_old_folder(tmp_path, monkeypatch):
    write(tmp_path / "mine")

    def fail(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "write_private_file", fail)
    with pytest.raises(NoSpace, match="make room"):
        writing.write_set(tmp_path / "mine", make_set(), make_adapters(), is_replacing=True)
    assert reading.read_set(tmp_path / "mine").k == 3
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]


# #11
def test_a_set_is_on_the_disk_before_it_appears(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(whole_files, "sync", lambda path: synced.append((path.name, (tmp_path / "mine").exists())))
    write(tmp_path / "mine", adapters=make_adapters(k=1))
    before = {(name, False) for name in ("new", "manifest.json", "a1.safetensors")}
    assert set(synced) == before | {(tmp_path.name, True)}


def test_folder_that_cannot_be_made_is_explained(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="choose another folder"):
        write(tmp_path / "file" / "mine")


# #11
def test_sets_that_are_chosen_at_the_same_time_are_all_chosen():
    made = [make_set(base_id=f"base-{n}") for n in range(12)]
    threads = [threading.Thread(target=selection.select_set, args=(each,)) for each in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert selection.read_selection() == {each.base_id: "mine" for each in made}


# #11
def test_a_choice_waits_for_the_one_that_is_being_written_and_keeps_it():
    selection.select_set(make_set(base_id="first"))
    with FileLock(paths.data_dir() / "selected-sets.lock"):
        thread = threading.Thread(target=selection.select_set, args=(make_set(base_id="second"),))
        thread.start()
        thread.join(0.1)
        (paths.data_dir() / selection.SELECTION_NAME).write_text('{"other": "mine"}')
    thread.join()
    assert selection.read_selection() == {"other": "mine", "second": "mine"}
