"""`trainer report`: its options, its files, its refusals."""

import builtins
import json
import os

import pytest

from tests.trainer.report import example
from trainer.rows.kept_exports import evaluation_path


@pytest.fixture
def no_plots(monkeypatch):
    """matplotlib cannot be imported."""
    real = builtins.__import__

    def refuse(name, *rest):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError("No module named 'matplotlib'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)


def test_markdown_has_a_row_for_every_arm(export, report):
    lines = report(export(), "--markdown").stdout.splitlines()
    assert lines[0] == "**made-up, 3 problems, tiny in fp32**"
    assert lines[2].startswith("| arm | k | DC@k, exact | DC@k, AST | DC@k, near |")
    assert lines[7].startswith("| random | 4 | 0.760 [0.660, 0.910] | 0.830 [0.730, 0.980] |")


def test_tables_need_no_library_of_plots(export, report, no_plots):
    assert report(export()).stdout == report(export(), "--markdown").stdout != ""


def test_page_without_the_library_says_how_to_get_it(export, report, no_plots, tmp_path):
    result = report(export(), "--html", tmp_path / "report.html")
    assert result.exit_code == 1 and "pip install 'spa-lsp[report]'" in result.stderr
    assert not (tmp_path / "report.html").exists()


def test_text_from_a_file_breaks_no_table(export, report):
    arm = example.arm("base", k=1) | {"arm": "a | b <img src=x>\nc"}
    lines = report(export(example.document(example.benchmark([arm])))).stdout.splitlines()
    assert lines[4].startswith("| a \\| b &lt;img src=x> c | 1 |")


def test_page_is_written_and_replaced(export, report, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
    target = tmp_path / "new" / "report.html"
    results = [report(export(), "--html", target) for _ in range(2)]
    assert [result.exit_code for result in results] == [0, 0] and results[0].stdout == ""
    assert target.read_text("utf-8").startswith("<!DOCTYPE html>") and len(list(target.parent.iterdir())) == 1


def test_half_a_character_does_not_stop_the_page(export, report, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
    arm = example.arm("base", k=1)
    arm["problems"][0]["alternatives"][0]["text"] = arm["about"] = "half \ud83d"
    result = report(export(example.document(example.benchmark([arm]))), "--html", tmp_path / "report.html")
    assert result.exit_code == 0 and "half ?" in (tmp_path / "report.html").read_text("utf-8")


def test_export_is_not_overwritten_by_its_page(export, report):
    before = export().read_text()
    result = report(export(), "--html", export())
    assert result.exit_code == 1 and "is one of the exports" in result.stderr and export().read_text() == before


@pytest.mark.parametrize("content", [None, "", "{}", '{"format": 9}'])
def test_bad_export_is_one_sentence(report, tmp_path, content):
    path = tmp_path / "figures.json"
    if content is not None:
        path.write_text(content)
    result = report(path)
    assert result.exit_code == 1 and result.stdout == "" and len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"Error: {path}")


def test_folder_as_export_is_one_sentence(report, tmp_path):
    result = report(tmp_path)
    assert result.exit_code == 1 and result.stderr == f"Error: {tmp_path}: Is a directory\n"


def keep(*runs, name="made-up"):
    """An evaluation in the folder of this test's home, as `trainer evaluate` keeps it."""
    arms = [example.arm(label, k=1, run_id=run_id) for label, run_id in runs]
    document = example.document(example.benchmark(arms, name=name))
    path = evaluation_path(document)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def test_without_a_name_the_newest_evaluation_is_shown(report):
    keep(("base", "aa11"), name="older")
    os.utime(keep(("base", "bb22"), name="newest"), ns=(2**62, 2**62))
    assert report().stdout.startswith("**newest, 3 problems")


def test_an_evaluation_is_found_by_the_start_of_one_of_its_runs(report):
    keep(("base", "aa1122"), ("base@0.8", "cc3344"), name="wanted")
    keep(("base", "aa1122"), name="newer")
    assert report("cc33").stdout.startswith("**wanted, 3 problems")


def test_a_run_that_there_is_not_is_one_sentence(report):
    keep(("base", "aa11"))
    result = report("dd55")
    assert (
        result.exit_code == 1 and "no evaluation with a run that begins with 'dd55'; run: trainer ev" in result.stderr
    )


def test_a_file_named_like_a_run_is_the_file(export, report, monkeypatch):
    keep(("base", "abcd"), name="kept")
    monkeypatch.chdir(export().parent)
    export().rename("abcd")
    assert report("abcd").stdout.startswith("**made-up, 3 problems")


def test_without_an_evaluation_the_way_to_one_is_named(report):
    result = report("--markdown")
    assert result.exit_code == 1 and "there is no evaluation yet; run: trainer evaluate" in result.stderr
