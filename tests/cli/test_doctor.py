import json
import shutil
from contextlib import closing
from importlib import metadata

import pytest
from click.testing import CliRunner

from spa_lsp import paths
from spa_lsp.adapters import selection, writing
from spa_lsp.bases.catalog import DEFAULT_BASE, RECORD_NAME, base_dir, find_base
from spa_lsp.cli import main
from spa_lsp.cli._machine_checks import (
    check_device,
    check_disk,
    check_memory,
    check_packages,
    check_sandbox,
    file_system_of,
    kernel_has_landlock,
    read_cpu_flags,
)
from spa_lsp.cli._own_checks import check_base, check_broken_sets, check_cache, check_engine, check_set, check_store
from spa_lsp.cli.doctor import _guarded, _to_text
from spa_lsp.engine.supervisor import socket_path
from spa_lsp.errors import Damaged
from spa_lsp.storage import store
from tests.fakes import FakeCompleter, engine_in_thread
from tests.tiny_set import make_adapters, make_set
from trainer.evaluate.sandbox import landlock_inside


@pytest.fixture
def shipped(monkeypatch, tmp_path):
    """No shipped sets, but the shipped catalog."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "catalog.toml").write_text((paths.shipped_models_dir() / "catalog.toml").read_text())
    monkeypatch.setattr(paths, "shipped_models_dir", lambda: folder)
    return folder


def make_default_set(**changes):
    return make_set(base_id=DEFAULT_BASE, base_sha256=find_base(DEFAULT_BASE).sha256, **changes)


def ship(folder, made):
    return writing.write_set(folder / made.base_id / made.name, made, make_adapters())


def set_own(text):
    paths.config_dir().mkdir(parents=True)
    (paths.config_dir() / "config.toml").write_text(text)


def pretend_base_is_here(*, sha256=None):
    """The record of the default base and its files, one byte each."""
    base = find_base(DEFAULT_BASE)
    folder = base_dir(base)
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text("{")
    files = {"tokenizer.json": {"sha256": "1" * 64, "bytes": 1}}
    record = {"id": base.id, "source_sha256": sha256 or base.sha256, "files": files, "transformers": "any"}
    (folder / RECORD_NAME).write_text(json.dumps(record))
    return folder


def test_whole_report_as_json_on_a_new_machine():
    result = CliRunner().invoke(main, ["doctor", "--json"])
    report = json.loads(result.stdout)
    names = [finding["name"] for finding in report["findings"]]
    assert result.exit_code == 1  # no base was pulled
    assert not report["is_usable"]
    assert names == "packages device memory disk base cache store set imports engine server sandbox".split()
    assert "keeps completions from working" in result.stderr


def test_what_is_wrong_stands_with_its_fix():
    found = check_base()
    assert (found.state, found.fix) == ("bad", f"run: spa-lsp models pull {DEFAULT_BASE}")
    assert _to_text(found).endswith(f"fix: run: spa-lsp models pull {DEFAULT_BASE}")


def test_packages_are_named_with_their_versions():
    found = check_packages()
    assert {"python", "sqlite", "torch", "pygls"} <= found.details.keys()


def test_device_comes_from_the_child():
    answer = {"device": "cuda", "device_name": "a GPU", "quantization": "nf4", "n_threads": 2}
    found = check_device(f"print('noise'); print('''{json.dumps(answer)}''')")
    assert (found.state, found.text) == ("ok", "a GPU (cuda, 2 threads), nf4")


def answer_of_cpu(reason):
    answer = {"device": "cpu", "device_name": "one", "quantization": "int8", "kernel": "torch", "n_threads": 2}
    return f"print({json.dumps(answer | dict(reason=reason))!r})"


# #15
def test_a_kernel_that_cannot_be_compiled_is_a_note_with_the_way_out():
    found = check_device(answer_of_cpu("there is no c++; install g++"))
    assert (found.state, found.fix) == ("note", "install g++")
    assert found.text.endswith("slower than it could be: there is no c++")


# #15
def test_a_kernel_that_is_the_slower_way_needs_no_fix():
    found = check_device(answer_of_cpu("the kernel is slower here"))
    assert (found.state, found.fix) == ("ok", "") and found.text.endswith("; the kernel is slower here")


# #15
def test_an_error_without_a_way_out_is_not_its_own_fix():
    def check():
        raise Damaged("the file is short")

    found = _guarded("base", check)
    assert (found.state, found.text, found.fix) == ("bad", "the file is short", "")


# #15
def test_a_package_that_is_missing_is_installed_in_the_range_that_is_declared(monkeypatch):
    monkeypatch.setattr(metadata, "requires", lambda _: ["click>=8.1", "no-such-package<2.2,>=2.1"])
    found = check_packages()
    assert (found.state, found.text) == ("bad", "missing: no-such-package")
    assert found.fix == "pip install 'no-such-package<2.2,>=2.1'"


def test_broken_torch_is_bad_and_its_last_words_are_shown():
    found = check_device("raise ImportError('libcuda is not there')")
    assert found.state == "bad"
    assert "status 1: ImportError: libcuda is not there" in found.text


# #15
def test_what_is_installed_again_is_the_checkout_and_no_package_of_that_name():
    fix = check_device("raise ImportError").fix
    assert "make venv" in fix and fix.endswith(" .") and "install spa-lsp" not in fix


def test_torch_that_kills_its_process_is_bad():
    assert "status -4" in check_device("import os; os.kill(os.getpid(), 4)").text


def test_torch_that_takes_too_long_is_a_note():
    found = check_device("import time; time.sleep(60)", timeout_s=0.2)
    assert (found.state, bool(found.fix)) == ("note", True)


def test_cpu_flags_are_read_from_the_first_processor(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor: 0\nflags\t\t: fpu avx2 avx512_bf16\n\nprocessor: 1\nflags: none\n")
    assert read_cpu_flags(tmp_path / "cpuinfo") == {"fpu", "avx2", "avx512_bf16"}


def test_no_cpuinfo_is_no_flags(tmp_path):
    assert read_cpu_flags(tmp_path / "none") == set()


def test_memory_names_what_is_needed():
    assert check_memory("fp32").details["needed_bytes"] > check_memory("nf4").details["needed_bytes"]


def test_disk_is_looked_at_where_the_folders_will_be():
    found = check_disk()
    assert set(found.details["free_bytes"]) == {str(paths.data_dir()), str(paths.cache_dir())}


def test_folder_that_cannot_be_made_is_bad(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPA_HOME", str(tmp_path / "file" / "home"))
    found = check_disk()
    assert found.state == "bad"
    assert "SPA_HOME" in found.fix


def test_file_system_of_a_folder_that_is_not_there_yet(tmp_path):
    assert file_system_of(tmp_path / "a" / "b") == file_system_of(tmp_path) != ""


def test_base_that_is_here_is_ok():
    pretend_base_is_here()
    assert check_base().state == "ok"


def test_base_of_other_weights_is_not_ready():
    pretend_base_is_here(sha256="0" * 64)
    assert "other weights" in check_base().text


def test_damaged_base_is_bad_with_its_fix():
    (pretend_base_is_here() / "tokenizer.json").unlink()
    found = _guarded("base", check_base)
    assert (found.state, found.fix) == ("bad", f"run: spa-lsp models pull {DEFAULT_BASE} --force")


def test_another_base_is_served_where_the_default_one_is_missing(tiny_base):
    found = check_base()
    assert found.state == "ok"
    assert "tiny-qwen2 is served" in found.text


def test_a_larger_base_that_could_be_fetched_is_told_with_what_it_costs(tiny_base):
    assert "spa-lsp models pull qwen2.5-coder-1.5b-instruct" in check_base().text


def test_cache_is_measured():
    paths.cache_dir().mkdir()
    (paths.cache_dir() / "file").write_bytes(bytes(1000))
    assert check_cache().details["n_bytes"] == 1000


def test_no_store_is_fine():
    assert check_store().state == "ok"


def test_store_names_what_is_published():
    with closing(store.open_store(write=True)) as db:
        writing.publish(db, make_set(), make_adapters())
    assert check_store().details["published"] == ["mine"]


def test_newer_store_is_bad_with_its_fix():
    with closing(store.open_store(write=True)) as db:
        db.execute("PRAGMA user_version = 99")
    found = _guarded("store", check_store)
    assert found.state == "bad"
    assert "upgrade spa-lsp" in found.fix


def test_damaged_store_is_bad():
    with closing(store.open_store(write=True)) as db:
        writing.publish(db, make_set(), make_adapters())
    data = bytearray(paths.store_path().read_bytes())
    data[store.PAGE_BYTES : 3 * store.PAGE_BYTES] = bytes(2 * store.PAGE_BYTES)
    paths.store_path().write_bytes(data)
    found = _guarded("store", check_store)
    assert (found.state, bool(found.fix)) == ("bad", True)


def test_set_in_use_is_named(shipped):
    ship(shipped, make_default_set(name="default"))
    found = check_set()
    assert found.state == "ok"
    assert found.text.startswith("default (shipped, by default), 3 adapters")


def test_no_set_is_a_note_because_the_base_still_answers(shipped):
    found = check_set()
    assert (found.state, bool(found.fix)) == ("note", True)


# #15
def test_the_set_is_the_one_that_the_own_settings_name(shipped):
    ship(shipped, make_default_set(name="default"))
    ship(shipped, make_default_set(name="second"))
    set_own('adapter_set = "second"')
    assert check_set().text.startswith("second (shipped, chosen)")


# #15
def test_no_set_is_fine_where_the_own_settings_want_none(shipped):
    ship(shipped, make_default_set(name="default"))
    set_own('adapter_set = ""')
    found = check_set()
    assert found.state == "ok" and "as your own settings say" in found.text


# #15
def test_a_set_that_the_own_settings_name_and_that_is_not_here_is_bad(shipped):
    set_own('adapter_set = "gone"')
    found = check_set()
    assert found.state == "bad" and "no adapter set 'gone'" in found.text


def test_chosen_set_that_is_gone_is_a_note_with_the_way_back(shipped):
    selection.select_set(make_default_set(name="gone"))
    assert check_set().fix == "run: spa-lsp adapters use --default"


def test_damaged_set_in_use_is_bad_and_its_file_named(shipped):
    folder = ship(shipped, make_default_set(name="default")).folder
    (folder / "a2.safetensors").write_bytes(b"short")
    found = check_set()
    assert found.state == "bad"
    assert "a2.safetensors" in found.text


def test_set_for_other_weights_is_bad(shipped):
    ship(shipped, make_set(name="default", base_id=DEFAULT_BASE))
    assert "weights sha256 000000000000…" in check_set().text


def test_folder_that_is_no_set_is_a_note(shipped):
    folder = ship(shipped, make_default_set()).folder
    shutil.move(folder, folder.with_name("moved"))
    found = check_broken_sets()
    assert found.state == "note"
    assert "moved" in found.text


# #11
@pytest.mark.parametrize("revision", ["123", "x1", "common"])
def test_store_inside_a_snap_is_a_note(monkeypatch, revision):
    monkeypatch.delenv("SPA_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", f"/home/me/snap/code/{revision}/.local/share")
    found = check_store()
    assert found.state == "note" and "snap code" in found.text and "SPA_HOME" in found.fix


def test_store_in_a_folder_that_is_only_called_snap_is_fine(monkeypatch):
    monkeypatch.setenv("SPA_HOME", "/home/me/snap/code")
    assert check_store().state == "ok"


# #11


def test_no_engine_is_fine():
    assert "not running" in check_engine().text


# #13
@pytest.mark.parametrize("name", ["SPA_HOME", "SPA_CACHE"])
def test_an_engine_of_another_store_or_cache_is_only_mentioned(monkeypatch, tmp_path, name):
    path = socket_path("fake-base", "auto")
    with engine_in_thread(path, lambda on_progress: FakeCompleter()):
        assert check_engine().text.startswith("process ")
        monkeypatch.setenv(name, str(tmp_path / "other"))
        found = check_engine()
    assert found.text.startswith("not running") and "another store or cache: 1" in found.text


# #11
@pytest.mark.parametrize(("has_landlock", "says"), [(True, "with Landlock"), (False, "refuses to run programs")])
def test_sandbox_without_bubblewrap_says_what_the_trainer_does_then(monkeypatch, tmp_path, has_landlock, says):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = check_sandbox(has_landlock=has_landlock)
    assert found.state == "note" and says in found.text and "bubblewrap" in found.fix


def test_the_kernel_is_asked_as_the_sandbox_asks_it():
    version = landlock_inside.libc.syscall(landlock_inside.CREATE_RULESET, None, 0, landlock_inside.VERSION_ONLY)
    assert kernel_has_landlock() == (version > 0)
