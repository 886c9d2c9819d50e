"""Benchmarks from the hub: a fake client puts Parquet files, the rows are checked; the real client finds no hub."""

import json
import sys

import pytest
from click.testing import CliRunner

from spa_lsp.errors import Damaged, Unavailable
from tests.trainer.evaluate.benchmarks.tiny_benchmarks import HUMANEVAL, SANITIZED
from trainer.cli import main
from trainer.evaluate.benchmarks import code, hub
from trainer.evaluate.benchmarks.files import rows_sha256
from trainer.evaluate.benchmarks.load import load_benchmark

SOURCE = hub.HubFiles(
    repo="own/set", revision="0" * 40, files=("b.parquet", "a.parquet"), sha256=rows_sha256(SANITIZED)
)


@pytest.fixture
def client():
    """Writes one row of SANITIZED into each file, the last one first, and remembers what was asked."""
    pyarrow = pytest.importorskip("pyarrow", reason="the extra `hub` is not installed")
    from pyarrow import parquet

    def download(source, file, folder):
        n = len(SANITIZED) - 1 - source.files.index(file)
        parquet.write_table(pyarrow.Table.from_pylist([SANITIZED[n]]), folder / file)
        download.asked.append((source.repo, source.revision, file))

    download.asked = []
    return download


def test_rows_of_all_files_come_in_the_order_of_their_tasks(client):
    assert hub.hub_rows(SOURCE, client) == SANITIZED
    assert client.asked == [("own/set", "0" * 40, "b.parquet"), ("own/set", "0" * 40, "a.parquet")]


def test_what_was_downloaded_is_not_downloaded_again(client):
    first = hub.hub_rows(SOURCE, client)
    assert hub.hub_rows(SOURCE, pytest.fail) == first


def test_rows_of_another_content_are_refused_and_fetched_anew(client):
    other = hub.HubFiles(repo="own/set", revision="0" * 40, files=SOURCE.files, sha256="f" * 64)
    with pytest.raises(Damaged, match=f"have sha256 {SOURCE.sha256}, expected {'f' * 64}; they were not kept"):
        hub.hub_rows(other, client)
    assert hub.hub_rows(SOURCE, client) == SANITIZED and len(client.asked) == 4


def test_a_file_that_is_no_parquet_is_damaged(client):
    with pytest.raises(Damaged, match="the rows of own/set from the hub have sha256 none"):
        hub.hub_rows(SOURCE, lambda source, file, folder: (folder / file).write_bytes(b"<html>"))


def test_without_the_extra_it_is_named_and_nothing_is_downloaded(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Unavailable, match=r"--hub needs pyarrow .* run: pip install 'spa-lsp\[hub\]'"):
        hub.hub_rows(SOURCE, pytest.fail)


def test_a_hub_that_cannot_be_reached_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    words = r"the hub did not give b.parquet of own/set \(127.0.0.1:9 cannot be reached: .*\); try later, or leave out"
    with pytest.raises(Unavailable, match=words):
        hub.download(SOURCE, "b.parquet", tmp_path)


@pytest.fixture
def no_package(monkeypatch):
    monkeypatch.setattr(code, "_package_file", lambda: None)


ROWS = {hub.HUMANEVAL: HUMANEVAL, hub.SANITIZED: SANITIZED}


@pytest.mark.usefixtures("no_package")
@pytest.mark.parametrize("name", ["humaneval", "mbpp-sanitized"])
def test_problems_from_the_hub_are_those_of_the_folder(tiny_data, name):
    assert load_benchmark(name, None, from_hub=ROWS.__getitem__) == load_benchmark(name, tiny_data)


@pytest.mark.parametrize("name", ["humaneval", "mbpp-sanitized"])
def test_what_the_folder_has_is_not_asked_of_the_hub(tiny_data, name):
    assert load_benchmark(name, tiny_data, from_hub=pytest.fail)


@pytest.mark.usefixtures("no_package", "sandbox")
@pytest.mark.parametrize(("options", "n_asked"), [(["--hub"], 1), ([], 0)])
def test_only_the_option_asks_the_hub(monkeypatch, options, n_asked):
    asked = []
    monkeypatch.delenv("SPA_DATA", raising=False)
    monkeypatch.setattr("trainer.cli.judge.hub_rows", lambda source: asked.append(source) or SANITIZED)
    result = CliRunner().invoke(main, ["judge", "--canonical", "mbpp-sanitized", "--json", *options])
    assert len(asked) == n_asked
    assert json.loads(result.stdout)["n_passed"] == 2 if options else "pass --hub, or get mbpp" in result.stderr
