import json

import pytest
from click.testing import CliRunner

from spa_lsp import paths
from spa_lsp.cli import main


@pytest.fixture
def spa_lsp(tmp_path):
    work = tmp_path / "work"
    work.mkdir()

    def run(*words, status=0):
        result = CliRunner().invoke(main, ["config", *words, "--workspace", str(work)])
        assert result.exit_code == status, result.output
        return result.output

    run.work = work
    return run


def test_show_names_every_setting_and_its_source(spa_lsp):
    (spa_lsp.work / ".spa-lsp.toml").write_text("max_tokens = 9\n")
    shown = json.loads(spa_lsp("show", "--json"))["settings"]
    assert shown["max_tokens"] == {"value": 9, "source": str(spa_lsp.work / ".spa-lsp.toml")}
    assert shown["base"]["source"] == "default" and len(shown) == 24


def test_show_prints_a_line_for_each(spa_lsp):
    assert len(spa_lsp("show").splitlines()) == 24


def test_validate_finds_what_cannot_be_used(spa_lsp):
    (spa_lsp.work / ".spa-lsp.toml").write_text('quantization = "nf4"\nmax_tokens = 0\n')
    output = spa_lsp("validate", status=1)
    assert "cannot be set by a workspace" in output and "must be a number from 1 to 512" in output


def test_validate_takes_the_users_own_file_for_what_it_is(spa_lsp):
    paths.config_dir().mkdir()
    (paths.config_dir() / "config.toml").write_text('quantization = "nf4"\n')
    assert "checked" in spa_lsp("validate") and "checked" in spa_lsp(
        "validate", str(paths.config_dir() / "config.toml")
    )


def test_path_prints_all_files(spa_lsp):
    lines = spa_lsp("path").splitlines()
    assert [line.split("/")[-1] for line in lines] == [
        "config.toml  (not there)",
        "pyproject.toml  (not there)",
        ".spa-lsp.toml  (not there)",
    ]
