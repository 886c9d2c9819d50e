import json
import os

import pytest
from click.testing import CliRunner

from spa_lsp.bases.catalog import DEFAULT_BASE, find_base, source_path
from spa_lsp.cli import main
from tests.conftest import TINY_ID


def run(*arguments: str):
    return CliRunner().invoke(main, ["models", *arguments])


def test_list_names_all_bases_and_what_is_here(tiny_base):
    lines = run("list").stdout.splitlines()
    assert any(TINY_ID in line and line.endswith("ready") for line in lines)
    assert any(DEFAULT_BASE in line and line.endswith("can be pulled") for line in lines)
    assert any("starcoder2-3b" in line and line.endswith("no verified hash yet") for line in lines)


def test_list_marks_the_default_base():
    assert f"* {DEFAULT_BASE}" in run("list").stdout


def test_list_tells_a_damaged_base(tiny_copy):
    (tiny_copy / "config.json").unlink()
    assert any(TINY_ID in line and line.endswith("damaged, pull --force") for line in run("list").stdout.splitlines())


def test_list_gives_json(tiny_base):
    rows = {row["id"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows[TINY_ID]["is_ready"] and rows[DEFAULT_BASE]["is_default"]


def test_pull_says_so_when_the_base_is_here(tiny_base):
    result = run("pull", TINY_ID)
    assert (result.exit_code, result.stdout) == (0, f"{TINY_ID} is ready in {tiny_base}\n")


def test_pull_of_a_base_without_a_hash_ends_in_one_sentence():
    result = run("pull", "starcoder2-3b")
    assert result.exit_code == 1
    assert "no verified hash" in result.stderr and "Traceback" not in result.output


def test_an_unknown_base_ends_in_one_sentence():
    result = run("pull", "nonsense")
    assert (result.exit_code, result.stderr.startswith("Error: no base is named 'nonsense'; choose one of:")) == (
        1,
        True,
    )


def test_verify_without_an_id_checks_what_is_here(tiny_base):
    result = run("verify")
    assert (result.exit_code, result.stdout) == (0, f"{TINY_ID}: 7 files are as recorded\n")


def test_verify_without_any_base_names_the_way_out():
    result = run("verify")
    assert (result.exit_code, "run: spa-lsp models pull" in result.stderr) == (1, True)


def test_verify_names_a_tampered_file(tiny_copy):
    text = (tiny_copy / "tokenizer.json").read_text()
    (tiny_copy / "tokenizer.json").write_text(text.replace("a", "b", 1))
    result = run("verify", TINY_ID)
    assert result.exit_code == 1
    assert "tokenizer.json has sha256" in result.stderr and f"pull {TINY_ID} --force" in result.stderr


def test_path_prints_the_folder(tiny_base):
    assert run("path", TINY_ID).stdout == f"{tiny_base}\n"


def test_path_of_a_base_that_is_not_here_names_the_way_out():
    result = run("path")
    assert (result.exit_code, f"spa-lsp models pull {DEFAULT_BASE}" in result.stderr) == (1, True)


def test_path_can_name_the_fetched_file(tiny_base):
    fetched = source_path(find_base(TINY_ID))
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(b"tiny")
    assert run("path", "--source", TINY_ID).stdout == f"{fetched}\n"


def test_remove_removes_and_can_be_repeated(tiny_copy):
    assert run("remove", TINY_ID).stdout == f"removed {tiny_copy}\n"
    assert run("remove", TINY_ID).stdout == f"{TINY_ID} is not on this machine\n"


def test_misuse_has_status_two():
    assert run("remove").exit_code == 2


def test_a_folder_that_cannot_be_written_ends_in_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPA_CACHE", str(tmp_path / "file"))
    result = run("pull")
    assert (result.exit_code, result.exception.__class__) == (1, SystemExit)


@pytest.mark.parametrize("command", ["list", "pull", "verify", "path", "remove"])
def test_help_ends_in_an_example(command):
    assert f"spa-lsp models {command}" in run(command, "-h").stdout


def test_stdio_and_a_command_do_not_go_together():
    assert CliRunner().invoke(main, ["--stdio", "models", "list"]).exit_code == 2


def test_without_a_command_the_help_is_shown():
    result = CliRunner().invoke(main, [])
    assert (result.exit_code, "models" in result.stdout) == (0, True)


def test_a_command_keeps_this_process_off_the_hub(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    run("list")
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_the_log_file_is_written(tmp_path):
    assert CliRunner().invoke(main, ["--log-file", str(tmp_path / "log"), "models", "list"]).exit_code == 0
    assert (tmp_path / "log").exists()
