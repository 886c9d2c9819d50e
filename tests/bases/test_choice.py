"""`base = auto`: what is here, what the machine carries, what a person made."""

import json
import platform
from contextlib import closing

import pytest

from spa_lsp import paths
from spa_lsp.adapters import selection, writing
from spa_lsp.adapters.served_base import served_base
from spa_lsp.bases import choice, speeds
from spa_lsp.bases.catalog import DEFAULT_BASE, RECORD_NAME, base_dir, find_base, is_ready
from spa_lsp.storage import store
from tests.tiny_set import make_adapters, make_set

LARGE = "qwen2.5-coder-1.5b-instruct"
HERE = "spa_lsp.bases.choice.is_ready"


@pytest.fixture
def here(monkeypatch):
    """The bases that count as pulled."""
    ids = {DEFAULT_BASE, LARGE}
    monkeypatch.setattr(HERE, lambda base: base.id in ids)
    return ids


def place_set(base_id, name="mine"):
    adapters = make_adapters()
    made = make_set(adapters, base_id=base_id, name=name)
    writing.write_set(paths.user_sets_dir() / base_id / name, made, adapters)
    return made


def test_a_base_that_is_named_is_the_one(here):
    assert served_base("another-base") == "another-base"


def test_the_larger_one_is_served_where_nothing_is_known_against_it(here):
    assert served_base("auto") == LARGE


def test_what_is_not_here_is_not_served(here):
    here.remove(LARGE)
    assert served_base("auto") == DEFAULT_BASE


def test_without_any_base_it_is_the_one_that_can_be_pulled(here):
    here.clear()
    assert served_base("auto") == DEFAULT_BASE


def test_a_base_that_read_prompts_too_slowly_is_not_served(here):
    speeds.remember_speed(LARGE, choice.SLOWEST - 1)
    assert served_base("auto") == DEFAULT_BASE


def test_a_base_that_was_measured_on_a_busy_machine_is_judged_by_the_others_too(here):
    speeds.remember_speed(LARGE, choice.SLOWEST / 2)
    speeds.remember_speed(DEFAULT_BASE, 10 * choice.SLOWEST)
    assert served_base("auto") == LARGE


def test_a_base_that_was_never_loaded_is_judged_by_the_others(here):
    speeds.remember_speed(DEFAULT_BASE, 2 * choice.SLOWEST)  # three times the parameters take three times as long
    assert served_base("auto") == DEFAULT_BASE


def test_a_base_that_takes_too_much_of_the_memory_is_not_served(here, monkeypatch):
    class Memory:
        total = 2 * choice.memory_needed(find_base(LARGE))

    monkeypatch.setattr(choice.psutil, "virtual_memory", Memory)
    assert served_base("auto") == DEFAULT_BASE


def test_the_best_speed_is_kept():
    speeds.remember_speed(LARGE, 90)
    speeds.remember_speed(LARGE, 30)
    assert speeds.read_speeds() == {LARGE: 90.0}


def test_another_machine_is_measured_anew():
    speeds.remember_speed(LARGE, 90)
    path = paths.cache_dir() / speeds.SPEEDS_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": "another"}))
    assert speeds.read_speeds() == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tokens_per_s": [1]}', '{"tokens_per_s": {"a": "x"}}', "[" * 9999])
def test_a_file_that_cannot_be_read_is_no_knowledge(text):
    path = paths.cache_dir() / speeds.SPEEDS_NAME
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert speeds.read_speeds() == {}


@pytest.mark.parametrize("figure", ["9" * 400, "NaN", "Infinity", "-1"])
def test_a_figure_that_is_no_speed_does_not_stay(figure):
    path = paths.cache_dir() / speeds.SPEEDS_NAME
    path.parent.mkdir(parents=True)
    path.write_text(f'{{"machine": {json.dumps(platform.node())}, "tokens_per_s": {{"{LARGE}": {figure}}}}}')
    speeds.remember_speed(LARGE, 90)
    assert speeds.read_speeds() == {LARGE: 90.0}


@pytest.mark.parametrize("files", ['{"a": 1}', '{"a": {}}', "[" * 9999])
def test_a_base_with_a_damaged_record_is_not_here(files):
    base = find_base(DEFAULT_BASE)
    base_dir(base).mkdir(parents=True)
    record = f'{{"id": "{base.id}", "source_sha256": "{base.sha256}", "files": {files}}}'
    (base_dir(base) / RECORD_NAME).write_text(record)
    assert not is_ready(base)


def test_a_base_whose_record_is_no_file_is_not_here():
    base = find_base(DEFAULT_BASE)
    (base_dir(base) / RECORD_NAME).mkdir(parents=True)
    assert not is_ready(base)


@pytest.mark.parametrize("text", ["[[[", "bases = 3", "bases.x = 3", "families = 3", '[bases.x]\nfile = "x"'])
def test_with_a_catalog_that_cannot_be_read_the_default_base_is_meant(text):
    paths.data_dir().mkdir(parents=True, exist_ok=True)
    (paths.data_dir() / "catalog.toml").write_text(text)
    assert served_base("auto") == DEFAULT_BASE


def test_who_chose_a_set_is_served_by_its_base(here):
    selection.select_set(place_set(DEFAULT_BASE))
    assert served_base("auto") == DEFAULT_BASE


def test_who_published_a_set_is_served_by_its_base(here):
    adapters = make_adapters()
    with closing(store.open_store(write=True)) as db:
        writing.publish(db, make_set(adapters, base_id=DEFAULT_BASE), adapters)
    assert served_base("auto") == DEFAULT_BASE


def test_the_set_that_is_asked_for_decides(here):
    place_set(DEFAULT_BASE, "mine")
    assert served_base("auto", "mine") == DEFAULT_BASE


def test_of_two_sets_of_a_name_the_larger_base_is_served(here):
    place_set(DEFAULT_BASE, "mine")
    place_set(LARGE, "mine")
    assert served_base("auto", "mine") == LARGE


def test_a_set_whose_base_is_not_here_names_the_base_to_pull(here):
    here.remove(LARGE)
    place_set(LARGE, "mine")
    assert served_base("auto", "mine") == LARGE


def test_a_larger_base_is_proposed_with_its_costs_and_the_command(here):
    here.remove(LARGE)
    said = choice.what_larger_brings()
    assert f"spa-lsp models pull {LARGE}" in said and "3 times as long" in said and "1.1 GB to fetch" in said


def test_a_larger_base_that_is_here_is_not_proposed(here):
    assert choice.what_larger_brings() == ""


def test_a_larger_base_that_would_be_too_slow_is_not_proposed(here):
    here.remove(LARGE)
    speeds.remember_speed(DEFAULT_BASE, choice.SLOWEST)
    assert choice.what_larger_brings() == ""
