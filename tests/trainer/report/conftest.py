import json

import pytest
from click.testing import CliRunner

from tests.trainer.report import example


@pytest.fixture
def export(tmp_path):
    """Writes an export; without one, the usual."""

    def write(document=None, name="figures.json"):
        path = tmp_path / name
        path.write_text(json.dumps(document or example.usual()), "utf-8")
        return path

    return write


@pytest.fixture
def report():
    """Runs `trainer report` and gives its result."""
    from trainer.cli import main

    return lambda *words: CliRunner().invoke(main, ["report", *map(str, words)])


@pytest.fixture(autouse=True)
def font_cache(tmp_path_factory, monkeypatch):
    """matplotlib's, outside the home."""
    folder = tmp_path_factory.getbasetemp() / "matplotlib"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("MPLCONFIGDIR", str(folder))
