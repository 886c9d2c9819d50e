import json
import pickle
from contextlib import closing
from dataclasses import replace

import pytest
from click.testing import CliRunner

from spa_lsp import paths
from spa_lsp.adapters import finding, reading, selection, writing
from spa_lsp.adapters.manifest import to_manifest
from spa_lsp.cli import main
from spa_lsp.storage import store
from tests.conftest import TINY_ID
from tests.tiny_set import BASE_ID, make_adapters, make_set


@pytest.fixture(autouse=True)
def shipped(monkeypatch, tmp_path):
    """No shipped sets, but the shipped catalog."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "catalog.toml").write_text((paths.shipped_models_dir() / "catalog.toml").read_text())
    monkeypatch.setattr(paths, "shipped_models_dir", lambda: folder)
    return folder


@pytest.fixture(scope="session")
def peft_files(tiny_peft_adapters):
    return {n: (tiny_peft_adapters[n] / "adapter_model.safetensors").read_bytes() for n in ("a1", "a2")}


@pytest.fixture
def tiny_set(tiny_base, peft_files):
    """A set that fits the tiny base, not written anywhere yet."""
    from spa_lsp.bases.catalog import find_base, installed_base
    from trainer.configs import ALL_LINEARS

    installed = installed_base(find_base(BASE_ID))
    return make_set(
        peft_files,
        base_sha256=installed.weights_sha256,
        tokenizer_sha256=installed.tokenizer_sha256,
        rank=4,
        alpha=8,
        target_modules=ALL_LINEARS,
    )


@pytest.fixture
def source(tiny_set, peft_files, tmp_path):
    """The set as a folder outside the places where sets are looked for."""
    writing.write_set(tmp_path / "source", tiny_set, peft_files, card="# their card")
    return tmp_path / "source"


def run(*arguments, status=0):
    result = CliRunner().invoke(main, ["adapters", *map(str, arguments)])
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result


def ship(folder, made, adapters):
    return writing.write_set(folder / made.base_id / made.name, made, adapters)


def publish(made, adapters):
    with closing(store.open_store(write=True)) as db:
        return writing.publish(db, made, adapters)


def edit_manifest(folder, **changes):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# --- list, info, use ---


def test_list_is_empty_on_a_new_machine():
    assert json.loads(run("list", "--json").stdout) == []


def test_list_names_where_sets_lie_and_which_is_in_use(shipped):
    ship(shipped, make_set(name="default"), make_adapters())
    publish(make_set(name="own"), make_adapters())
    rows = json.loads(run("list", "--json").stdout)
    assert [(row["name"], row["source"], row["is_in_use"], row["k"]) for row in rows] == [
        ("own", "store", True, 3),
        ("default", "shipped", False, 3),
    ]


def test_list_for_people_marks_the_set_in_use(shipped):
    ship(shipped, make_set(name="default"), make_adapters())
    assert run("list").stdout.startswith("* default ")


def test_list_can_be_limited_to_a_base(shipped):
    ship(shipped, make_set(name="default"), make_adapters())
    assert json.loads(run("list", "--json", "--base", "other").stdout) == []


def test_info_as_json_is_the_manifest_and_the_place(shipped):
    made = ship(shipped, make_set(name="default"), make_adapters())
    shown = json.loads(run("info", "default", "--json").stdout)
    place = {"set_id": made.set_id, "source": "shipped", "folder": str(made.folder)}
    assert shown == to_manifest(made) | place


def test_info_for_people_names_every_adapter(shipped):
    ship(shipped, make_set(name="default"), make_adapters())
    assert "a3  label of a3\n" in run("info", "default").stdout


def test_info_for_people_says_what_each_adapter_has_learned_and_of_what(shipped):
    made = make_set(name="default", data={"n_samples": 596, "datasets": [{"name": "rows.jsonl"}]})
    first, *others = made.adapters
    learned = replace(first, figures={"held_out_own": 0.393, "held_out_base_own": 0.454})
    ship(shipped, replace(made, adapters=(learned, *others)), make_adapters())
    shown = run("info", "default").stdout
    assert "\ndata      596 samples of rows.jsonl\n" in shown
    assert f"{first.label}: held-out loss of its part 0.39, the base's there 0.45\n" in shown


@pytest.mark.parametrize(("temperature", "served"), [(0.0, "greedily"), (0.8, "sampled at 0.8, top-p 0.95")])
def test_info_says_how_a_set_is_served(shipped, temperature, served):
    ship(shipped, make_set(name="default", temperature=temperature), make_adapters())
    assert f"served    {served}\n" in run("info", "default").stdout


def test_info_of_an_unknown_set_names_the_known_ones(shipped):
    ship(shipped, make_set(name="default"), make_adapters())
    assert "no adapter set 'mine'; default known" in run("info", "mine", status=1).stderr


def test_of_two_sets_of_one_name_that_of_the_served_base_is_shown(shipped, tiny_base):
    ship(shipped, make_set(name="default", base_id="another"), make_adapters())
    ship(shipped, make_set(name="default", base_id=TINY_ID), make_adapters())
    assert json.loads(run("info", "default", "--json").stdout)["base_id"] == TINY_ID


def test_info_without_any_set_says_what_to_do():
    assert "trainer run" in run("info", status=1).stderr


def test_use_chooses_a_set_and_default_goes_back(shipped, source, tiny_set, peft_files):
    ship(shipped, replace(tiny_set, name="default"), peft_files)
    run("import", source)
    assert "mine (imported, k=2) is used for tiny-qwen2" in run("use", "mine").stdout
    assert finding.find_set(None, BASE_ID).name == "mine"
    run("use", "--default")
    assert finding.find_set(None, BASE_ID).name == "default"


def test_use_refuses_a_set_for_other_weights(shipped, tiny_base):
    ship(shipped, make_set(name="other"), make_adapters())
    assert "weights sha256 000000000000…" in run("use", "other", status=1).stderr
    assert selection.read_selection() == {}


def test_use_refuses_a_set_for_an_unknown_base(shipped):
    ship(shipped, make_set(name="other", base_id="never-heard"), make_adapters())
    assert "made for a base unknown here" in run("use", "other", status=1).stderr


@pytest.mark.parametrize("arguments", [[], ["mine", "--default"]])
def test_use_needs_either_a_name_or_default(arguments):
    assert "either" in run("use", *arguments, status=2).stderr


# --- verify ---


def test_verify_prints_every_file_of_a_good_set(shipped, tiny_set, peft_files):
    ship(shipped, tiny_set, peft_files)
    lines = run("verify", "mine").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "ok", "ok"]
    assert lines[-1].endswith("mine/a2.safetensors")


def test_verify_names_the_damaged_file_and_goes_on(shipped, tiny_set, peft_files):
    ship(shipped, tiny_set, peft_files)
    (shipped / BASE_ID / "mine" / "a1.safetensors").write_bytes(b"short")
    result = run("verify", status=1)
    states = [line.split()[0] for line in result.stdout.splitlines()]
    assert states == ["ok", "bad", "ok"]
    assert "1 file is bad" in result.stderr


def test_verify_names_a_set_whose_manifest_is_broken(shipped, tiny_set, peft_files):
    ship(shipped, tiny_set, peft_files)
    (shipped / BASE_ID / "mine" / "manifest.json").write_text("{")
    assert "manifest.json: this is not JSON" in run("verify", status=1).stdout


def test_verify_reports_another_base(shipped, tiny_base):
    ship(shipped, make_set(), make_adapters())
    assert "manifest.json: adapter set 'mine' was made for tiny-qwen2 with weights" in run("verify", status=1).stdout


def test_verify_checks_sets_of_the_store(tiny_set, peft_files):
    publish(tiny_set, peft_files)
    assert "ok   store: tiny-qwen2/mine/a1.safetensors" in run("verify", "mine").stdout


# --- import ---


def test_imported_set_is_equal_and_brings_its_card(source, tiny_set):
    run("import", source)
    found = finding.find_set("mine", BASE_ID)
    assert found == replace(tiny_set, folder=paths.user_sets_dir() / BASE_ID / "mine")
    assert reading.read_card(found) == "# their card"


def test_imported_set_is_not_used_by_itself(source):
    run("import", source)
    assert selection.read_selection() == {}


def test_import_under_another_name(source):
    run("import", source, "--name", "theirs")
    assert finding.find_set("theirs", BASE_ID).k == 2


def test_import_refuses_a_name_that_is_taken_unless_told(source):
    run("import", source)
    assert "imported before" in run("import", source, status=1).stderr
    run("import", source, "--replace")


def test_import_refuses_the_name_of_a_shipped_set(source, shipped, tiny_set, peft_files):
    ship(shipped, tiny_set, peft_files)
    assert "name of a shipped set" in run("import", source, "--replace", status=1).stderr


def test_import_without_the_base_on_this_machine(source, tiny_base):
    tiny_base.unlink()
    run("import", source)
    assert finding.find_set("mine", BASE_ID).k == 2


def refuse_import(source, reason):
    assert reason in run("import", source, status=1).stderr
    assert not paths.user_sets_dir().exists()


def test_import_refuses_a_pickle(source):
    (source / "adapter_model.bin").write_bytes(pickle.dumps({}))
    refuse_import(source, "can run code")


def test_import_refuses_a_pickle_under_a_good_name(source, tiny_set):
    data = pickle.dumps({"weights": [1.0]}, protocol=2)
    (source / "a1.safetensors").write_bytes(data)
    record = vars(writing.describe_adapter("a1", data, label=""))
    edit_manifest(source, adapters=[record])
    refuse_import(source, "a1.safetensors: this is a pickle")


def test_import_refuses_a_cut_file(source):
    data = (source / "a2.safetensors").read_bytes()
    (source / "a2.safetensors").write_bytes(data[:-100])
    refuse_import(source, "a2.safetensors has")


def test_import_refuses_a_flipped_bit(source):
    data = bytearray((source / "a2.safetensors").read_bytes())
    data[-1] ^= 1
    (source / "a2.safetensors").write_bytes(data)
    refuse_import(source, "the manifest says")


def test_import_refuses_other_weights(source):
    edit_manifest(source, base_sha256="0" * 64)
    refuse_import(source, "weights sha256 000000000000…")


def test_import_refuses_another_tokenizer(source):
    edit_manifest(source, tokenizer_sha256="0" * 64)
    refuse_import(source, "tokenizer sha256 000000000000…")


def test_import_refuses_an_alpha_of_1e30(source):
    edit_manifest(source, alpha=1e30)
    refuse_import(source, "alpha 1e+30")


def test_import_refuses_a_rank_that_the_files_do_not_have(source):
    edit_manifest(source, rank=8)
    refuse_import(source, "expected [8, ")


def test_import_refuses_shapes_of_another_base(tiny_base, tiny_set, tmp_path):
    adapters = make_adapters()
    made = make_set(adapters, base_sha256=tiny_set.base_sha256, tokenizer_sha256=tiny_set.tokenizer_sha256)
    writing.write_set(tmp_path / "source", made, adapters)
    refuse_import(tmp_path / "source", "a1.safetensors: ")


def test_import_refuses_a_path_as_a_name(source):
    edit_manifest(source, name="../../evil")
    refuse_import(source, "name '../../evil'")


def test_import_refuses_a_path_as_a_file(source):
    records = json.loads((source / "manifest.json").read_text())["adapters"]
    edit_manifest(source, adapters=[records[0] | {"file": "../../a1.safetensors"}])
    refuse_import(source, "must be a1.safetensors")


def test_import_refuses_a_newer_format(source):
    edit_manifest(source, format=5)
    refuse_import(source, "upgrade")


def test_import_refuses_a_folder_without_a_manifest(tmp_path):
    refuse_import(tmp_path, "not an adapter set")


def test_import_refuses_a_folder_that_is_not_there(tmp_path):
    refuse_import(tmp_path / "none", "not an adapter set")


def test_failed_replacement_leaves_the_imported_set(source, tiny_set):
    run("import", source)
    (source / "a1.safetensors").write_bytes(b"short")
    run("import", source, "--replace", status=1)
    assert len(reading.read_adapter(finding.find_set("mine", BASE_ID), "a1")) > 5


# --- export ---


def test_exported_set_can_be_imported_again(source, tmp_path):
    run("import", source)
    run("export", "mine", tmp_path / "out")
    run("import", tmp_path / "out", "--name", "again")
    assert finding.find_set("again", BASE_ID).adapters == finding.find_set("mine", BASE_ID).adapters


# #14
def test_an_export_says_what_it_was_trained_on(tmp_path):
    sources = [{"name": "toolz 1.2.0", "licence": "BSD-3-Clause", "n_samples": 9}]
    for name, data, said in (
        ("known", {"n_samples": 9, "sources": sources}, "9 samples: toolz 1.2.0 (BSD-3-Clause, 9)"),
        ("file", {"n_samples": 2, "datasets": [{"name": "a.jsonl", "sha256": "0"}]}, "2 samples of a.jsonl"),
        ("private", {"n_samples": 2, "datasets": [{"sha256": "0"}]}, "2 imported samples"),
        ("other", {"corpus": "poems"}, '{"corpus": "poems"}'),
    ):
        adapters = make_adapters()
        made = replace(make_set(adapters, name=name), data=data)
        writing.write_set(paths.user_sets_dir() / BASE_ID / name, made, adapters)
        assert f"it was trained on {said}\n" in run("export", name, tmp_path / name).stderr


def test_export_does_not_write_over_a_folder(source, tmp_path):
    run("import", source)
    assert "exists already" in run("export", "mine", source, status=1).stderr


def test_export_of_a_damaged_set_writes_nothing(source, tmp_path):
    run("import", source)
    (paths.user_sets_dir() / BASE_ID / "mine" / "a1.safetensors").write_bytes(b"short")
    run("export", "mine", tmp_path / "out", status=1)
    assert not (tmp_path / "out").exists()


def test_peft_folder_of_a_set_that_acts_everywhere_gives_the_logits_of_the_original(
    source, tiny_base, tiny_peft_adapters, tmp_path
):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    def logits(folder):
        base = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
        with torch.no_grad():
            return PeftModel.from_pretrained(base, str(folder))(torch.arange(12)[None]).logits

    edit_manifest(source, activation="all")
    run("import", source)
    run("export", "mine", tmp_path / "out", "--peft")
    assert torch.equal(logits(tmp_path / "out" / "a2"), logits(tiny_peft_adapters["a2"]))
